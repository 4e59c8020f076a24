//! Random schedules: owners, three relays of which any may be hostile, up to fifty members, and everything that may go
//! wrong.

use std::sync::Mutex;

use world::Dice;
use world::runs::{self, Failure};
use world::world::Tally;

use crate::plan::Plan;
use crate::stage::Stage;

/// How many schedules an ordinary run of the tests tries.
const SAMPLE: u64 = 60;

/// What happens in every sample that is worth something.
const EXPECTED: [&str; 8] = [
    "connections that were cut",
    "crashes",
    "letters that came again",
    "members that joined",
    "messages that members were shown",
    "messages that relays did not bring",
    "messages that were said",
    "queues that were full",
];

pub(crate) fn play(seed: u64, alter: impl FnOnce(&mut Plan)) -> Stage {
    let mut plan = Plan::random(&mut Dice::new(seed, "plan"));
    alter(&mut plan);
    let mut stage = Stage::new(seed, plan);
    for (number, relay) in stage.plan.relays.clone().into_iter().enumerate() {
        stage.note(format_args!("relay {number}: {relay:?}"));
    }
    let (calm, end) = (stage.plan.chaos_until, stage.plan.end());
    stage.run_until(calm);
    stage.calm();
    stage.run_until(end);
    if stage.violation().is_none() {
        stage.judge_end();
    }
    stage
}

fn outcome(stage: &Stage) -> Result<(), Failure> {
    match stage.violation() {
        None => Ok(()),
        Some(violation) => Err(Failure { violation: violation.to_owned(), trace: stage.trace() }),
    }
}

#[test]
fn every_schedule_keeps_what_the_threat_model_promises() {
    let seeds = runs::seeds(SAMPLE);
    let total = Mutex::new(Tally::new());
    runs::run_all("--test members every_schedule", &seeds, |seed| {
        let stage = play(seed, |_| {});
        let mut total = total.lock().unwrap();
        for (what, count) in &stage.tally {
            *total.entry(what).or_default() += count;
        }
        outcome(&stage)
    });
    let total = total.into_inner().unwrap();
    println!("{} schedules: {total:#?}", seeds.len());
    // A sample in which something never happens shows nothing about it.
    let missing: Vec<_> = EXPECTED.iter().filter(|what| !total.contains_key(*what)).collect();
    assert!(missing.is_empty() || seeds.len() < 50, "never happened: {missing:?}");
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    for seed in 1..=2 {
        assert!(play(seed, |_| {}).trace() == play(seed, |_| {}).trace(), "seed {seed}");
    }
    assert!(play(1, |_| {}).trace() != play(2, |_| {}).trace());
}
