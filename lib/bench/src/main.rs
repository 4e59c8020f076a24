//! What `scripts/bench` runs: the programs of this project against the bound that cryptography sets on this machine.
//!
//! Speeds are ratios to a bound measured in the same run, because machines are shared and noisy: what slows the
//! programs slows the primitives as well. Prints one document on stdout and a table for people on stderr.

mod client;
mod connections;
mod crowd;
mod delivery;
mod forwarding;
mod line;
mod memory;
mod owners;
mod primitives;
mod program;
mod relays;
mod report;
mod restart;
mod server;
mod timing;
mod watching;

use std::process::ExitCode;

use report::Measured;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A measurement that can be asked for by name.
struct Bench {
    /// Its first result bears this name.
    name: &'static str,
    /// Whether it belongs to a run of everything; others take minutes.
    usual: bool,
    run: fn() -> Result<Vec<Measured>, Failure>,
}

const BENCHES: &[Bench] = &[
    Bench { name: "smp_deliver", usual: true, run: delivery::measure },
    Bench { name: "connection_send", usual: true, run: connections::measure },
    Bench { name: "relay_invitations", usual: true, run: relays::measure },
    Bench { name: "relay_monitoring", usual: true, run: watching::measure },
    Bench { name: "relay_forwarding_1k", usual: true, run: forwarding::to_1k },
    Bench { name: "relay_forwarding_10k", usual: true, run: forwarding::to_10k },
    Bench { name: "relay_forwarding_100k", usual: false, run: forwarding::to_100k },
    Bench { name: "smp_memory_idle_queue", usual: true, run: memory::idle_queues },
    Bench { name: "smp_memory_idle_connection", usual: true, run: memory::idle_connections },
    Bench { name: "smp_restart_100k_queues", usual: true, run: restart::measure },
    Bench { name: "smp_auth_timing", usual: true, run: timing::measure },
];

fn main() -> ExitCode {
    let selected = match selection(std::env::args().skip(1)) {
        Ok(selected) => selected,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    match run(&selected) {
        Ok(results) => report::print(&results),
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn selection(mut args: impl Iterator<Item = String>) -> Result<Vec<&'static Bench>, String> {
    let names: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
    let usage = || format!("usage: scripts/bench [--only NAME]\nnames: {}", names.join(", "));
    match (args.next().as_deref(), args.next(), args.next()) {
        (None, ..) => Ok(BENCHES.iter().filter(|bench| bench.usual).collect()),
        (Some("--only"), Some(name), None) => {
            BENCHES.iter().find(|bench| bench.name == name).map(|bench| vec![bench]).ok_or_else(usage)
        }
        _ => Err(usage()),
    }
}

fn run(selected: &[&Bench]) -> Result<Vec<Measured>, Failure> {
    let mut results = Vec::new();
    for bench in selected {
        eprintln!("bench: measuring {}", bench.name);
        results.extend((bench.run)()?);
    }
    Ok(results)
}
