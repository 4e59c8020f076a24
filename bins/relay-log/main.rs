//! `relay-log`: everything that happened with groups on a relay.

use std::process::ExitCode;

use cli::{Code, Context, Error, OrError as _, Shape, Tool};
use grp::operator::{ControlArgs, LogLine, give, group_name};
use relay::control::{Order, OrderCommand};

const TOOL: Tool = Tool {
    name: "relay-log",
    about: "Print what happened with groups on a relay",
    description: "Asks a running relay for its log: one line for every invitation, status, connection, roster, member that \
        comes or goes, look at the group link and failure, in the order of services and their lines. Nothing that people wrote is in it.",
    writes: &[Shape::of::<LogLine>()],
    examples: &[
        ("When a group became active", "relay-log 3 | jq 'select(.status == \"active\") | .at'"),
        ("Everything", "relay-log > relay.jsonl"),
    ],
    json: "\"event\" is one of invited, repeated, group_read, status, refused, link_planned, connection, said, ignored, \
        roster, member, checked, replayed, retry, failed and admission; more may come.",
    see_also: &["relay-serve", "relay-status", "relay-leave", "relay-allow", "relay-suspend"],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// The group: its link, its ID, or the number that the relay gave it; without it, all groups
    #[arg(value_name = "GROUP")]
    group: Option<String>,

    #[command(flatten)]
    relay: ControlArgs,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let group = args.group.as_deref().map(group_name).transpose()?;
    let order = Order { command: OrderCommand::Log, group };
    give(&order, &args.relay, |line| {
        let line: LogLine = serde_json::from_value(line).or_error_at(Code::PeerProtocol, "the relay")?;
        ctx.emit(&line)
    })?;
    Ok(())
}
