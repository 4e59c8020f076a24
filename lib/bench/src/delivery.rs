//! Messages delivered per second of one core, each durable before it is acknowledged.

use std::process::Command;
use std::time::Instant;

use serde::Deserialize;

use crate::Failure;
use crate::primitives::Primitives;
use crate::report::Measured;
use crate::server::{Server, program};

const SECONDS: &str = "10";
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
    let before = Primitives::measure();
    let server = Server::start()?;
    let commits = server.counter("smp_store_commits_total")?;
    let (processor, start) = (server.processor_time()?, Instant::now());
    let load = load(&server)?;
    let (busy, wall) = (server.processor_time()? - processor, start.elapsed().as_secs_f64());
    let commits = server.counter("smp_store_commits_total")? - commits;
    let bound = 2.0 / (before.delivered_message() + Primitives::measure().delivered_message());
    if load.errors > 0 {
        return Err(format!("smp-bench met {} errors", load.errors).into());
    }
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let (received, p50, p99) = (load.messages_received as f64, load.latency_p50_us as f64, load.latency_p99_us as f64);
    Ok(vec![
        Measured::of_bound("smp_deliver", received / busy, "messages/s/core", bound),
        Measured::of_bound("smp_deliver_wall", received / wall, "messages/s", bound),
        Measured::plain("smp_deliver_busy", busy / wall, "share of a core"),
        Measured::plain("smp_deliver_latency_p50", p50, "us"),
        Measured::plain("smp_deliver_latency_p99", p99, "us"),
        Measured::plain("smp_fsyncs", commits / wall, "fsyncs/s"),
        Measured::plain("primitive_box_pass", before.box_pass * 1e6, "us"),
        Measured::plain("primitive_tls_pass", before.tls_pass * 1e6, "us"),
        Measured::plain("primitive_verify_send", before.verify_send * 1e6, "us"),
        Measured::plain("primitive_verify_short", before.verify_short * 1e6, "us"),
    ])
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
