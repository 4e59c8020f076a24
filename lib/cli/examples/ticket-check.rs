//! `ticket-check`: a tool that reads a document, from a pipe, a file or a state file, and answers yes or no.

mod ticket;

use std::process::ExitCode;

use cli::{Code, Context, Error, Shape, Source, Step, Timeout, Tool};
use ticket::{Entry, Ticket};

const TOOL: Tool = Tool {
    name: "ticket-check",
    about: "Let in who has a good ticket",
    reads: &[Shape::of::<Ticket>()],
    writes: &[Shape::of::<Entry>()],
    examples: &[("Issue a ticket and use it", "ticket-issue --name Ada | ticket-check")],
    exit: &[(1, "the ticket has expired")],
    see_also: &["ticket-issue"],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    source: Source,

    /// Ask somebody who never answers
    #[arg(long)]
    ask: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<Entry, Error> {
    let (mut ticket, state) = ctx.open::<Ticket>(&args.source)?;
    if ctx.now() >= ticket.expires_at {
        return Err(Error::new(Code::CheckFailed, format!("the ticket of {} has expired", ticket.name)));
    }
    ticket.expires_at = ctx.now();
    state.save(&ticket)?;
    if args.ask {
        let _progress = ctx.progress("asking");
        cli::block_on(args.timeout.limit("door.example", std::future::pending()))?;
    }
    ctx.trace().step(Step { who: "guest", to: "door", name: "ticket_check", outcome: "ok", ..Step::default() });
    Ok(Entry { name: ticket.name, entered_at: ctx.now() })
}
