//! `grp-send`: says something in a group, through all of its relays.

mod say;
mod speaker;

use std::process::ExitCode;

use cli::{Blob, Code, Context, Error, Kept, Shape, Timeout, Tool};
use codec::text::from_base64url;
use grp::documents::{Group, Member};
use grp::held::lock;
use say::{GroupSent, Say, SentStatus};
use speaker::Speaker;

/// A line of stdin.
const MAX_LINE: usize = 1 << 20;

const TOOL: Tool = Tool {
    name: "grp-send",
    about: "Say something in a group",
    description: "Says something in a group as the member, or as the owner, that the state file belongs to: one message, \
        the same for all relays that are connected, which pass it on to the members. Posts, replies, edits, deletions, \
        reactions and files that were stored somewhere are written as JSON lines of type \"say\"; a text alone may be an \
        argument. For each message one line is printed, with its ID and how far it is on its way to each relay.\n\n\
        What is signed can be shown to others as proof of who said it. What is not can be denied, and forged by relays: \
        members compare what several of them deliver. Edits and deletions of signed messages are signed as well, and so \
        is what moderators delete; reactions never are.\n\n\
        Owners may speak as the group: then members are not told which owner it was, unless it is signed. With a single \
        owner everybody knows, and it is refused unless --force is given.\n\n\
        A message is in the state file before anything is sent. What could not be sent is sent by the next run. Members \
        need not receive for that; owners do what else is due, as grp-relay-invite does. Other commands on the same file \
        have to wait for this one.",
    reads: &[Shape::of::<Say>()],
    keeps: &[Shape::of::<Member>(), Shape::of::<Group>()],
    writes: &[Shape::of::<GroupSent>()],
    examples: &[
        ("Post as the owner", "grp-send --state group.json --sign 'No walk today' | jq -r .message_id"),
        (
            "Edit what was said",
            "jq -nc --arg id \"$ID\" '{type: \"say\", v: 1, edit: $id, text: \"Better\"}' | grp-send --state group.json",
        ),
        (
            "React to everything",
            "grp-recv --state walks.json | jq -c 'select(.happened == \"said\") | \
             {type: \"say\", v: 1, react_to: .message_id, emoji: \"👍\"}' | grp-send --state walks.json",
        ),
    ],
    exit: &[(5, "a relay does not have everything yet: the next run goes on")],
    see_also: &["grp-join", "grp-recv", "grp-relay-invite"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// The text of one post; without it, JSON lines of type `say` are read from stdin
    #[arg(value_name = "TEXT")]
    text: Option<String>,

    #[command(flatten)]
    kept: Kept,

    /// Sign it, whatever a line says
    #[arg(long)]
    sign: bool,

    /// Say it as the group, whatever a line says
    #[arg(long)]
    as_group: bool,

    /// Speak as the group even if there is no other owner
    #[arg(long)]
    force: bool,

    /// The message that TEXT answers
    #[arg(long, value_name = "ID", requires = "text")]
    reply_to: Option<String>,

    /// Take part in a group whose keys come from a seed
    #[arg(long)]
    allow_test: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let says = says(&args, ctx)?;
    let state = lock(&args.kept, args.timeout, ctx)?;
    let speaker = Speaker::open(state, &args.kept)?;
    ctx.refuse_test(args.allow_test || speaker.is_owner())?;
    cli::block_on(async {
        let sent = speaker.say(&says, args.timeout, ctx).await?;
        let waits = |sent: &GroupSent| sent.relays.iter().any(|relay| relay.status == SentStatus::Waiting);
        let waiting = sent.iter().filter(|sent| waits(sent)).count();
        for sent in &sent {
            ctx.emit(sent)?;
        }
        if waiting > 0 {
            let message = format!("{waiting} messages are not with every relay after {} s", args.timeout.timeout);
            return Err(Error::new(Code::NotYet, message).hint("the next run goes on"));
        }
        Ok(())
    })
}

/// Everything that is to be said: nothing is, if a line is malformed.
fn says(args: &Args, ctx: &mut Context) -> Result<Vec<group::membership::Speech>, Error> {
    let with_flags = |say: Say| Say { sign: say.sign || args.sign, as_group: say.as_group || args.as_group, ..say };
    if let Some(text) = &args.text {
        let reply_to = args.reply_to.as_deref().map(|id| id_argument("--reply-to", id)).transpose()?;
        let say = Say { text: Some(text.clone()), reply_to, ..Say::default() };
        return Ok(vec![with_flags(say).speech(args.force)?]);
    }
    let mut says = Vec::new();
    let mut lines = ctx.lines("lines of type `say`", MAX_LINE)?;
    while let Some(line) = lines.next() {
        let number = lines.number();
        let say = Say::parse(&line?).map_err(|error| error.at("stdin").line(number))?;
        says.push(with_flags(say).speech(args.force).map_err(|error| error.at("stdin").line(number))?);
    }
    Ok(says)
}

fn id_argument(flag: &str, text: &str) -> Result<Blob, Error> {
    from_base64url(text).map(Blob).map_err(|_| Error::new(Code::Usage, format!("{flag}: not the ID of a message")))
}
