//! `ticket-serve`: a server that says when it is ready and drains when it is told to.
#![allow(clippy::expect_used, reason = "it shows what happens to a panic")]

mod ticket;

use std::process::ExitCode;

use cli::{Context, Error, Shape, Tool};
use ticket::Entry;

const TOOL: Tool = Tool {
    name: "ticket-serve",
    about: "Let people in until told to stop",
    writes: &[Shape::of::<Entry>()],
    examples: &[("Start the door", "ticket-serve")],
    server: true,
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// Panic in a background task first
    #[arg(long)]
    panic: bool,

    /// Never end by itself, not even after the drain
    #[arg(long)]
    stubborn: bool,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    cli::serve(|mut shutdown| async move {
        if args.panic {
            let _ = tokio::spawn(async { std::hint::black_box::<Option<()>>(None).expect("somebody is at the door") })
                .await;
        }
        let now = ctx.now();
        ctx.emit(&Entry { name: "ready".to_owned(), entered_at: now })?;
        shutdown.requested().await;
        ctx.emit(&Entry { name: "drained".to_owned(), entered_at: now })?;
        if args.stubborn { std::future::pending().await } else { Ok(()) }
    })
}
