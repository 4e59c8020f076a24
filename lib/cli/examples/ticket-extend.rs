//! `ticket-extend`: a tool that shares its state file with other runs, and takes one item per line.

mod ticket;

use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, OrError as _, Shape, Timeout, Tool};
use ticket::{Entry, Ticket};

const TOOL: Tool = Tool {
    name: "ticket-extend",
    about: "Let a ticket be good for longer",
    keeps: &[Shape::of::<Ticket>()],
    writes: &[Shape::of::<Entry>(), Shape::of::<Ticket>()],
    examples: &[("One more minute, then an hour", "printf '60\\n3600\\n' | ticket-extend --state ticket.json")],
    see_also: &["ticket-check"],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    kept: Kept,

    /// Keep others out between the lines
    #[arg(long)]
    hold: bool,

    /// Remove the ticket in the end
    #[arg(long)]
    remove: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let state = ctx.shared_state(&args.kept.state);
    let mut ticket: Option<Ticket> = None;
    for line in ctx.lines("seconds, one number per line", 20)? {
        let line = line?;
        let seconds: u64 = String::from_utf8_lossy(&line).parse().or_error_at(Code::FieldInvalid, "stdin")?;
        cli::block_on(state.lock(Some(args.timeout.duration())))?;
        ticket = state.load_changed()?.or(ticket);
        let ticket = ticket.as_mut().ok_or_else(|| Error::bug("no ticket"))?;
        ticket.expires_at = ticket.expires_at.saturating_add(seconds);
        state.save(ticket)?;
        if !args.hold {
            state.unlock();
        }
        ctx.emit(&Entry { name: ticket.name.clone(), entered_at: ticket.expires_at })?;
    }
    if let Some(ticket) = ticket {
        ctx.emit(&ticket)?;
    }
    if args.remove {
        cli::block_on(state.lock(None))?;
        state.remove()?;
    }
    Ok(())
}
