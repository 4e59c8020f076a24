//! `relay-allow`: a relay takes invitations to a group again.

use std::process::ExitCode;

use cli::{Context, Error, Shape, Tool};
use grp::operator::{Obeyed, Target, obey};
use relay::control::OrderCommand;

const TOOL: Tool = Tool {
    name: "relay-allow",
    about: "Let a relay be invited again to a group that it left",
    description: "Orders a running relay to take invitations again to a group that it left with relay-leave. No owner is \
        told: the next invitation succeeds.",
    writes: &[Shape::of::<Obeyed>()],
    examples: &[("Allow a group by its ID", "relay-allow Vkdap1RjR0wChd9dvyvKtz2mUTWIOem3dIGy6rEHcIw")],
    exit: &[(1, "the relay knows no such group, or has not left it")],
    see_also: &["relay-serve", "relay-leave", "relay-log"],
    ..Tool::NEW
};

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(target: Target, _: &mut Context) -> Result<Obeyed, Error> {
    obey(OrderCommand::Allow, &target)
}
