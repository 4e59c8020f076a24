//! `relay-suspend`: a relay admits no members to a group for a while.

use std::process::ExitCode;

use cli::{Context, Error, Shape, Tool};
use grp::operator::{Obeyed, Target, obey};
use relay::control::OrderCommand;

const TOOL: Tool = Tool {
    name: "relay-suspend",
    about: "Keep new members out of a group on a relay",
    description: "Orders a running relay to admit no members to a group; those who are there stay. Their requests wait. \
        --resume ends it. An owner can do the same for itself; members are admitted when neither keeps them out.",
    writes: &[Shape::of::<Obeyed>()],
    examples: &[
        ("Admit nobody", "relay-suspend 'https://smp.example.org/c#…'"),
        ("Admit members again", "relay-suspend 'https://smp.example.org/c#…' --resume"),
    ],
    exit: &[(1, "the relay knows no such group, or does not serve it")],
    see_also: &["relay-serve", "relay-leave", "relay-log"],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    target: Target,

    /// Admit members again
    #[arg(long)]
    resume: bool,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, _: &mut Context) -> Result<Obeyed, Error> {
    obey(if args.resume { OrderCommand::Resume } else { OrderCommand::Suspend }, &args.target)
}
