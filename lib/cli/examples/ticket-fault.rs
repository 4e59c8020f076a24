//! `ticket-fault`: fails in the ways that the shared main has to survive.
#![allow(clippy::panic, reason = "it shows what happens to a panic")]

mod ticket;

use std::process::ExitCode;

use cli::{Code, Context, Error, Input, Shape, Tool};
use ticket::{Entry, Ticket};

const TOOL: Tool = Tool {
    name: "ticket-fault",
    about: "Fail on request",
    reads: &[Shape::of::<Ticket>()],
    writes: &[Shape::of::<Ticket>()],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    input: Input,

    /// How to fail
    #[arg(long, value_name = "HOW")]
    how: String,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<Ticket, Error> {
    match args.how.as_str() {
        "panic" => panic!("no ticket"),
        "read-twice" => ctx.read(&args.input).and_then(|_: Ticket| ctx.read(&args.input)),
        "undeclared" => ctx.read::<Entry>(&args.input).and_then(|_| ctx.read(&args.input)),
        "hostile" => Err(Error::new(Code::PeerRefused, "server said \x1b[31mno")),
        _ => ctx.read(&args.input),
    }
}
