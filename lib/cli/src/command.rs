//! The clap command of a tool: its own arguments, the shared ones, and one environment variable per flag.

use std::ffi::OsString;

use clap::builder::FalseyValueParser;
use clap::{Arg, ArgAction, Args, Command};

use crate::args::{Common, Out};
use crate::{Code, Error, Tool, page};

/// Width of help on every terminal, so that it reads the same everywhere.
const WIDTH: usize = 90;

/// Flags without a variable: what they do must be asked for on the very command line.
const WITHOUT_VARIABLE: &[&str] =
    &["help", "version", "schema", "man", "completions", "json", "json_errors", "out", "force", "seed_file"];

/// Builds the command of a tool whose own arguments are `A`.
pub(crate) fn build<A: Args>(tool: &Tool) -> Command {
    let command = A::augment_args(Command::new(tool.name));
    let command = if tool.has_out() { Out::augment_args(command) } else { command };
    let command = Common::augment_args(command)
        .about(tool.about)
        .version(crate::VERSION)
        .long_about(page::description(tool))
        .disable_version_flag(true)
        .args_override_self(false)
        .color(clap::ColorChoice::Never)
        .term_width(WIDTH)
        .mut_args(with_variable);
    let sections = page::help_sections(tool, &command);
    let template = template(&command);
    command
        .after_help("--help shows more flags, examples, JSON fields and exit statuses.")
        .after_long_help(sections)
        .help_template(template)
}

fn template(command: &Command) -> String {
    let positionals = if command.get_positionals().next().is_some() { "{positionals}\n" } else { "" };
    format!("{{about-with-newline}}\nUSAGE\n  {{usage}}\n\nOPTIONS\n{positionals}{{options}}{{after-help}}")
}

/// `--json-errors` is `GRP_ERRORS=json`; every other flag `--some-name` is `GRP_SOME_NAME`.
fn with_variable(arg: Arg) -> Arg {
    let Some(long) = arg.get_long() else { return arg };
    if WITHOUT_VARIABLE.contains(&arg.get_id().as_str()) {
        return arg;
    }
    let variable = format!("GRP_{}", long.to_uppercase().replace('-', "_"));
    let arg = arg.env(variable).hide_env(true);
    if matches!(arg.get_action(), ArgAction::SetTrue) { arg.value_parser(FalseyValueParser::new()) } else { arg }
}

/// Whether errors are to be JSON, known even if the command line cannot be parsed.
pub(crate) fn wants_json_errors(argv: &[OsString]) -> bool {
    std::env::var_os("GRP_ERRORS").is_some_and(|value| value == "json") || flags(argv).any(|arg| arg == "--json-errors")
}

/// The arguments before `--`, without the name of the program.
pub(crate) fn flags(argv: &[OsString]) -> impl Iterator<Item = &str> {
    argv.iter().skip(1).map_while(|arg| (arg != "--").then(|| arg.to_str().unwrap_or_default()))
}

/// clap's refusal in our words: its first paragraph is the message, its suggestion the hint.
pub(crate) fn usage_error(error: &clap::Error) -> Error {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let message = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let tip = paragraphs.find_map(|paragraph| paragraph.trim().strip_prefix("tip: "));
    Error::new(Code::Usage, message).hint(tip.unwrap_or("--help tells what may be given"))
}

/// Help as clap renders it, without the spaces it leaves at line ends.
pub(crate) fn without_trailing_spaces(help: &clap::Error) -> String {
    help.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
