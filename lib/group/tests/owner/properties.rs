//! What holds for all sequences of inputs: nothing is published that did not pass every check, statuses only move as they
//! may, and a restart changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use agent::short_link::ContactShortLink;
use group::event::Event as ChatEvent;
use group::identity::MemberId;
use group::owner::{ConnectionName, Event, Outcome, Removal, Status, Task, TaskId};
use group::profile::GroupProfile;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Desk, Linked, Relay, reread};

/// Something that happens, to the relay with this number.
#[derive(Debug, Clone)]
enum Input {
    Invite(u8),
    /// Do a task, honestly or not.
    Task(prop::sample::Index, Fate),
    /// An honest relay does what it is there for.
    Advance(usize),
    Accept(usize, LinkFault),
    Refuse(usize),
    Garbage(usize, Vec<u8>),
    Connected(usize),
    Acknowledge(usize, i64, bool),
    Ready(usize),
    Leave(usize, bool),
    Fail(usize),
    Cancel(usize),
    Remove(usize, bool, bool),
    AskAgain(usize),
    Count(u64),
    Restart,
    Later,
    /// The slow write of the link is confirmed.
    Written,
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    Unreachable,
    Refused,
    /// The task was begun, and then the process ended.
    Lost,
    /// The link is being written; other things happen meanwhile.
    Slow,
}

#[derive(Debug, Clone, Copy)]
enum LinkFault {
    None,
    OtherMember,
    OtherGroup,
    NotDirect,
    NoProfile,
    Missing,
    /// The link of another relay of this group.
    Borrowed,
}

fn input() -> impl Strategy<Value = Input> {
    let relay = 0..4usize;
    let fate = prop_oneof![
        8 => Just(Fate::Done), 1 => Just(Fate::Unreachable), 1 => Just(Fate::Refused), 1 => Just(Fate::Lost), 3 => Just(Fate::Slow)
    ];
    let fault = prop_oneof![
        6 => Just(LinkFault::None),
        1 => Just(LinkFault::OtherMember),
        1 => Just(LinkFault::OtherGroup),
        1 => Just(LinkFault::NotDirect),
        1 => Just(LinkFault::NoProfile),
        1 => Just(LinkFault::Missing),
        1 => Just(LinkFault::Borrowed),
    ];
    prop_oneof![
        3 => (1..4u8).prop_map(Input::Invite),
        16 => (any::<prop::sample::Index>(), fate).prop_map(|(which, fate)| Input::Task(which, fate)),
        24 => relay.clone().prop_map(Input::Advance),
        4 => (relay.clone(), fault).prop_map(|(relay, fault)| Input::Accept(relay, fault)),
        1 => relay.clone().prop_map(Input::Refuse),
        1 => (relay.clone(), vec(any::<u8>(), 0..40)).prop_map(|(relay, bytes)| Input::Garbage(relay, bytes)),
        4 => relay.clone().prop_map(Input::Connected),
        4 => (relay.clone(), 0..2i64, prop::bool::weighted(0.1)).prop_map(|(r, v, e)| Input::Acknowledge(r, v, e)),
        1 => relay.clone().prop_map(Input::Ready),
        1 => (relay.clone(), any::<bool>()).prop_map(|(relay, signed)| Input::Leave(relay, signed)),
        1 => relay.clone().prop_map(Input::Fail),
        1 => relay.clone().prop_map(Input::Cancel),
        1 => (relay.clone(), any::<bool>(), any::<bool>()).prop_map(|(r, last, quiet)| Input::Remove(r, last, quiet)),
        1 => relay.prop_map(Input::AskAgain),
        1 => (1..5u64).prop_map(Input::Count),
        2 => Just(Input::Restart),
        1 => Just(Input::Later),
        3 => Just(Input::Written),
    ]
}

/// What the world knows about what the owner may do.
struct World {
    desk: Desk,
    /// Links that are right, by the member that may have them.
    good: BTreeMap<MemberId, BTreeSet<String>>,
    /// Links that the server confirmed.
    confirmed: BTreeSet<String>,
    before: BTreeMap<MemberId, Status>,
    opened: BTreeSet<ConnectionName>,
    /// The write that is under way, and what it lists.
    writing: Option<(u64, Vec<String>)>,
}

impl World {
    fn new() -> Self {
        World {
            desk: Desk::new(),
            good: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            before: BTreeMap::new(),
            opened: BTreeSet::new(),
            writing: None,
        }
    }

    fn nth(&self, number: usize) -> Option<(MemberId, Relay)> {
        let record = self.desk.owner.relays().get(number)?;
        let relays = [Relay::new(1), Relay::old(2), Relay::ready(3)];
        let relay = relays.into_iter().find(|relay| relay.address().make().0 == *record.address());
        Some((record.id().clone(), relay.unwrap()))
    }

    fn apply(&mut self, input: &Input) {
        match input {
            Input::Invite(number) => {
                let (address, data) =
                    [Relay::new(1), Relay::old(2), Relay::ready(3)][usize::from(*number) - 1].address().make();
                self.desk.links.insert(address.to_string(), data);
                let _ = self.desk.with(|owner, env| owner.invite(address, env));
            }
            Input::Task(which, fate) => self.do_task(which, *fate),
            Input::Count(count) => {
                let name = format!("Walks {}", count % 2);
                self.desk.with(|owner, env| owner.set_contents(GroupProfile::named(&name), *count, env)).unwrap();
            }
            Input::Restart => {
                let due = self.desk.owner.due(agent::time::Time::from_millis(u64::MAX));
                let again = reread(&self.desk.owner);
                let expected: Vec<TaskId> = due
                    .into_iter()
                    .map(|task| match task {
                        // The address is read again.
                        TaskId::Invite(id) => TaskId::ReadAddress(id),
                        other => other,
                    })
                    .collect();
                assert_eq!(again.due(self.desk.now), expected);
                self.desk.owner = again;
                self.writing = None;
            }
            Input::Written => {
                let Some((version, listed)) = self.writing.take() else { return };
                self.confirmed.extend(listed);
                self.desk.finish(&TaskId::WriteLink, Outcome::Written(version));
            }
            Input::Later => self.desk.now = self.desk.owner.next_due().unwrap_or(self.desk.now),
            other => self.apply_to_relay(other),
        }
    }

    fn apply_to_relay(&mut self, input: &Input) {
        let (Input::Advance(number)
        | Input::Accept(number, _)
        | Input::Refuse(number)
        | Input::Garbage(number, _)
        | Input::Connected(number)
        | Input::Acknowledge(number, ..)
        | Input::Ready(number)
        | Input::Leave(number, _)
        | Input::Fail(number)
        | Input::Cancel(number)
        | Input::Remove(number, ..)
        | Input::AskAgain(number)) = input
        else {
            return;
        };
        let Some((id, relay)) = self.nth(*number) else { return };
        let connection = self.desk.connection(&id);
        let group = self.desk.group_id();
        match input {
            Input::Advance(_) => self.advance(&id, relay),
            Input::Accept(_, fault) => {
                let link = self.link(&id, relay, *fault);
                self.desk.answer(&id, &relay.accepts(&link.to_string()));
            }
            Input::Refuse(_) => self.desk.answer(&id, &relay.rejects("policy")),
            Input::Garbage(_, bytes) => {
                self.desk.receive(&id, bytes);
                if bytes.len() % 2 == 0 {
                    self.desk.answer(&id, bytes);
                }
            }
            Input::Connected(_) => drop(self.desk.with(|owner, env| owner.connected(&connection, env))),
            Input::Acknowledge(_, version, error) => {
                self.desk.receive(&id, &relay.acknowledges(*version, error.then_some("no")));
            }
            Input::Ready(_) => self.desk.receive(&id, &relay.says(ChatEvent::GroupRelayReady)),
            Input::Leave(_, true) => self.desk.receive(&id, &relay.signs(group, &id, ChatEvent::GroupLeave)),
            Input::Leave(_, false) => self.desk.receive(&id, &relay.says(ChatEvent::GroupLeave)),
            Input::Fail(_) => self.desk.fail(&id, "gone"),
            Input::Cancel(_) => drop(self.desk.with(|owner, env| owner.cancel(&id, env))),
            Input::Remove(_, last, unnotified) => {
                let removal = Removal { last: *last, unnotified: *unnotified };
                drop(self.desk.with(|owner, env| owner.remove(&id, removal, env)));
            }
            Input::AskAgain(_) => drop(self.desk.with(|owner, env| owner.ask_again(&id, env))),
            _ => {}
        }
    }

    fn advance(&mut self, id: &MemberId, relay: Relay) {
        let connection = self.desk.connection(id);
        let mine = |task: &TaskId| match task {
            TaskId::ReadAddress(of) | TaskId::Invite(of) | TaskId::ReadRelayLink(of) => of == id,
            TaskId::Allow(of) | TaskId::Send(of, _) | TaskId::Join(of) => of == id,
            TaskId::Delete(name) => *name == connection,
            TaskId::ReadGroupLink | TaskId::SetQueueKeys | TaskId::WriteLink | TaskId::DeleteLink => false,
            TaskId::ReadListed(_) => false,
        };
        let due = self.desk.owner.due(self.desk.now).into_iter().find(mine);
        let record = self.desk.owner.relay(id).unwrap();
        match (due, record.status()) {
            (Some(task), _) => self.desk.step(&task),
            (None, Status::Invited) => {
                let link = self.link(id, relay, LinkFault::None);
                self.desk.answer(id, &relay.accepts(&link.to_string()));
            }
            (None, Status::Accepted) if !record.is_connected() => self.desk.connect(id),
            (None, Status::Accepted) => self.desk.receive(id, &relay.acknowledges(0, None)),
            _ => {}
        }
    }

    fn link(&mut self, id: &MemberId, relay: Relay, fault: LinkFault) -> ContactShortLink {
        let good = relay.bound_link(id, self.desk.group_id());
        let linked = match fault {
            LinkFault::None => good.clone(),
            LinkFault::OtherMember => relay.relay_link(&MemberId::from_bytes(b"other").unwrap()),
            LinkFault::OtherGroup => Linked { tail: [&b"gid1 "[..], &[9; 32]].concat(), ..good.clone() },
            LinkFault::NotDirect => Linked { direct: false, ..good.clone() },
            LinkFault::NoProfile => Linked { json: None, ..good.clone() },
            LinkFault::Missing => return relay.relay_link(&MemberId::from_bytes(b"nowhere").unwrap()).make().0,
            LinkFault::Borrowed => {
                let others = self.good.iter().filter(|(other, _)| *other != id).flat_map(|(_, links)| links.iter());
                match others.last() {
                    Some(link) => return link.parse().unwrap(),
                    None => relay.relay_link(&MemberId::from_bytes(b"other").unwrap()),
                }
            }
        };
        let link = linked.make().0;
        if matches!(fault, LinkFault::None) {
            self.desk.publish(&linked);
            self.good.entry(id.clone()).or_default().insert(link.to_string());
        } else if !self.good.values().flatten().any(|good| *good == link.to_string()) {
            self.desk.publish(&linked);
        }
        link
    }

    fn do_task(&mut self, which: &prop::sample::Index, fate: Fate) {
        let mut due = self.desk.owner.due(self.desk.now);
        due.retain(|id| self.writing.is_none() || *id != TaskId::WriteLink);
        if due.is_empty() {
            return;
        }
        let id = which.get(&due).clone();
        let task = self.desk.owner.task(&id).unwrap();
        if let Task::Open { connection, .. } = &task {
            self.opened.insert(connection.clone());
        }
        if let Task::WriteLink(write) = &task {
            let listed = self.desk.read_listed(&write.data);
            let good: BTreeSet<&String> = self.good.values().flatten().collect();
            assert!(listed.iter().all(|link| good.contains(link)), "only what passed every check");
            match fate {
                Fate::Done => self.confirmed.extend(listed),
                Fate::Slow => self.writing = Some((write.version, listed)),
                Fate::Unreachable | Fate::Refused | Fate::Lost => {}
            }
        }
        match fate {
            Fate::Slow if id == TaskId::WriteLink => {}
            Fate::Done | Fate::Slow => self.desk.step(&id),
            Fate::Unreachable => self.desk.finish(&id, Outcome::Unreachable("no route".to_owned())),
            Fate::Refused => self.desk.finish(&id, Outcome::Refused("no".to_owned())),
            Fate::Lost => {
                self.desk.owner = reread(&self.desk.owner);
                self.writing = None;
            }
        }
    }

    fn check(&mut self) {
        let mut now = BTreeMap::new();
        for record in self.desk.owner.relays() {
            let (id, status) = (record.id().clone(), record.status());
            let before = self.before.get(&id).copied().unwrap_or(Status::New);
            assert!(may_follow(before, status), "{before} then {status}");
            if let Some(link) = record.relay_link() {
                assert!(self.good.get(&id).is_some_and(|good| good.contains(link)), "its own link, and a good one");
            }
            if status == Status::Active {
                assert!(self.confirmed.contains(record.relay_link().unwrap()), "the server confirmed it");
            }
            assert!(record.history().len() <= 8);
            now.insert(id, status);
        }
        let contents = self.desk.owner.link().group().contents();
        for link in &contents.relays {
            let publishable = [Status::Accepted, Status::Acknowledged, Status::Active];
            let listed = self.desk.owner.relays().iter().find(|record| record.relay_link() == Some(&link.to_string()));
            assert!(publishable.contains(&listed.unwrap().status()) && listed.unwrap().is_connected());
        }
        self.before = now;
    }

    /// Relays keep silent from now on; whatever the owner can do alone is done.
    fn run_out(&mut self) {
        self.desk.owner.try_again();
        self.writing = None;
        for _ in 0..500 {
            let due = self.desk.owner.due(self.desk.now);
            let Some(id) = due.first().cloned() else { break };
            self.do_task_done(&id);
            self.check();
        }
        assert_eq!(self.desk.owner.due(self.desk.now), [], "everything comes to an end");
        assert!(self.desk.owner.is_written());
        for record in self.desk.owner.relays().iter().filter(|record| record.status().is_final()) {
            assert!(record.is_over(), "nothing is left of it");
        }
    }

    fn do_task_done(&mut self, id: &TaskId) {
        if let Task::WriteLink(write) = self.desk.owner.task(id).unwrap() {
            self.confirmed.extend(self.desk.read_listed(&write.data));
        }
        self.desk.step(id);
    }
}

/// Every step of the table of statuses, and several of them when nobody looks between.
fn may_follow(before: Status, after: Status) -> bool {
    let next: &[Status] = match before {
        Status::New => &[Status::Invited, Status::Inactive, Status::Rejected],
        Status::Invited => &[Status::Accepted, Status::Inactive, Status::Rejected],
        Status::Accepted => &[Status::Acknowledged, Status::Active, Status::Inactive, Status::Rejected],
        Status::Acknowledged => &[Status::Active, Status::Inactive],
        Status::Active => &[Status::Inactive],
        Status::Inactive | Status::Rejected => &[],
    };
    before == after || next.contains(&after)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_published_that_did_not_pass_every_check(inputs in vec(input(), 1..200)) {
        let mut world = World::new();
        for input in &inputs {
            world.apply(input);
            world.check();
        }
        world.run_out();
    }

    #[test]
    fn no_bytes_of_a_relay_panic_or_publish(bodies in vec(vec(any::<u8>(), 0..200), 1..20), first in any::<u8>()) {
        let mut desk = Desk::new();
        let id = desk.accept(Relay::new(1));
        desk.run();
        for body in bodies {
            let body = [&[b"=X[{/>F"[usize::from(first) % 7]], body.as_slice()].concat();
            desk.receive(&id, &body);
            desk.run();
        }
        prop_assert!(desk.published.is_empty());
        let written = desk.events.iter().any(|event| matches!(event, Event::LinkWritten { .. }));
        prop_assert!(!written);
    }
}
