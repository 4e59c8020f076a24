//! Random schedules: one owner, five relays, two or three servers, a stranger, and everything that may go wrong.
//!
//! Whatever happens, the group link only ever lists relays that passed every check, one invitation leads to one relay
//! link, statuses move as they may, no message key covers two plaintexts, and relays are not misled by old link data that
//! they know to be old. When nothing goes wrong any more, everything comes to an end: relays serve the group or say why
//! not, the group link lists those that do, and of the others nothing is left.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::time::Time;
use world::runs::{self, Failure};
use world::world::Tally;
use world::{Dice, LinkLie, LinkWrite};

use crate::checks::Judge;
use crate::stage::{HOUR, Plan, ServerLie, Stage, random_plan};

/// How many schedules an ordinary run of the tests tries.
const SAMPLE: u64 = 50;

/// A schedule that does not come so far is stopped after so many happenings.
const MAX_HAPPENINGS: u64 = 200_000;

/// What happens in every sample that is worth something.
const EXPECTED: [&str; 15] = [
    "crashes after a command",
    "crashes after a commit",
    "crashes before a commit",
    "cut sessions",
    "failed connects",
    "groups that operators left",
    "invitations that were repeated",
    "keys of messages",
    "relays rejected",
    "relays that ended",
    "relays that serve the group",
    "repeated SENDs",
    "replays that relays noticed",
    "requests of strangers",
    "server crashes",
];

pub(crate) struct Schedule {
    pub(crate) stage: Stage,
    pub(crate) judge: Judge,
    happened: u64,
}

impl Schedule {
    /// Everything follows from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self::altered(seed, |_| {})
    }

    pub(crate) fn altered(seed: u64, alter: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = random_plan(&mut Dice::new(seed, "schedule"));
        alter(&mut plan);
        Self::of(seed, plan)
    }

    pub(crate) fn of(seed: u64, plan: Plan) -> Self {
        Schedule { stage: Stage::new(seed, plan), judge: Judge::default(), happened: 0 }
    }

    /// Plays it to its end; what must not happen is in the world afterwards.
    pub(crate) fn play(&mut self) {
        let plan = self.stage.plan.clone();
        for (number, relay) in plan.relays.iter().enumerate() {
            self.stage.world.note(format_args!("relay {number}: {relay:?}"));
        }
        self.stage.world.note(format_args!("{:?}\n{:?}\n{:?}", plan.acts, plan.mischief, plan.lies));
        for (at, lie) in plan.lies {
            self.until(at);
            self.lie(lie);
        }
        self.until(plan.chaos.until.after(Duration::from_secs(10)));
        self.stage.servers.clone().into_iter().for_each(|server| self.stage.world.server(server).stop_lying());
        self.until_after(HOUR);
        self.ask_stuck();
        // Longer than any relay waits for anything.
        self.until_after(5 * HOUR);
        if self.stage.world.violation().is_none() {
            self.judge.look_at_end(&mut self.stage);
        }
    }

    fn until_after(&mut self, time: Duration) {
        let now = self.stage.world.now();
        self.until(now.after(time));
    }

    fn until(&mut self, end: Time) {
        while self.stage.world.happen_next(end) {
            self.judge.look(&mut self.stage);
            self.happened += 1;
            if self.happened > MAX_HAPPENINGS {
                self.stage.world.violate(format_args!("no rest after {MAX_HAPPENINGS} happenings"));
            }
        }
        let left = end.since(self.stage.world.now());
        if self.stage.world.violation().is_none() {
            self.stage.world.run_for(left);
        }
    }

    fn ask_stuck(&mut self) {
        let owner = self.stage.owner;
        if self.stage.world.violation().is_none() {
            let asked = self.stage.world.act(owner, |owner, turn| owner.owner().ask_stuck(turn));
            asked.expect("nothing crashes any more");
        }
    }

    /// A server begins to lie, or stops.
    fn lie(&mut self, lie: ServerLie) {
        self.stage.world.note(format_args!("{lie:?}"));
        let group = self.stage.group_link.derive().0;
        let of_relays: Vec<LinkWrite> = self
            .stage
            .servers
            .clone()
            .into_iter()
            .flat_map(|server| self.stage.world.server(server).link_writes().to_vec())
            .collect();
        let of_relays: Vec<LinkWrite> = of_relays.into_iter().filter(|write| write.link != group).collect();
        let stop = match lie {
            ServerLie::OldGroup(ago) => {
                let hub = self.stage.hub();
                let writes: Vec<_> = hub.link_writes().iter().filter(|write| write.link == group).collect();
                let old = writes.iter().rev().nth(ago).map(|write| write.data.clone());
                return old.into_iter().for_each(|data| hub.lie(group.clone(), LinkLie::Data(data)));
            }
            ServerLie::NoGroup => return self.stage.hub().lie(group, LinkLie::Nothing),
            ServerLie::Swapped(which) => {
                let (victim, other) = (of_relays.iter().rev().nth(which), of_relays.first());
                victim.zip(other).map(|(victim, other)| (victim.link.clone(), LinkLie::Data(Arc::clone(&other.data))))
            }
            ServerLie::NoRelay(which) => {
                of_relays.iter().rev().nth(which).map(|victim| (victim.link.clone(), LinkLie::Nothing))
            }
            ServerLie::Truth => None,
        };
        for server in self.stage.servers.clone() {
            match &stop {
                Some((link, lie)) => self.stage.world.server(server).lie(link.clone(), lie.clone()),
                None if lie == ServerLie::Truth => self.stage.world.server(server).stop_lying(),
                None => {}
            }
        }
    }

    pub(crate) fn outcome(&self) -> Result<(), Failure> {
        match self.stage.world.violation() {
            None => Ok(()),
            Some(violation) => {
                Err(Failure { violation: violation.to_owned(), trace: self.stage.world.trace().to_string() })
            }
        }
    }

    fn tally(&self) -> Tally {
        let mut tally = self.stage.world.tally().clone();
        tally.insert("keys of messages", self.stage.world.wiretap().keys() as u64);
        tally.insert("happenings", self.happened);
        tally.insert("relay links that were listed", self.judge.listed.len() as u64);
        self.stage.ledger.note(|entries| tally.extend(entries.seen.iter().map(|(what, count)| (*what, *count))));
        tally
    }
}

#[test]
fn every_schedule_publishes_only_what_passed_and_comes_to_an_end() {
    let seeds = runs::seeds(SAMPLE);
    let total = Mutex::new(Tally::new());
    runs::run_all("--test relays every_schedule", &seeds, |seed| {
        let mut schedule = Schedule::new(seed);
        schedule.play();
        let mut total = total.lock().unwrap();
        for (what, count) in schedule.tally() {
            *total.entry(what).or_default() += count;
        }
        schedule.outcome()
    });
    let total = total.into_inner().unwrap();
    println!("{} schedules: {total:#?}", seeds.len());
    // A sample in which something never happens shows nothing about it.
    let missing: Vec<_> = EXPECTED.iter().filter(|what| !total.contains_key(*what)).collect();
    assert!(missing.is_empty() || seeds.len() < 50, "never happened: {missing:?}");
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let trace = |seed| {
        let mut schedule = Schedule::new(seed);
        schedule.play();
        schedule.stage.world.trace().to_string()
    };
    for seed in 1..=2 {
        assert!(trace(seed) == trace(seed), "seed {seed}");
    }
    assert!(trace(1) != trace(2));
}
