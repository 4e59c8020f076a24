//! Many runs of one story, each a function of its seed.
//!
//! `WORLD_SEED` replays one; `WORLD_RUNS` and `WORLD_FIRST` say how many there are and which seed is the first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Why a run failed.
pub struct Failure {
    /// What must not happen.
    pub violation: String,
    /// What happened before.
    pub trace: String,
}

/// The seeds to run: `sample` of them unless the environment says otherwise.
pub fn seeds(sample: u64) -> Vec<u64> {
    if let Some(seed) = variable("WORLD_SEED") {
        return vec![seed];
    }
    let first = variable("WORLD_FIRST").unwrap_or(1);
    (first..first + variable("WORLD_RUNS").unwrap_or(sample)).collect()
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Runs every seed, on as many threads as there are processors; panics with the first failure, by seed, and how to
/// replay it. `test` is what `cargo test` takes.
pub fn run_all(test: &str, seeds: &[u64], run: impl Fn(u64) -> Result<(), Failure> + Sync) {
    let failures = failures(seeds, run);
    let Some((seed, Failure { violation, trace })) = failures.first() else { return };
    let others = failures.iter().skip(1).map(|(seed, failure)| format!("seed {seed}: {}\n", failure.violation));
    panic!(
        "{trace}\nseed {seed}: {violation}\n{}\nreplay with: WORLD_SEED={seed} cargo test -p world {test}",
        others.collect::<String>()
    );
}

/// The seeds that fail, in order.
pub fn failures(seeds: &[u64], run: impl Fn(u64) -> Result<(), Failure> + Sync) -> Vec<(u64, Failure)> {
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some(seed) = seeds.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap()) {
            if let Err(failure) = run(*seed) {
                failures.lock().unwrap_or_else(PoisonError::into_inner).push((*seed, failure));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|(seed, _)| *seed);
    failures
}
