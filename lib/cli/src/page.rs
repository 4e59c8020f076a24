//! Help, man page, schemas and completions, all made from [`Tool`], the clap command and the document schemas.

use std::fmt::Write as _;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::{Map, Value};

use crate::{Error, Exit, OrError, Shape, Tool};

const COMMON_JSON: &str = "\
Bytes are base64url without padding, times are Unix seconds. Fields that do not apply
are absent, unknown ones are ignored, new ones may appear within one \"v\".
--schema prints JSON Schemas.";

/// A titled part of help and man page; lines are kept as they stand.
struct Section {
    title: &'static str,
    lines: Vec<String>,
}

fn sections(tool: &Tool, command: &Command) -> [Section; 4] {
    [
        Section { title: "EXAMPLES", lines: examples(tool) },
        Section { title: "JSON", lines: json(tool) },
        Section { title: "EXIT STATUS", lines: exit_status(tool) },
        Section { title: "ENVIRONMENT", lines: environment(tool, command) },
    ]
}

/// The first paragraphs of `--help` and the DESCRIPTION of the man page.
pub(crate) fn description(tool: &Tool) -> String {
    [tool.about, tool.description].join(".\n\n").trim_end_matches("\n\n").to_owned()
}

/// Everything of `--help` that follows OPTIONS.
pub(crate) fn help_sections(tool: &Tool, command: &Command) -> String {
    let mut text = String::new();
    for section in sections(tool, command) {
        let _ = writeln!(text, "{}", section.title);
        for line in section.lines {
            let _ = writeln!(text, "{}", format!("  {line}").trim_end());
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

fn examples(tool: &Tool) -> Vec<String> {
    let example = |(remark, line): &(&str, &str)| [format!("{remark}:"), format!("  {line}")];
    tool.examples.iter().flat_map(example).collect()
}

fn json(tool: &Tool) -> Vec<String> {
    let mut lines = Vec::new();
    for (stream, shapes) in streams(tool) {
        for shape in shapes {
            let head = format!("{stream}: {{\"type\":\"{}\",\"v\":{},…}}", shape.kind, shape.v);
            if stream == "stdout" && tool.keeps.contains(shape) {
                lines.push(format!("{head}, the same"));
                lines.push(format!("  without {}", shape.secrets.join(", ")));
            } else {
                lines.push(head);
                fields(&shape.schema(), "", &mut lines);
            }
        }
    }
    lines.extend(tool.json.lines().chain(COMMON_JSON.lines()).map(str::to_owned));
    lines
}

/// Where documents come from and go to.
fn streams(tool: &Tool) -> [(&'static str, &'static [Shape]); 3] {
    [("state", tool.keeps), ("stdin", tool.reads), ("stdout", tool.writes)]
}

/// One line per field of a schema, nested ones by their path.
fn fields(schema: &Value, prefix: &str, lines: &mut Vec<String>) {
    let properties = schema.get("properties").and_then(Value::as_object).map(Map::iter).into_iter().flatten();
    for (name, property) in properties.filter(|(name, _)| !prefix.is_empty() || !is_envelope(name)) {
        let (list, item) = element(property);
        let path = format!("{prefix}{name}{list}");
        let text = described(property).or_else(|| described(item)).unwrap_or_default();
        lines.push(format!("  {path:<22} {text}").trim_end().to_owned());
        fields(item, &format!("{path}."), lines);
    }
}

fn is_envelope(name: &str) -> bool {
    matches!(name, "type" | "v" | "test" | "seed")
}

/// A list stands for what it holds; an optional value for the value.
fn element(schema: &Value) -> (&'static str, &Value) {
    let non_null = |any: &'_ Value| any.get("type").is_none_or(|kind| kind != "null");
    if let Some(items) = schema.get("items") {
        return ("[]", items);
    }
    let options = schema.get("anyOf").and_then(Value::as_array);
    ("", options.and_then(|any| any.iter().find(|any| non_null(any))).unwrap_or(schema))
}

fn described(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    let first = text.split("\n\n").next().unwrap_or_default();
    Some(first.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn exit_status(tool: &Tool) -> Vec<String> {
    let known = Exit::ALL.iter().filter(|(exit, _)| tool.server || *exit != Exit::Terminated);
    let line = |(exit, meaning): &(Exit, &'static str)| {
        let exact = tool.exit.iter().find(|(status, _)| *status == exit.status());
        format!("{:<4} {}", exit.status(), exact.map_or(*meaning, |(_, meaning)| meaning))
    };
    known.map(line).collect()
}

fn environment(tool: &Tool, command: &Command) -> Vec<String> {
    let flag = |arg: &clap::Arg| {
        let (variable, long) = (arg.get_env()?.to_str()?, arg.get_long()?);
        Some(format!("{variable:<18} --{long}"))
    };
    let mut lines: Vec<_> = command.get_arguments().filter_map(flag).collect();
    let own = tool.environment.iter().map(|(name, meaning)| format!("{name:<18} {meaning}"));
    lines.extend(own);
    lines.push(format!("{:<18} --json-errors", "GRP_ERRORS=json"));
    lines.push(format!("{:<18} no color, like TERM=dumb; --color wins", "NO_COLOR"));
    lines
}

/// The man page as roff.
pub(crate) fn man(tool: &Tool, command: &Command) -> Result<String, Error> {
    let command = command.clone().mut_args(|arg| arg.hide_short_help(false));
    let man = Man::new(command.clone()).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| synopsis(tool, command.clone()).to_writer(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| own_sections(tool, &command).to_writer(&mut page))
        .or_error_at(crate::Code::Bug, "man page")?;
    Ok(format!("{APOSTROPHE}{}", String::from_utf8_lossy(&page).replace(APOSTROPHE, "")))
}

/// What roff writes before each part; once is enough.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

fn synopsis(tool: &Tool, mut command: Command) -> Roff {
    let usage = command.render_usage().to_string();
    let arguments = usage.split_once(tool.name).map_or("", |(_, arguments)| arguments);
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(tool.name), roman(arguments)]);
    roff
}

fn own_sections(tool: &Tool, command: &Command) -> Roff {
    let mut roff = Roff::new();
    for section in sections(tool, command) {
        roff.control("SH", [section.title]);
        roff.control("nf", []);
        for line in &section.lines {
            roff.text([roman(line.as_str())]);
        }
        roff.control("fi", []);
    }
    roff.control("SH", ["SEE ALSO"]);
    let pages: Vec<_> = tool.see_also.iter().map(|name| format!("{name}(1)")).collect();
    roff.text([roman(if pages.is_empty() { "jq(1)".to_owned() } else { pages.join(", ") })]);
    roff
}

/// `{"state":…,"stdin":…,"stdout":…}`; what has no documents is absent.
pub(crate) fn schema(tool: &Tool) -> Value {
    let mut schema = Map::new();
    for (stream, shapes) in streams(tool) {
        let mut schemas: Vec<_> = shapes.iter().map(Shape::schema).collect();
        match schemas.len() {
            0 => continue,
            1 => schema.insert(stream.to_owned(), schemas.remove(0)),
            _ => schema.insert(stream.to_owned(), serde_json::json!({ "anyOf": schemas })),
        };
    }
    schema.into()
}

/// Name and version; with `verbose` what is spoken and what was built.
pub(crate) fn version(tool: &Tool, verbose: bool) -> String {
    let mut text = format!("{} {}\n", tool.name, crate::VERSION);
    if verbose {
        for (protocol, versions) in tool.protocols {
            let _ = writeln!(text, "{protocol} {versions}");
        }
        let build = option_env!("GRP_BUILD").unwrap_or(if cfg!(debug_assertions) { "debug" } else { "release" });
        let _ = writeln!(text, "build {build}");
    }
    text
}

/// The completion script of a shell.
pub(crate) fn completions(tool: &Tool, mut command: Command, shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, tool.name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
