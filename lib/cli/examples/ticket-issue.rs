//! `ticket-issue`: a tool without input that makes a document with a secret.

mod ticket;

use std::process::ExitCode;

use cli::{Bytes, Context, Error, Secret, Shape, Step, Tool};
use ticket::Ticket;

const TOOL: Tool = Tool {
    name: "ticket-issue",
    about: "Issue a ticket",
    description: "The ticket holds a secret key. Keep it in a file with --out; stdout then carries the public part.",
    writes: &[Shape::of::<Ticket>()],
    examples: &[
        ("Issue a ticket and use it", "ticket-issue --name Ada | ticket-check"),
        ("Keep the secret in a file", "ticket-issue --name Ada --out ada.json"),
    ],
    see_also: &["ticket-check"],
    protocols: &[("ticket", "1")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// Who may enter (required)
    #[arg(long, value_name = "NAME")]
    name: String,

    /// Seconds for which the ticket is good
    #[arg(long, value_name = "SECS", default_value_t = 3600)]
    valid_secs: u64,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<Ticket, Error> {
    let mut random = ctx.random("ticket_issue");
    let number = Bytes(crypto::random::array(random.as_mut()));
    let key = Secret::new(crypto::random::array(random.as_mut()));
    ctx.trace().step(Step { who: "office", name: "ticket_issue", outcome: "ok", ..Step::default() });
    Ok(Ticket { name: args.name, number, expires_at: ctx.now().saturating_add(args.valid_secs), key })
}
