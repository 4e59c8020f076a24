//! `conn-recv`: receives what comes through a connection or a contact address.

mod printer;

use std::ops::ControlFlow;
use std::process::ExitCode;

use cli::{Code, Context, Error, Kept, Shape, Timeout, Tool};
use grp::connection::documents::Connection;
use grp::connection::documents::events::{Confirmed, Connected, Message, PeerInfo, Receipt, Request};
use grp::connection::running::{Running, Told, Watch};
use grp::connection::session::Session;
use printer::Printer;

const TOOL: Tool = Tool {
    name: "conn-recv",
    about: "Receive messages through a connection",
    description: "Prints what has arrived, one line each: messages, receipts, and what happens to the connection. \
        Without more it ends when the server has nothing left; with --count N when N messages were printed; with \
        --follow it goes on until it is stopped.\n\n\
        SUB asks the server for the queue's messages, one at a time. Each is decrypted and kept in the state file, then \
        printed, and only then acknowledged with ACK: the server keeps it until it is on stdout. A run that is cut off \
        in between prints the message again; its number tells. With --receipts the peer is told by a message of ours, \
        which is a SEND to its queue.\n\n\
        On the way it does what else is due: messages left behind by conn-send, the end of a handshake that conn-join \
        began. An invitation that was used prints a line of type confirmed: conn-accept lets the peer in.\n\n\
        Other programs may use the state file while this one waits. A second program that receives from the same queue \
        takes it over; this one then ends.",
    keeps: &[Shape::of::<Connection>()],
    writes: &[
        Shape::of::<Message>(),
        Shape::of::<Receipt>(),
        Shape::of::<Connected>(),
        Shape::of::<PeerInfo>(),
        Shape::of::<Confirmed>(),
        Shape::of::<Request>(),
    ],
    examples: &[
        ("Print what has come", "conn-recv --state bob.json | jq -r 'select(.type == \"message\").text'"),
        ("Wait for one message", "conn-recv --state bob.json --count 1 --timeout 600"),
        ("Go on, with receipts", "conn-recv --state bob.json --follow --receipts >> messages.jsonl"),
    ],
    exit: &[
        (4, "another program receives from the queue now; a local file"),
        (5, "fewer than --count messages came in time, or a server cannot be reached: try again"),
    ],
    see_also: &["conn-send", "conn-join", "conn-accept"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    #[command(flatten)]
    kept: Kept,

    /// Go on until stopped
    #[arg(long, conflicts_with = "count")]
    follow: bool,

    /// Wait until N messages have come
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Tell the peer which messages have arrived
    #[arg(long)]
    receipts: bool,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let mut session = match args.follow {
        true => Session::patient(ctx, &args.kept, args.timeout),
        false => Session::new(ctx, &args.kept, args.timeout),
    };
    let mut printer = Printer::new(args.receipts);
    cli::block_on(async {
        if !session.existing().await?.receives() {
            return Err(Error::new(Code::NotYet, "nothing can be received yet").hint("conn-join has not joined"));
        }
        let watch = if args.follow { Watch::Follow } else { Watch::Receive };
        session.run(watch, async |running| work(&args, &mut printer, running).await).await
    })
}

async fn work(args: &Args, printer: &mut Printer, running: &mut Running<'_>) -> Result<(), Error> {
    if !args.follow && args.count.is_none() {
        return running
            .drain(async |running, event| printer.take(event, running).await.map(ControlFlow::Continue))
            .await;
    }
    running.show("waiting for messages");
    while args.count.is_none_or(|count| printer.messages() < count) {
        if let Told::Event(event) = running.next().await? {
            printer.take(event, running).await?;
        }
    }
    Ok(())
}
