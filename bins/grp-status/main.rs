//! `grp-status`: what an owner knows of a group.

use std::process::ExitCode;

use cli::{Code, Context, Error, Input, OrError as _, Shape, Tool};
use group::document::GroupState;
use grp::documents::{Group, GroupStatus};

const TOOL: Tool = Tool {
    name: "grp-status",
    about: "Show what an owner knows of a group",
    description: "Takes a group document and shows the group and its relays, without keys, link data and whatever else \
        only programs need; with --pretty as a few lines and a table. Nothing is asked from servers: a relay may have \
        left since. The file need not be free; a run that is at work on it replaces it as a whole.",
    reads: &[Shape::of::<Group>()],
    writes: &[Shape::of::<GroupStatus>()],
    examples: &[
        ("Look at a group", "grp-status group.json | jq ."),
        ("See the relays in a table", "grp-status group.json --pretty"),
        ("Follow a run", "watch -n 1 grp-status group.json --pretty"),
    ],
    see_also: &["grp-relay-invite", "grp-relay-remove", "grp-link-verify", "relay-status"],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    input: Input,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<GroupStatus, Error> {
    let Group(document) = ctx.read(&args.input)?;
    let state = GroupState::try_from(document).or_error_at(Code::FieldInvalid, "group")?;
    Ok(GroupStatus((&state).into()))
}
