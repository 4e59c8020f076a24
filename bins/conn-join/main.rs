//! `conn-join`: the other end of a connection, through somebody's link.

use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, Shape, Timeout, Tool};
use grp::connection::args::{Info, PostQuantum, ReceiveAt};
use grp::connection::documents::{Connection, ConnectionSeen, Role, Status};
use grp::connection::keep::Notes;
use grp::connection::link::{self, LinkArgument};
use grp::connection::running::{Running, Watch};
use grp::connection::session::Session;

const TOOL: Tool = Tool {
    name: "conn-join",
    about: "Connect through the link of a peer",
    description: "Takes a link, full or short, to an invitation or to a contact address, and makes this side of a \
        connection in a new state file. Returns when the peer's server has taken the confirmation or the request: the \
        peer need not be there. With --wait it goes on until both sides can send.\n\n\
        A short link is read first: of an invitation with LKEY, which also secures the peer's queue with our key, so \
        that nobody else can use the link any more; of an address with LGET. What the link says is printed as \
        \"link_data\".\n\n\
        Through an invitation: SKEY secures the peer's queue (where LKEY has not), NEW creates ours, SEND carries the \
        confirmation: our keys for the ratchet and, encrypted by it, the address of our queue and --info. Messages can \
        be sent from then on. The peer answers with SKEY and SEND to our queue; that is what --wait waits for.\n\n\
        Through a contact address: NEW creates our queue, SEND carries an invitation to it and --info, unsigned and \
        encrypted for the owner of the address alone. When the owner accepts, its confirmation comes; this side then \
        sends SKEY and SEND, while --wait waits or in conn-recv.\n\n\
        Every command follows from what the state file holds. A run that was cut off is repeated with the same command, \
        and sends again, byte for byte, what may not have arrived.",
    keeps: &[Shape::of::<Connection>()],
    reads: &[Shape::of::<ConnectionSeen>()],
    writes: &[Shape::of::<Connection>()],
    examples: &[
        (
            "Invite, and join through a pipe",
            "conn-invite --state alice.json --server \"$SERVER\" | conn-join --state bob.json --server \"$SERVER\"",
        ),
        ("Look at what the link says", "conn-join \"$LINK\" --state bob.json --server \"$SERVER\" | jq .link_data"),
        ("Wait until the peer has accepted", "conn-join --state bob.json --wait --timeout 600"),
    ],
    exit: &[(
        1,
        "there is nothing under the link any more, what it says is not signed by its owner, or it takes no requests",
    )],
    see_also: &["conn-invite", "conn-accept", "conn-send", "conn-recv"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    link: LinkArgument,

    #[command(flatten)]
    kept: Kept,

    #[command(flatten)]
    receive_at: ReceiveAt,

    #[command(flatten)]
    info: Info,

    /// Whether encryption is to be post-quantum
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pq: PostQuantum,

    /// Wait until both sides can send
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let mut session = Session::new(ctx, &args.kept, args.timeout);
    cli::block_on(async {
        match session.document().await? {
            Some(document) => check_repeated(&args, &document)?,
            None => open(&args, &mut session).await?,
        }
        let document = session.existing().await?;
        if !document.is_joined() || (args.wait && !document.is_connected()) {
            let watch = if args.wait { Watch::Answer } else { Watch::Send };
            session.run(watch, async |running| work(&args, running).await).await?;
        }
        session.emit_document().await
    })
}

/// A command may be repeated, but not to join something else.
fn check_repeated(args: &Args, document: &Connection) -> Result<(), Error> {
    if document.role != Role::Joiner
        || args.link.given().is_some_and(|link| document.peer_link.as_deref() != Some(link))
    {
        return Err(Error::new(Code::Usage, "--state: this file holds another connection"));
    }
    args.receive_at.check_repeated(document)
}

/// Begins with the link. Nothing is sent yet.
async fn open(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let ctx = session.context();
    let plan = args.receive_at.plan(ctx)?;
    let text = args.link.text(ctx)?;
    let (link, settings) = (link::parse(&text, &[plan.server])?, args.pq.settings());
    let notes = Notes { role: Role::Joiner, peer_link: Some(text), ..Notes::default() };
    session.begin("open", notes, |env| Ok(agent::connection::Connection::open(link, &settings, env))).await
}

/// Reads the link, joins, and waits for what is to be waited for.
async fn work(args: &Args, running: &mut Running<'_>) -> Result<(), Error> {
    running.show("reading the link");
    running.until(Connection::is_read).await?;
    if running.document()?.status == Status::Read {
        let plan = args.receive_at.plan(running.context())?;
        running.join(plan, args.info.bytes()).await?;
    }
    running.show("joining");
    running.until(Connection::is_joined).await?;
    if args.wait {
        running.show("waiting for the peer to accept");
        running.connected().await?;
    }
    Ok(())
}
