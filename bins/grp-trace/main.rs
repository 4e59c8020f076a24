//! `grp-trace`: what several parties did, in one sequence, from what each of them recorded.

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;
use cli::sequence::{self, Drawing, Line, Record, Way};
use cli::{Code, Context, Document, Error, Shape, Tool};
use grp::sequence::{ADDING, ADDING_BEFORE, JOINING, Numbering, REMOVING, REMOVING_UNTOLD, View, called, drawing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const TOOL: Tool = Tool {
    name: "grp-trace",
    about: "Draw a recorded run as a sequence of protocol steps",
    description: "Takes what owners, relays and servers recorded with --trace and puts it together: as text, as a \
        Mermaid diagram, or as a picture in SVG. With --pretty, stdout is the drawing and nothing else.\n\n\
        No clock is trusted. Everybody's steps stay in the order of their record, and whoever hears something does so \
        after it was told; what is still open is decided by the order of the files. A message that was not heard by \
        the one whose record was given is drawn as lost.\n\n\
        A file without a name may hold the records of several parties, as tools of a pipeline share one; they are called \
        as they call themselves. A name is everything before the first =, unless a / is in it.",
    writes: &[Shape::of::<Sequence>()],
    examples: &[
        (
            "Record a step, and look at it",
            "grp-keygen --trace owner.jsonl --out keys.json > /dev/null; grp-trace --pretty owner.jsonl",
        ),
        (
            "Draw how a relay was added, with the numbers of the protocol's documents",
            "grp-trace --numbers adding --as svg --pretty owner.jsonl Ray=relay.jsonl server=server.jsonl > added.svg",
        ),
        ("Follow one relay of many", "grp-trace --about Ray owner.jsonl | jq -r '.steps[] | .what'"),
        ("See the commands to servers as well", "grp-trace --all --pretty owner.jsonl server=server.jsonl"),
    ],
    json: "\"way\" is one of alone, to, lost, answered and unanswered; the last two are those of servers, and \"other\" is \
        the server.",
    see_also: &["grp-relay-invite", "grp-relay-remove", "relay-serve", "smp-serve", "relay-log"],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// Files that were written with --trace, each with the name of the party; `-` is stdin
    #[arg(value_name = "[NAME=]FILE", required = true)]
    traces: Vec<String>,

    /// How to draw
    #[arg(long = "as", value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,

    /// Number the steps as the documents of the protocol do for such a run (default: no numbers)
    #[arg(long, value_name = "RUN", value_enum)]
    numbers: Option<Run>,

    /// Draw commands to servers and everything else that was recorded, not only steps of the protocol
    #[arg(long)]
    all: bool,

    /// Draw only the steps of these names (default: every step)
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    only: Vec<String>,

    /// Leave out steps about anything but these: names of relays, numbers of services, connections (default: every step)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    about: Vec<String>,

    /// Leave out when things happened, so that the same run gives the same bytes
    #[arg(long)]
    without_times: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Lines, with times
    #[default]
    Text,
    /// Source of a Mermaid sequence diagram
    Mermaid,
    /// A picture that needs no other file
    Svg,
}

/// Runs whose steps have numbers in the documents of the protocol.
#[derive(ValueEnum, Debug, Clone, Copy)]
enum Run {
    /// Creating a group and adding relays, in the final document
    Adding,
    /// The same in the older documents, with twelve steps
    AddingBefore,
    /// Joining, posting and reading, in the final document
    Joining,
    /// Removing a relay that is told
    Removing,
    /// Removing a relay that finds out by itself
    RemovingUntold,
}

impl Run {
    fn numbering(self) -> Numbering {
        match self {
            Run::Adding => ADDING,
            Run::AddingBefore => ADDING_BEFORE,
            Run::Joining => JOINING,
            Run::Removing => REMOVING,
            Run::RemovingUntold => REMOVING_UNTOLD,
        }
    }
}

/// What several parties did, in one sequence.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Sequence {
    /// How it is drawn: text, mermaid or svg
    format: Format,
    /// Who took part, in the order of the drawing
    parties: Vec<String>,
    /// What they did, in its order
    steps: Vec<SequenceStep>,
    /// The drawing
    drawing: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct SequenceStep {
    /// The number in the documents of the protocol
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// When, in Unix milliseconds, by the clock of whoever acted
    #[serde(skip_serializing_if = "Option::is_none")]
    at_millis: Option<u64>,
    /// Who acted
    who: String,
    /// Whether somebody else heard of it
    way: String,
    /// Whom it concerned
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<String>,
    /// What happened; absent where an answer says no more than that it came
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    /// Whether it failed
    failed: bool,
}

impl Document for Sequence {
    const TYPE: &'static str = "sequence";
    const V: u32 = 1;

    fn table(&self) -> Option<String> {
        Some(self.drawing.trim_end().to_owned())
    }
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<Sequence, Error> {
    let records = read(&args.traces, ctx)?;
    let view = View {
        numbering: args.numbers.map(Run::numbering).unwrap_or_default(),
        all: args.all,
        times: !args.without_times,
        only: args.only,
        about: args.about,
    };
    let drawing = drawing(&view, &records)?;
    if drawing.lines().is_empty() {
        ctx.warn(
            Code::NothingToDraw,
            "no step of the protocol is left to draw; --all draws everything that was recorded",
        );
    }
    Ok(sequence(args.format, &drawing))
}

fn read(traces: &[String], ctx: &mut Context) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    for trace in traces {
        records.extend(read_one(trace, ctx)?);
    }
    let mut names = HashSet::new();
    match records.iter().find(|record| !names.insert(record.party.as_str())) {
        None => Ok(records),
        Some(record) => Err(Error::new(Code::Usage, format!("two parties are called {}", record.party))
            .hint("give each a name of its own: Ray=relay.jsonl")),
    }
}

fn read_one(trace: &str, ctx: &mut Context) -> Result<Vec<Record>, Error> {
    let named = trace.split_once('=').filter(|(name, _)| !name.contains('/'));
    let (name, file) = named.map_or((None, trace), |(name, file)| (Some(name), file));
    if file.is_empty() || name.is_some_and(str::is_empty) {
        let message = format!("{trace}: expected FILE or NAME=FILE");
        return Err(Error::new(Code::Usage, message).hint("./=FILE is a file whose name begins with ="));
    }
    let bytes = ctx.trace_file(Path::new(file))?;
    let record =
        Record::read(file, &bytes).map_err(|error| error.hint("expected a file that was written with --trace"))?;
    Ok(match name {
        Some(name) => vec![Record { party: name.to_owned(), ..record }],
        None => record.by_who().into_iter().map(|record| Record { party: called(&record.party), ..record }).collect(),
    })
}

fn sequence(format: Format, drawing: &Drawing) -> Sequence {
    let draw = match format {
        Format::Text => sequence::text,
        Format::Mermaid => sequence::mermaid,
        Format::Svg => sequence::svg,
    };
    let steps = drawing.lines().iter().map(described).collect();
    Sequence { format, parties: drawing.parties().to_vec(), steps, drawing: draw(drawing) }
}

fn described(line: &Line) -> SequenceStep {
    let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let way = match line.way {
        Way::Alone => "alone",
        Way::To(_) => "to",
        Way::Lost(_) => "lost",
        Way::Answered(_) => "answered",
        Way::Unanswered(_) => "unanswered",
    };
    SequenceStep {
        number: filled(&line.number),
        at_millis: line.at,
        who: line.who.clone(),
        way: way.to_owned(),
        other: line.way.other().map(str::to_owned),
        what: filled(&line.what),
        failed: line.failed,
    }
}
