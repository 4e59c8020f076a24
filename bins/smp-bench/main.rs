//! `smp-bench`: puts load on an SMP server and measures it.

mod flow;
mod latency;
mod load;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cli::{Code, Context, Document, Error, Shape, Timeout, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smp::command::MAX_BODY;

const TOOL: Tool = Tool {
    name: "smp-bench",
    about: "Put load on an SMP server and measure it",
    description: "Creates queues, sends messages through them as fast as the server takes them, receives and \
        acknowledges each, and deletes the queues again, also after SIGINT.\n\n\
        Every queue is secured and has one sender, which waits for each OK before it sends the next message. Rates \
        count the time between the first and the last message; what is still under way at the end of --duration is \
        received before the queues are deleted. A queue whose command fails is left alone from then on.",
    writes: &[Shape::of::<Load>()],
    examples: &[
        ("How many messages per second", "smp-bench --server \"$SERVER\" --duration 30 | jq .receive_per_sec"),
        (
            "How fast queues are created",
            "smp-bench --server \"$SERVER\" --queues 10000 --duration 0 | jq .create_per_sec",
        ),
    ],
    json: "Latencies are those between sending a message and its arrival, in microseconds. `errors` counts all \
        failures; `failures` says what they were.",
    exit: &[(1, "something failed under load; the document says what")],
    see_also: &["smp-serve"],
    protocols: &[("SMP", "15-18")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// The server's address, without a password (required)
    #[arg(long, value_name = "ADDRESS")]
    server: String,

    /// Create queues with the password in FILE
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// How many queues
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    queues: u32,

    /// How many connections receive, each for its share of the queues
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,

    /// How many connections send, each for its share of the queues
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    senders: u32,

    /// Bytes in a message
    #[arg(long, value_name = "BYTES", default_value_t = 16_048, value_parser = clap::value_parser!(u16).range(..=16_048))]
    size: u16,

    /// How many messages of a queue may be sent but not acknowledged
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=100))]
    window: u8,

    /// Seconds of sending
    #[arg(long, value_name = "SECS", default_value_t = 10)]
    duration: u32,

    /// Open every message and check that it is the one that was sent
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    timeout: Timeout,
}

/// What a server did under load.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Load {
    /// The server's address.
    server: String,
    /// The SMP version that was agreed.
    version: u16,
    /// Queues that were created, used and deleted.
    queues: u32,
    /// Connections that received.
    connections: u32,
    /// Connections that sent.
    senders: u32,
    /// Bytes in a message.
    message_bytes: u16,
    /// Whether every message was opened and compared with what was sent.
    checked: bool,
    /// Milliseconds of creating and securing all queues.
    create_ms: u64,
    /// Queues created and secured per second.
    create_per_sec: u64,
    /// Milliseconds of sending.
    load_ms: u64,
    /// Messages that the server accepted.
    messages_sent: u64,
    /// Messages that arrived.
    messages_received: u64,
    /// Messages accepted per second of sending.
    send_per_sec: u64,
    /// Messages that arrived per second of sending.
    receive_per_sec: u64,
    /// Half of the messages arrived within so many microseconds.
    latency_p50_us: u64,
    /// 90 % of the messages arrived within so many microseconds.
    latency_p90_us: u64,
    /// 99 % of the messages arrived within so many microseconds.
    latency_p99_us: u64,
    /// All messages arrived within so many microseconds.
    latency_max_us: u64,
    /// Milliseconds of deleting all queues.
    delete_ms: u64,
    /// Number of failures.
    errors: u64,
    /// What failed, most frequent first.
    failures: Vec<Failure>,
}

/// One kind of failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Failure {
    /// The step that failed: `send`, `receive`, `acknowledge`, `check`, `lost` or `delete`.
    step: String,
    /// Why.
    error: String,
    /// How often.
    count: u64,
}

impl Document for Load {
    const TYPE: &'static str = "load";
    const V: u32 = 1;
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<Load, Error> {
    let plan = plan(&args, ctx)?;
    let _progress = ctx.progress(format!("loading {}", plan.server));
    let (mut report, trace) = (None, ctx.trace());
    cli::serve(async |mut shutdown| {
        report = Some(load::run(&plan, || ctx.random("smp_bench"), &trace, &mut shutdown).await?);
        Ok(())
    })?;
    let report: Load = report.ok_or_else(|| Error::bug("ended without a report"))?;
    match report.failures.first() {
        None => Ok(report),
        Some(Failure { step, error, .. }) => {
            let failed = Error::new(Code::CheckFailed, format!("{} failures, mostly {step}: {error}", report.errors));
            ctx.emit(&report)?;
            Err(failed)
        }
    }
}

fn plan(args: &Args, ctx: &mut Context) -> Result<load::Plan, Error> {
    debug_assert_eq!(MAX_BODY, 16_048, "the limit of --size");
    Ok(load::Plan {
        server: grp::server_address("--server", &args.server)?,
        password: args.password_file.as_deref().map(|path| grp::password_from_file(path, ctx)).transpose()?,
        queues: args.queues,
        connections: args.connections,
        senders: args.senders,
        style: flow::Style { size: args.size, window: args.window, check: args.check },
        duration: Duration::from_secs(args.duration.into()),
        timeout: args.timeout.duration(),
    })
}
