//! A host crashes in every transaction of a connection's life, at every point of it, and nothing is lost or repeated.

use std::sync::Arc;

use agent::connection::{Delivery, QueuePlan, SendOptions, Settings};
use agent::ratchet::Pq;
use world::runs::{self, Failure};
use world::{Chaos, HostId, PersistPoint, Rules, World};

use crate::schedules::{Ending, Schedule, outcome};
use crate::talker::{Part, Planned, Role, Talker};

const POINTS: [PersistPoint; 3] = [PersistPoint::BeforeCommit, PersistPoint::AfterCommit, PersistPoint::AfterEffect];

/// How many of all cases an ordinary run of the tests tries.
const SAMPLE: u64 = 150;

/// One life without any fault.
#[derive(Debug, Clone)]
struct Life {
    role: Role,
    /// Whether each queue is secured by its sender.
    fast: [bool; 2],
}

fn lives() -> [Life; 4] {
    let inviter = |short| Role::Inviter { short, propose: false };
    [
        Life { role: inviter(true), fast: [true, true] },
        Life { role: inviter(false), fast: [false, false] },
        Life { role: Role::Owner { short: true }, fast: [true, true] },
        Life { role: Role::Owner { short: false }, fast: [true, false] },
    ]
}

impl Life {
    fn schedule(&self) -> Schedule {
        let mut world: World<Talker> = World::new(1, Chaos::none());
        let servers = ["one", "two"].map(|name| world.add_server(name, Rules { quota: 2, ..Rules::default() }));
        let options = SendOptions { receipt: true, ..SendOptions::default() };
        let message = |text: &str| Planned { body: Arc::from(text.as_bytes()), options };
        let part = |role: Role, other, index: usize, text| Part {
            role,
            other: HostId(other),
            settings: Settings { pq: Pq::Off, ..Settings::default() },
            queue: QueuePlan { sender_secures: self.fast[index], ..QueuePlan::at(world.address(servers[index])) },
            messages: vec![message(text), message(""), message("the last one")],
            gives_receipts: true,
            pace: 100..=100,
        };
        let parts = [part(self.role.clone(), 1, 0, "from the host"), part(Role::Guest, 0, 1, "from the guest")];
        Schedule::of(world, servers, parts, Ending::Delete(Delivery::Await))
    }

    fn play(&self, crash: Option<(HostId, u64, PersistPoint)>) -> Schedule {
        let mut schedule = self.schedule();
        if let Some((host, turn, point)) = crash {
            schedule.world.crash_at(host, turn, point);
        }
        schedule.play();
        schedule
    }
}

#[test]
fn every_crash_point_of_a_connection_loses_and_repeats_nothing() {
    let mut cases = Vec::new();
    for life in lives() {
        let calm = life.play(None);
        assert_eq!(calm.world.violation(), None, "{}", calm.world.trace());
        for host in calm.hosts {
            let turns = 1..=calm.world.turns(host);
            cases.extend(turns.flat_map(|turn| POINTS.map(|point| (life.clone(), (host, turn, point)))));
        }
    }
    let count = cases.len() as u64;
    // Every case in `scripts/soak`, which says how many runs it wants; evenly spread ones otherwise.
    let step = if std::env::var("WORLD_RUNS").is_ok() { 1 } else { (count / SAMPLE).max(1) };
    let spread: Vec<u64> = (0..count).step_by(step as usize).collect();
    let chosen = std::env::var("WORLD_SEED").map_or(spread, |case| vec![case.parse().unwrap()]);
    println!("{} of {count} crash points", chosen.len());
    runs::run_all("every_crash_point", &chosen, |case| -> Result<(), Failure> {
        let (life, crash) = &cases[case as usize];
        outcome(&life.play(Some(*crash)).world)
    });
}
