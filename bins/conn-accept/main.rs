//! `conn-accept`: lets in who used an invitation, or answers a request to a contact address.

mod request;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use agent::connection::Event;
use cli::{Code, Context, Error, Kept, Shape, Timeout, Tool};
use grp::connection::args::{Info, ReceiveAt};
use grp::connection::documents::events::{Confirmed, Request};
use grp::connection::documents::{Connection, Role, Status};
use grp::connection::running::{Running, Watch};
use grp::connection::session::Session;

const TOOL: Tool = Tool {
    name: "conn-accept",
    about: "Let in who used an invitation, or answer a request to a contact address",
    description: "Waits, up to --timeout, until somebody has used the link, then lets them in: after an invitation on \
        the same connection, after a request to a contact address on a new one, which begins in --into FILE.\n\n\
        Invitation: SUB takes the peer's confirmation from the queue, ACK acknowledges it; its keys start the ratchet. \
        Letting the peer in is SKEY, which secures the peer's queue for us, and SEND of our confirmation with --info, \
        encrypted by the ratchet. Nothing is sent to a peer that is not let in: conn-delete is how to refuse it.\n\n\
        Contact address: SUB and ACK as above give the next request, or --request N says which. Accepting it joins the \
        invitation in it, as conn-join does: SKEY, NEW and SEND from the state file --into. Rejecting sends nothing. A \
        request that was accepted in a run that was cut off is found again in --into.\n\n\
        --list shows what waits and answers nothing.",
    keeps: &[Shape::of::<Connection>()],
    writes: &[Shape::of::<Connection>(), Shape::of::<Confirmed>(), Shape::of::<Request>()],
    examples: &[
        ("Let the peer in", "conn-accept --state alice.json --timeout 600 | jq '{status, post_quantum, peer_info}'"),
        ("See who asks", "conn-accept --state contact.json --list | jq -c '{id, text}'"),
        ("Accept the next request", "conn-accept --state contact.json --into carol.json --server \"$SERVER\""),
        ("Refuse one", "conn-accept --state contact.json --request 2 --reject"),
    ],
    exit: &[(5, "nobody has used the link yet, or a server cannot be reached: try again")],
    see_also: &["conn-invite", "conn-join", "conn-delete"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    kept: Kept,

    #[command(flatten)]
    info: Info,

    /// Wait until both sides can send
    #[arg(long)]
    wait: bool,

    /// Show what waits, and answer nothing
    #[arg(long, conflicts_with_all = ["info", "wait", "into", "reject"])]
    list: bool,

    /// Answer this request to a contact address [default: the next]
    #[arg(long, value_name = "N")]
    request: Option<u64>,

    /// Begin the connection to whoever asked in this new state file
    #[arg(long, value_name = "FILE", conflicts_with = "reject", requires = "server")]
    into: Option<PathBuf>,

    /// Reject the request
    #[arg(long)]
    reject: bool,

    #[command(flatten)]
    receive_at: ReceiveAt,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let mut session = Session::new(ctx, &args.kept, args.timeout);
    cli::block_on(async {
        let document = session.existing().await?;
        match document.role {
            _ if args.list => list(&mut session).await,
            Role::Address => request::answer(&args, &mut session).await,
            Role::Inviter | Role::Joiner => let_in(&args, &document, &mut session).await,
        }
    })
}

/// Shows what waits.
async fn list(session: &mut Session<'_>) -> Result<(), Error> {
    let drain = async |running: &mut Running<'_>| {
        running.drain(look).await?;
        running.document()
    };
    let document = session.run(Watch::Answer, drain).await?;
    let ctx = session.context();
    for request in &document.requests {
        ctx.emit(request)?;
    }
    if document.status == Status::Confirmed {
        ctx.emit(&Confirmed { info: document.peer_info.clone().unwrap_or_default() })?;
    }
    Ok(())
}

/// What the peer has sent already waits for conn-recv, and the server delivers nothing else before it.
async fn look(running: &mut Running<'_>, event: Event) -> Result<ControlFlow<()>, Error> {
    match event {
        Event::Message(_) | Event::Receipts { .. } => Ok(ControlFlow::Break(())),
        event => running.refuse_failure(event).map(|()| ControlFlow::Continue(())),
    }
}

/// Lets in whoever used the invitation.
async fn let_in(args: &Args, document: &Connection, session: &mut Session<'_>) -> Result<(), Error> {
    if args.into.is_some() || args.reject || args.request.is_some() {
        return Err(Error::new(Code::Usage, "--request, --into and --reject are for contact addresses"));
    }
    if document.role == Role::Joiner && !document.asks() {
        return Err(Error::new(Code::Usage, "this side has joined; it is the peer who accepts"));
    }
    if !document.is_allowed() || (args.wait && !document.is_connected()) {
        session.run(Watch::Answer, async |running| work(args, running).await).await?;
    }
    session.emit_document().await
}

async fn work(args: &Args, running: &mut Running<'_>) -> Result<(), Error> {
    running.show("waiting for somebody to use the link");
    running.until(Connection::is_confirmed).await?;
    if running.document()?.status == Status::Confirmed {
        running.allow(args.info.bytes()).await?;
    }
    running.show("letting the peer in");
    running.until(Connection::is_allowed).await?;
    if args.wait {
        running.connected().await?;
    } else if running.document()?.is_connected() {
        running.heard().await?;
    }
    Ok(())
}
