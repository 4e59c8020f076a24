//! Messages delivered per second of one core, each durable before it is acknowledged.

use std::process::Command;
use std::time::Instant;

use serde::Deserialize;

use crate::Failure;
use crate::primitives::Primitives;
use crate::program::program;
use crate::report::Measured;
use crate::server::Server;

const SECONDS: &str = "8";
/// Of these, the one in the middle counts: machines are shared.
const RUNS: usize = 3;
/// All but the server's.
const LOAD_CORES: &str = "1-1023";

/// What is read of the document of `smp-bench`.
#[derive(Deserialize)]
struct Load {
    messages_received: u64,
    errors: u64,
    latency_p50_us: u64,
    latency_p99_us: u64,
}

/// Runs `smp-bench` against a durable `smp-serve` on one core.
///
/// The rate is per second of the server's processor time, so that it does not count the time in which the load
/// generator, which works as hard on its own core, could not keep the server busy. How busy it was is a result too.
pub(crate) fn measure() -> Result<Vec<Measured>, Failure> {
    let server = Server::start()?;
    let mut runs = (0..RUNS).map(|_| Run::measure(&server)).collect::<Result<Vec<_>, _>>()?;
    runs.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    Ok(runs.get(RUNS / 2).ok_or("no run")?.results())
}

/// One run of the load, and the primitives before it.
struct Run {
    primitives: Primitives,
    load: Load,
    bound: f64,
    /// Seconds of the server's processor time.
    busy: f64,
    /// Seconds.
    wall: f64,
    commits: f64,
}

impl Run {
    fn measure(server: &Server) -> Result<Self, Failure> {
        let primitives = Primitives::measure();
        let commits = server.counter("smp_store_commits_total")?;
        let (processor, start) = (server.processor_time()?, Instant::now());
        let load = load(server)?;
        let (busy, wall) = (server.processor_time()? - processor, start.elapsed().as_secs_f64());
        let commits = server.counter("smp_store_commits_total")? - commits;
        let bound = 2.0 / (primitives.delivered_message() + Primitives::measure().delivered_message());
        if load.errors > 0 {
            return Err(format!("smp-bench met {} errors", load.errors).into());
        }
        Ok(Run { primitives, load, bound, busy, wall, commits })
    }

    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn received(&self) -> f64 {
        self.load.messages_received as f64
    }

    fn ratio(&self) -> f64 {
        self.received() / self.busy / self.bound
    }

    #[allow(clippy::cast_precision_loss, reason = "microseconds far below 2^52")]
    fn results(&self) -> Vec<Measured> {
        let Run { primitives, load, bound, busy, wall, commits } = self;
        vec![
            Measured::of_bound("smp_deliver", self.received() / busy, "messages/s/core", *bound),
            Measured::of_bound("smp_deliver_wall", self.received() / wall, "messages/s", *bound),
            Measured::plain("smp_deliver_busy", busy / wall, "share of a core"),
            Measured::plain("smp_deliver_latency_p50", load.latency_p50_us as f64, "us"),
            Measured::plain("smp_deliver_latency_p99", load.latency_p99_us as f64, "us"),
            Measured::plain("smp_fsyncs", commits / wall, "fsyncs/s"),
            Measured::plain("primitive_box_pass", primitives.box_pass * 1e6, "us"),
            Measured::plain("primitive_tls_pass", primitives.tls_pass * 1e6, "us"),
            Measured::plain("primitive_verify_send", primitives.verify_send * 1e6, "us"),
            Measured::plain("primitive_verify_short", primitives.verify_short * 1e6, "us"),
        ]
    }
}

fn load(server: &Server) -> Result<Load, Failure> {
    let output = Command::new("taskset")
        .args(["--cpu-list", LOAD_CORES])
        .arg(program("smp-bench")?)
        .args(["--server", server.address(), "--duration", SECONDS])
        .args(["--queues", "200", "--connections", "8", "--quiet"])
        .output()?;
    if !output.status.success() {
        return Err(format!("smp-bench: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
