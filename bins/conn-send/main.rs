//! `conn-send`: sends messages through a connection.

mod bodies;

use std::collections::VecDeque;
use std::process::ExitCode;

use agent::connection::{Accepted, Event, SendOptions};
use agent::time::Env;
use bodies::Bodies;
use cli::{Blob, Context, Error, Kept, Shape, Timeout, Tool};
use grp::connection::args::PostQuantum;
use grp::connection::documents::Connection;
use grp::connection::documents::events::{Sent, SentStatus};
use grp::connection::fault::{step_error, task_error};
use grp::connection::running::{Running, Told, Watch};
use grp::connection::session::Session;

const TOOL: Tool = Tool {
    name: "conn-send",
    about: "Send messages through a connection",
    description: "Sends one message: the argument, or all of stdin; with --lines every line of stdin is one. Each is \
        encrypted by the ratchet and kept in the state file before it is sent, then SEND gives it to the server of the \
        peer's queue, one after the other. A line is printed for each once that server has it. If the run fails, a line \
        that says \"waiting\" is printed for each that was kept.\n\n\
        A message that was kept is sent, whatever happens to this run: the next run of any conn- program on the file \
        sends it first, byte for byte as before, so that a key never covers two messages. Repeating the command sends \
        another message; to send what was left behind, run conn-recv or conn-send --lines < /dev/null. A script that was \
        killed finds out whether a message was kept by \"sent\" in the state file: it has grown.\n\n\
        A connection holds up to 15,795 bytes in a message, 13,573 with post-quantum encryption. Nothing is received: \
        conn-recv may wait on the same file at the same time.",
    keeps: &[Shape::of::<Connection>()],
    writes: &[Shape::of::<Sent>()],
    examples: &[
        ("Send a message", "conn-send --state alice.json 'hello' | jq .number"),
        ("Send a file", "conn-send --state alice.json < picture.jpg"),
        ("Send what another program says", "journalctl -f | conn-send --state alice.json --lines"),
    ],
    json: "\"number\" and \"hash\" are what the peer's receipt repeats.",
    exit: &[(5, "not connected yet, or a server cannot be reached: what was kept is sent by the next run")],
    see_also: &["conn-recv", "conn-join", "conn-accept"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3")],
    ..Tool::NEW
};

/// Messages that may wait for each other: all of them are in the state file.
const UNDER_WAY: usize = 16;

#[derive(clap::Args)]
struct Args {
    /// The message; `-` and nothing mean stdin
    #[arg(value_name = "TEXT", conflicts_with = "lines")]
    text: Option<String>,

    #[command(flatten)]
    kept: Kept,

    /// Send each line of stdin as a message
    #[arg(long)]
    lines: bool,

    /// Keep the messages for the next run, and send nothing
    #[arg(long)]
    no_wait: bool,

    /// Do not remember the messages until their receipts come
    #[arg(long)]
    no_receipt: bool,

    /// Ask the server not to notify the peer
    #[arg(long)]
    silent: bool,

    /// Change whether encryption is to be post-quantum
    #[arg(long, value_name = "WHEN", value_enum)]
    pq: Option<PostQuantum>,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    let mut bodies = Bodies::open(&args, ctx)?;
    let mut session = Session::new(ctx, &args.kept, args.timeout);
    let options = SendOptions { notify: !args.silent, receipt: !args.no_receipt, pq: args.pq.map(Into::into) };
    cli::block_on(async {
        session.existing().await?;
        if args.no_wait {
            return keep(&mut bodies, options, &mut session).await;
        }
        session.run(Watch::Send, async |running| send(&mut bodies, options, running).await).await
    })
}

/// Leaves the messages in the state file.
async fn keep(bodies: &mut Bodies, options: SendOptions, session: &mut Session<'_>) -> Result<(), Error> {
    while let Some(body) = bodies.next().await {
        let body = body?;
        let accepted = session.step("send", move |connection, env| accept(connection, &body, options, env)).await?;
        session.context().emit(&sent(accepted, SentStatus::Waiting))?;
    }
    Ok(())
}

/// Sends messages, and prints each when the peer's server has it.
async fn send(bodies: &mut Bodies, options: SendOptions, running: &mut Running<'_>) -> Result<(), Error> {
    running.show("sending");
    let mut under_way = VecDeque::new();
    let outcome = send_all(bodies, options, &mut under_way, running).await;
    for accepted in under_way {
        running.context().emit(&sent(accepted, SentStatus::Waiting))?;
    }
    outcome?;
    // What earlier runs have left behind.
    running.until(|document| document.unsent == 0).await
}

/// Leaves in `under_way` what is kept, but was not sent when it failed.
async fn send_all(
    bodies: &mut Bodies,
    options: SendOptions,
    under_way: &mut VecDeque<Accepted>,
    running: &mut Running<'_>,
) -> Result<(), Error> {
    let mut more = true;
    while more || !under_way.is_empty() {
        tokio::select! {
            body = bodies.next(), if more && under_way.len() < UNDER_WAY => match body {
                Some(body) => {
                    let body = body?;
                    let step = move |connection: &mut agent::connection::Connection, env: &mut Env<'_>| accept(connection, &body, options, env);
                    under_way.push_back(running.step("send", step).await?);
                }
                None => more = false,
            },
            told = running.next(), if !under_way.is_empty() => {
                if let Told::Event(event) = told? {
                    report(event, under_way, running)?;
                }
            }
        }
    }
    Ok(())
}

fn report(event: Event, under_way: &mut VecDeque<Accepted>, running: &mut Running<'_>) -> Result<(), Error> {
    match event {
        Event::Sent { number } if under_way.front().is_some_and(|first| first.number == number) => {
            let accepted = under_way.pop_front().ok_or_else(|| Error::bug("no message was under way"))?;
            running.context().emit(&sent(accepted, SentStatus::Sent))
        }
        Event::NotSent { number, fault } if under_way.front().is_some_and(|first| first.number == number) => {
            under_way.pop_front();
            Err(task_error(fault).at(format!("message {number}")))
        }
        event => running.refuse_failure(event),
    }
}

fn accept(
    connection: &mut agent::connection::Connection,
    body: &[u8],
    options: SendOptions,
    env: &mut Env<'_>,
) -> Result<Accepted, Error> {
    connection.send(body, options, env).map_err(step_error)
}

fn sent(accepted: Accepted, status: SentStatus) -> Sent {
    Sent { number: accepted.number, hash: Blob(accepted.hash.as_bytes().to_vec()), status }
}
