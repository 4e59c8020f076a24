//! `relay-leave`: a relay leaves a group.

use std::process::ExitCode;

use cli::{Context, Error, Shape, Tool};
use grp::operator::{Obeyed, Target, obey};
use relay::control::OrderCommand;

const TOOL: Tool = Tool {
    name: "relay-leave",
    about: "Make a relay leave a group",
    description: "Orders a running relay to leave a group: it tells everybody under its signature, deletes the link \
        through which members join, and refuses further invitations to the group until relay-allow allows it again. \
        The group is known by its link and by its ID, so that a new link changes nothing.",
    writes: &[Shape::of::<Obeyed>()],
    examples: &[
        ("Leave a group", "relay-leave 'https://smp.example.org/c#…'"),
        ("Leave the group with this number on the relay's page", "relay-leave 3 --control /run/relay.sock"),
    ],
    exit: &[(1, "the relay knows no such group, or has left it already")],
    see_also: &["relay-serve", "relay-allow", "relay-log"],
    ..Tool::NEW
};

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(target: Target, _: &mut Context) -> Result<Obeyed, Error> {
    obey(OrderCommand::Leave, &target)
}
