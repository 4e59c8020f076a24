//! What may go wrong in a world, how often, and until when.

use std::ops::RangeInclusive;
use std::time::Duration;

use agent::time::Time;

use crate::dice::Dice;
use crate::trace::START;

/// Chances are in thousandths, times in milliseconds.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// From then on nothing goes wrong any more, and whatever is down comes back.
    pub until: Time,
    /// How long a transmission travels.
    pub latency: RangeInclusive<u64>,
    /// How long a server takes to make what it executed durable.
    pub server_commit: RangeInclusive<u64>,
    /// How long an application takes until it handles what it was told.
    pub handling: RangeInclusive<u64>,
    /// How long hosts and servers stay down.
    pub rest: RangeInclusive<u64>,
    /// How long either end takes to notice that the other is gone.
    pub notice: RangeInclusive<u64>,
    /// Of transactions: the host crashes before it commits.
    pub crash_before_commit: u64,
    /// Of transactions: the host crashes when it has committed, before anything leaves it.
    pub crash_after_commit: u64,
    /// Of commands: the host crashes when it has sent one.
    pub crash_after_effect: u64,
    /// Of transactions: the disk refuses.
    pub commit_failure: u64,
    /// Of transmissions, in either direction: the network cuts the session.
    pub cut: u64,
    /// Of attempts to connect: it fails.
    pub connect_failure: u64,
    /// Of commands: the server crashes after it executed one.
    pub server_crash: u64,
    /// Of `SEND`s: the server executes it twice.
    pub repeated_send: u64,
}

impl Chaos {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Chaos {
            until: START,
            latency: 20..=20,
            server_commit: 1..=1,
            handling: 1..=1,
            rest: 1_000..=1_000,
            notice: 100..=100,
            crash_before_commit: 0,
            crash_after_commit: 0,
            crash_after_effect: 0,
            commit_failure: 0,
            cut: 0,
            connect_failure: 0,
            server_crash: 0,
            repeated_send: 0,
        }
    }

    /// Whatever the dice say, for up to half an hour.
    pub fn random(dice: &mut Dice) -> Self {
        let mut chaos = Chaos {
            until: START.after(Duration::from_secs(dice.between(60..=1_800))),
            latency: 1..=dice.pick(&[20, 300, 3_000]),
            server_commit: 1..=dice.pick(&[2, 50]),
            handling: 1..=dice.pick(&[5, 500, 20_000]),
            rest: 100..=dice.pick(&[2_000, 60_000]),
            notice: 10..=dice.pick(&[100, 10_000, 60_000]),
            ..Chaos::none()
        };
        if dice.coin() {
            chaos.crash_before_commit = dice.pick(&[0, 20, 100]);
            chaos.crash_after_commit = dice.pick(&[0, 20, 100]);
            chaos.crash_after_effect = dice.pick(&[0, 20, 100]);
        }
        if dice.coin() {
            chaos.cut = dice.pick(&[10, 50, 150]);
            chaos.connect_failure = dice.pick(&[0, 100, 500]);
        }
        if dice.coin() {
            chaos.server_crash = dice.pick(&[5, 30]);
        }
        chaos.commit_failure = dice.pick(&[0, 0, 10, 50]);
        chaos.repeated_send = dice.pick(&[0, 0, 20, 200]);
        chaos
    }
}
