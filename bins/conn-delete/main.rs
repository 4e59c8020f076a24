//! `conn-delete`: ends a connection or a contact address.

use std::process::ExitCode;

use agent::connection::{Delivery, Event};
use cli::{Context, Error, Kept, Shape, Timeout, Tool};
use grp::connection::documents::Connection;
use grp::connection::documents::events::Deleted;
use grp::connection::fault::task_error;
use grp::connection::running::{Running, Told, Watch};
use grp::connection::session::Session;

const TOOL: Tool = Tool {
    name: "conn-delete",
    about: "End a connection or a contact address",
    description: "Deletes the queue through which this side receives, with DEL, and then the state file: no key is left. \
        The peer is not told; its messages are refused from then on. Messages of ours that wait in the state file are \
        dropped, or with --after-delivery sent first.\n\n\
        With --suspend the queue only refuses further messages: OFF. What has come can still be received.\n\n\
        A run that was cut off is repeated with the same command. A state file from which nothing was sent yet is \
        simply removed.",
    keeps: &[Shape::of::<Connection>()],
    writes: &[Shape::of::<Deleted>(), Shape::of::<Connection>()],
    examples: &[
        ("End a connection", "conn-delete --state alice.json"),
        ("Deliver what waits first", "conn-delete --state alice.json --after-delivery --timeout 600"),
        ("Refuse further messages", "conn-delete --state alice.json --suspend | jq -r .status"),
    ],
    see_also: &["conn-invite", "conn-join"],
    protocols: &[("SMP", "15-18")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    kept: Kept,

    /// Send first what waits to be sent
    #[arg(long, conflicts_with = "suspend")]
    after_delivery: bool,

    /// Refuse further messages, and keep the rest
    #[arg(long)]
    suspend: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let mut session = Session::new(ctx, &args.kept, args.timeout);
    cli::block_on(async {
        session.existing().await?;
        if args.suspend { suspend(&mut session).await } else { delete(&args, &mut session).await }
    })
}

async fn suspend(session: &mut Session<'_>) -> Result<(), Error> {
    session
        .step("suspend", |connection, _| {
            connection.suspend();
            Ok(())
        })
        .await?;
    if !session.existing().await?.is_suspended() {
        session.run(Watch::Send, async |running| running.until(Connection::is_suspended).await).await?;
    }
    session.emit_document().await
}

async fn delete(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let delivery = if args.after_delivery { Delivery::Await } else { Delivery::Drop };
    let events = session.step("delete", |connection, env| Ok(connection.delete(delivery, env))).await?;
    let mut deleted = events.into_iter().find_map(deleted_by);
    if deleted.is_none() && session.keep().exists() {
        deleted = Some(session.run(Watch::Send, async |running| gone(running).await).await?);
    }
    session.context().emit(&deleted.unwrap_or(Deleted { left_behind: None }))
}

async fn gone(running: &mut Running<'_>) -> Result<Deleted, Error> {
    running.show("deleting");
    loop {
        if let Told::Event(event) = running.next().await? {
            match event {
                Event::Deleted(_) => return Ok(deleted_by(event).unwrap_or(Deleted { left_behind: None })),
                event => running.refuse_failure(event)?,
            }
        }
    }
}

fn deleted_by(event: Event) -> Option<Deleted> {
    match event {
        Event::Deleted(fault) => Some(Deleted { left_behind: fault.map(|fault| task_error(fault).to_string()) }),
        _ => None,
    }
}
