//! Random schedules: two hosts, two servers, one connection, and everything that may go wrong.
//!
//! Whatever happens, every message that was accepted for sending arrives once, in order and whole; both sides come to be
//! connected, once; no message key covers two plaintexts; and in the end nothing is left.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::connection::{Connection, Delivery, QueuePlan, RecordKey, SendOptions, Settings, TaskId, Versions, Where};
use agent::ratchet::Pq;
use agent::receipt::ReceiptStatus;
use agent::version;
use codec::VersionRange;
use smp::error::Error;
use world::runs::{self, Failure};
use world::world::{Refusal, Tally};
use world::{Chaos, Dice, Discipline, HostId, Rules, ServerId, World};

use crate::talker::{PEER, Part, Planned, Role, Talker};

/// How many schedules an ordinary run of the tests tries.
const SAMPLE: u64 = 200;
/// How many are tried to find out that something is broken.
const BROKEN_SAMPLE: u64 = 16;

/// What happens in every sample that is worth something.
const EXPECTED: [&str; 13] = [
    "crashes after a command",
    "crashes after a commit",
    "crashes before a commit",
    "cut sessions",
    "failed commits",
    "failed connects",
    "full queues",
    "keys of messages",
    "messages that arrived",
    "post-quantum messages",
    "receipts",
    "repeated SENDs",
    "server crashes",
];

/// One world with its two talkers.
pub(crate) struct Schedule {
    pub(crate) world: World<Talker>,
    pub(crate) hosts: [HostId; 2],
    pub(crate) servers: [ServerId; 2],
    ending: Ending,
}

/// How the connection ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    Suspend,
    Delete(Delivery),
}

fn settings(dice: &mut Dice) -> Settings {
    let pq = if dice.per_mille(700) { Pq::On } else { Pq::Off };
    let mut versions = Versions::default();
    if dice.per_mille(200) {
        let range = |min, max| VersionRange::new(min, max).unwrap();
        versions.agent = range(version::AGENT.min(), dice.between(2..=7) as u16);
        versions.ratchet = range(2, dice.between(2..=3) as u16);
        versions.client = range(1, dice.between(3..=4) as u16);
    }
    Settings { versions, pq }
}

fn messages(dice: &mut Dice, from: &str) -> Vec<Planned> {
    let count = dice.pick(&[0, 1, 3, 6, 12]);
    let receipt = dice.coin();
    let message = |index| {
        let length = match dice.between(0..=9) {
            0 => 13_573,
            1 => 0,
            _ => dice.between(1..=500),
        };
        let mut body = format!("{from} {index} ").into_bytes();
        body.resize(body.len().max(length as usize), b'.');
        body.truncate(13_573);
        let pq = match dice.between(0..=19) {
            0 => Some(Pq::Off),
            1 => Some(Pq::On),
            _ => None,
        };
        Planned { body: Arc::from(body), options: SendOptions { notify: dice.coin(), receipt, pq } }
    };
    (0..count).map(message).collect()
}

impl Schedule {
    /// Everything follows from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "schedule");
        let mut world = World::new(seed, Chaos::random(&mut dice));
        let quota = dice.pick(&[4, 4, 128]);
        let mut server = |name: &str| {
            let version = dice.between(15..=18) as u16;
            world.add_server(name, Rules { version, quota, ..Rules::default() })
        };
        let servers = [server("one"), server("two")];
        let short = dice.coin();
        let role = match dice.between(0..=2) {
            0 => Role::Owner { short },
            _ => Role::Inviter { short, propose: dice.coin() },
        };
        let ending = match dice.between(0..=2) {
            0 => Ending::Suspend,
            1 => Ending::Delete(Delivery::Drop),
            _ => Ending::Delete(Delivery::Await),
        };
        let mut part = |role: Role, other, server, name| {
            let linked = matches!(role, Role::Inviter { short: true, .. });
            let sender_secures = linked || dice.per_mille(800);
            Part {
                role,
                other: HostId(other),
                settings: settings(&mut dice),
                queue: QueuePlan { sender_secures, ..QueuePlan::at(world.address(server)) },
                messages: messages(&mut dice, name),
                gives_receipts: dice.coin(),
                pace: 1..=dice.pick(&[10, 2_000, 60_000]),
            }
        };
        let host = part(role, 1, servers[0], "host");
        let guest = part(Role::Guest, 0, servers[1], "guest");
        Self::of(world, servers, [host, guest], ending)
    }

    /// Two hosts with these parts.
    pub(crate) fn of(mut world: World<Talker>, servers: [ServerId; 2], parts: [Part; 2], ending: Ending) -> Self {
        world.note(format_args!("{ending:?}"));
        for part in &parts {
            world.note(format_args!(
                "{:?} with {:?}, sender secures {}, {} messages, receipts {}",
                part.role,
                part.settings,
                part.queue.sender_secures,
                part.messages.len(),
                part.gives_receipts
            ));
        }
        let [host, guest] = parts.map(Talker::new);
        let hosts = [world.add_host("host", host), world.add_host("guest", guest)];
        Schedule { world, hosts, servers, ending }
    }

    /// Plays it to its end; what must not happen is in the world afterwards.
    pub(crate) fn play(&mut self) {
        let [host, _] = self.hosts;
        self.until(host, Talker::start);
        if self.rest() {
            self.check_connected();
            self.check_talk();
        }
        if self.world.violation().is_none() {
            self.end();
        }
        self.check_faults();
    }

    /// What went wrong, and what came of it.
    fn tally(&self) -> Tally {
        let mut tally = self.world.tally().clone();
        let mut add = |what, count| *tally.entry(what).or_default() += count as u64;
        for talker in self.hosts.map(|host| self.world.application(host)) {
            add("messages that arrived", talker.handled.len());
            add("post-quantum messages", talker.handled.iter().filter(|message| message.post_quantum).count());
            add("receipts", talker.receipts.len());
        }
        add("keys of messages", self.world.wiretap().keys());
        tally.retain(|_, count| *count > 0);
        tally
    }

    /// Acts until it is durable: a crash may take it back.
    fn until(&mut self, host: HostId, act: impl Fn(&mut Talker, &mut world::Turn<'_>)) {
        while self.world.act(host, &act).is_none() {
            self.world.run_for(Duration::from_secs(1));
        }
    }

    fn rest(&mut self) -> bool {
        let rests = self.world.run();
        if !rests {
            self.world.violate("it does not come to rest");
        }
        self.check_faults();
        self.world.violation().is_none()
    }

    fn check_faults(&mut self) {
        for host in self.hosts {
            if let Some(fault) = self.world.application(host).fault.clone() {
                self.world.violate(fault);
            }
        }
    }

    /// Both sides stand, on one ratchet.
    fn check_connected(&mut self) {
        let statuses = self.hosts.map(|host| self.world.connection(host, PEER).map(Connection::status));
        let [Some(one), Some(other)] = statuses else { return self.world.violate("a side has no connection") };
        if (one.at, other.at) != (Where::Connected, Where::Connected) || one.security_code != other.security_code {
            self.world.violate(format_args!("{one:?} does not fit {other:?}"));
        }
    }

    /// Everything that was said has arrived.
    fn check_talk(&mut self) {
        for (from, to) in [(self.hosts[0], self.hosts[1]), (self.hosts[1], self.hosts[0])] {
            let (sender, recipient) = (self.world.application(from).clone(), self.world.application(to).clone());
            let sent: Vec<_> = sender.accepted.iter().map(|message| (message.number, message.body.to_vec())).collect();
            let got: Vec<_> = recipient.handled.iter().map(|message| (message.number, message.body.clone())).collect();
            if !sender.is_done() {
                self.world.violate(format_args!("{from:?} is not done"));
            }
            if sent != got {
                let numbers = |list: &[(i64, Vec<u8>)]| list.iter().map(|(number, _)| *number).collect::<Vec<_>>();
                let (sent, got) = (numbers(&sent), numbers(&got));
                self.world.violate(format_args!("{from:?} sent {sent:?}, {to:?} got {got:?}"));
            }
            let known = sender.part.settings.versions.agent.max().min(recipient.part.settings.versions.agent.max());
            let given = recipient.part.gives_receipts && known >= version::RECEIPTS_AGENT;
            let awaited = sender.accepted.iter().filter(|message| message.receipt && given);
            let awaited: Vec<_> = awaited.map(|message| message.number).collect();
            let confirmed = sender.receipts.iter().filter(|(_, status)| **status == ReceiptStatus::Confirmed);
            let confirmed: Vec<_> = confirmed.map(|(number, _)| *number).collect();
            if !sender.receipts.is_empty() && confirmed.len() != sender.receipts.len() {
                self.world.violate(format_args!("{from:?} got receipts {:?}", sender.receipts));
            }
            self.check_receipts(from, to, &awaited, &confirmed);
        }
    }

    /// Messages that are acknowledged before there is a way back have no receipts.
    fn check_receipts(&mut self, from: HostId, to: HostId, awaited: &[i64], confirmed: &[i64]) {
        let without = &self.world.application(to).without_receipt;
        let expected: Vec<_> = awaited.iter().copied().filter(|number| !without.contains(number)).collect();
        if expected != confirmed {
            self.world.violate(format_args!("{from:?} awaits receipts {expected:?} and got {confirmed:?}"));
        }
    }

    /// One side ends the connection; what the other sends is refused; nothing is left.
    fn end(&mut self) {
        let [first, second] = self.hosts;
        match self.ending {
            Ending::Suspend => self.until(first, Talker::suspend),
            Ending::Delete(delivery) => self.until(first, move |talker, turn| talker.delete_all(turn, delivery)),
        }
        if !self.rest() {
            return;
        }
        self.until(second, |talker, turn| {
            talker.ending = true;
            talker.last = Some(talker.send_last(turn));
        });
        if !self.rest() {
            return;
        }
        // The application may crash before it is told, but the server has refused.
        let last = self.world.application(second).last.map(TaskId::Send);
        let is_last = |refusal: &&Refusal| refusal.host == second && Some(&refusal.task) == last.as_ref();
        let refused = self.world.refusals().iter().find(is_last).map(|refusal| refusal.error.clone());
        if refused != Some(Error::Auth) {
            self.world.violate(format_args!("{last:?} after the end: {refused:?}"));
        }
        for host in self.hosts {
            self.until(host, |talker, turn| talker.delete_all(turn, Delivery::Drop));
        }
        if self.rest() {
            self.check_nothing_left();
        }
    }

    fn check_nothing_left(&mut self) {
        for host in self.hosts {
            let names = self.world.names(host);
            if !names.is_empty() {
                self.world.violate(format_args!("{host:?} still has {names:?}"));
            }
        }
    }
}

pub(crate) fn outcome(world: &World<Talker>) -> Result<(), Failure> {
    match world.violation() {
        None => Ok(()),
        Some(violation) => Err(Failure { violation: violation.to_owned(), trace: world.trace().to_string() }),
    }
}

#[test]
fn every_schedule_delivers_everything_once_in_order() {
    let seeds = runs::seeds(SAMPLE);
    let total = Mutex::new(Tally::new());
    runs::run_all("every_schedule_delivers", &seeds, |seed| {
        let mut schedule = Schedule::new(seed);
        schedule.play();
        let mut total = total.lock().unwrap();
        for (what, count) in schedule.tally() {
            *total.entry(what).or_default() += count;
        }
        outcome(&schedule.world)
    });
    let total = total.into_inner().unwrap();
    println!("{} schedules: {total:#?}", seeds.len());
    // A sample in which something never happens shows nothing about it.
    let missing: Vec<_> = EXPECTED.iter().filter(|what| !total.contains_key(*what)).collect();
    assert!(missing.is_empty() || seeds.len() < 100, "never happened: {missing:?}");
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let trace = |seed| {
        let mut schedule = Schedule::new(seed);
        schedule.play();
        schedule.world.trace().to_string()
    };
    for seed in 1..=6 {
        assert!(trace(seed) == trace(seed), "seed {seed}");
    }
    assert!(trace(1) != trace(2));
}

/// What is found in schedules with more of the faults that `worsen` is about: nothing while everybody keeps to the
/// contract, and something when somebody does not.
fn findings(worsen: impl Fn(&mut Chaos) + Sync, break_contract: impl Fn(&mut Schedule) + Sync) -> Vec<String> {
    let find = |broken: bool| -> Vec<String> {
        let seeds: Vec<u64> = (1..=BROKEN_SAMPLE).collect();
        let failures = runs::failures(&seeds, |seed| {
            let mut schedule = Schedule::new(seed);
            worsen(schedule.world.chaos_mut());
            if broken {
                break_contract(&mut schedule);
            }
            schedule.play();
            outcome(&schedule.world)
        });
        failures.into_iter().map(|(_, failure)| failure.violation).collect()
    };
    assert_eq!(find(false), Vec::<String>::new());
    find(true)
}

fn set_discipline(schedule: &mut Schedule, discipline: Discipline) {
    for host in schedule.hosts {
        schedule.world.set_discipline(host, discipline);
    }
}

#[test]
fn a_host_that_acts_before_it_commits_is_found_out() {
    let found = findings(
        |chaos| chaos.crash_before_commit = 150,
        |schedule| set_discipline(schedule, Discipline::ActsBeforeCommit),
    );
    assert!(found.iter().any(|violation| violation.contains("two plaintexts with one message key")), "{found:#?}");
}

#[test]
fn a_host_that_does_not_keep_every_record_is_found_out() {
    let worsen = |chaos: &mut Chaos| chaos.crash_after_commit = 100;
    for (record, expected) in [
        (RecordKey::Turn, "cannot be loaded: damaged: bad parts of different ratchets"),
        (RecordKey::Position, "two plaintexts with one message key"),
    ] {
        let found = findings(worsen, |schedule| set_discipline(schedule, Discipline::WritesOnce(record)));
        assert!(found.iter().any(|violation| violation.contains(expected)), "{record:?}: {found:#?}");
    }
}

#[test]
fn a_server_that_answers_before_it_commits_is_found_out() {
    let found = findings(
        |chaos| (chaos.server_commit, chaos.server_crash) = (5_000..=5_000, 100),
        |schedule| {
            for server in schedule.servers {
                schedule.world.server(server).rules_mut().answers_before_commit = true;
            }
        },
    );
    assert!(found.iter().any(|violation| violation.contains("Skipped")), "{found:#?}");
}
