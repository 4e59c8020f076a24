//! What `scripts/bench` runs: the programs of this project against the bound that cryptography sets on this machine.
//!
//! Speeds are ratios to a bound measured in the same run, because machines are shared and noisy: what slows the
//! programs slows the primitives as well. Prints one document on stdout and a table for people on stderr.

mod client;
mod connections;
mod delivery;
mod memory;
mod owners;
mod primitives;
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
    run: fn() -> Result<Vec<Measured>, Failure>,
}

const BENCHES: &[Bench] = &[
    Bench { name: "smp_deliver", run: delivery::measure },
    Bench { name: "connection_send", run: connections::measure },
    Bench { name: "relay_invitations", run: relays::measure },
    Bench { name: "relay_monitoring", run: watching::measure },
    Bench { name: "smp_memory_idle_queue", run: memory::idle_queues },
    Bench { name: "smp_memory_idle_connection", run: memory::idle_connections },
    Bench { name: "smp_restart_100k_queues", run: restart::measure },
    Bench { name: "smp_auth_timing", run: timing::measure },
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
        (None, ..) => Ok(BENCHES.iter().collect()),
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
