//! What holds for all sequences of inputs, with crashes between them.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::time::{Env, Time};
use group::body::ConnectionInfo;
use group::event::{Event, GroupInfo, MemberRemoval, RejectionReason, RelayCommand, RelayControl};
use group::relay::{
    ConnectionName, Event as RelayEvent, GroupSelector, Outcome, Rejection, Relay, RelaySettings, ServiceId, Status,
    Task, Verdict,
};
use proptest::prelude::*;

use crate::support::{Bench, Done, Found, Owner, hours, id, settings};

const MEMBERS: [&str; 3] = ["relay-member-id1", "relay-member-id2", "relay-member-id3"];

/// Something that happens to a relay.
#[derive(Debug, Clone)]
enum Input {
    Invite(usize, usize),
    RunOne(usize),
    Fail(usize, bool),
    Run,
    Pass(u64),
    /// The relay is switched off for so many days.
    Away(u64),
    Publish(usize, u8),
    Server(usize, u8),
    Restart,
    Informed(usize),
    Connected(usize),
    Lost(usize),
    Remove(usize, usize),
    Control(usize, bool),
    Garbage(usize, Vec<u8>),
    Leave(usize),
    Allow(usize),
    Verdict(bool),
}

fn input() -> impl Strategy<Value = Input> {
    let group = 0..2_usize;
    prop_oneof![
        4 => (group.clone(), 0..3_usize).prop_map(|(group, member)| Input::Invite(group, member)),
        6 => (0..8_usize).prop_map(Input::RunOne),
        1 => (0..8_usize, any::<bool>()).prop_map(|(task, hard)| Input::Fail(task, hard)),
        6 => Just(Input::Run),
        3 => (1..100_000_u64).prop_map(Input::Pass),
        1 => Just(Input::Away(40)),
        3 => (group.clone(), any::<u8>()).prop_map(|(group, which)| Input::Publish(group, which)),
        2 => (group.clone(), 0..3_u8).prop_map(|(group, how)| Input::Server(group, how)),
        3 => Just(Input::Restart),
        2 => (0..8_usize).prop_map(Input::Informed),
        2 => (0..8_usize).prop_map(Input::Connected),
        1 => (0..8_usize).prop_map(Input::Lost),
        1 => (0..8_usize, 0..3_usize).prop_map(|(to, member)| Input::Remove(to, member)),
        1 => (0..8_usize, any::<bool>()).prop_map(|(to, info)| Input::Control(to, info)),
        1 => (0..8_usize, proptest::collection::vec(any::<u8>(), 0..60)).prop_map(|(to, body)| Input::Garbage(to, body)),
        1 => group.clone().prop_map(Input::Leave),
        1 => group.prop_map(Input::Allow),
        1 => any::<bool>().prop_map(Input::Verdict),
    ]
}

/// The table of statuses, written down once more.
fn may_follow(from: &Status, to: &Status) -> bool {
    match from {
        Status::Invited => matches!(to, Status::LinkCreated | Status::Rejected(_) | Status::Inactive(_)),
        Status::LinkCreated => matches!(to, Status::Accepted | Status::Rejected(_) | Status::Inactive(_)),
        Status::Accepted => {
            matches!(
                to,
                Status::Acknowledged | Status::Active | Status::Rejected(Rejection::Left) | Status::Inactive(_)
            )
        }
        Status::Acknowledged => {
            matches!(to, Status::Active | Status::Rejected(Rejection::Left) | Status::Inactive(_))
        }
        Status::Active => matches!(to, Status::Rejected(Rejection::Left) | Status::Inactive(_)),
        Status::Rejected(Rejection::Left) => matches!(to, Status::Inactive(_)),
        Status::Rejected(_) | Status::Inactive(_) => false,
    }
}

struct World {
    bench: Bench,
    owners: Vec<Owner>,
    statuses: BTreeMap<ServiceId, Status>,
    seen_events: usize,
}

impl World {
    fn new(settings: RelaySettings) -> Self {
        let owners = vec![Owner::new("Walks"), Owner::new("Songs")];
        let mut bench = Bench::with(settings);
        owners.iter().for_each(|owner| bench.serve(owner));
        World { bench, owners, statuses: BTreeMap::new(), seen_events: 0 }
    }

    /// A connection that was answered.
    fn connection(&self, which: usize) -> Option<ConnectionName> {
        let answered = |done: &Done| match done {
            Done::Answered(connection, _) => Some(*connection),
            _ => None,
        };
        let answered: Vec<_> = self.bench.done.iter().filter_map(answered).collect();
        answered.get(which.checked_rem(answered.len())?).copied()
    }

    fn apply(&mut self, input: Input) {
        let bench = &mut self.bench;
        match input {
            Input::Invite(group, member) => {
                let invitation = self.owners[group].invitation(MEMBERS[member]);
                bench.invite(invitation);
            }
            Input::RunOne(which) => {
                let due = bench.relay.due(bench.now);
                if let Some(task) = due.get(which % due.len().max(1)).copied() {
                    bench.run_task(&task);
                }
            }
            Input::Fail(which, hard) => {
                let due = bench.relay.due(bench.now);
                if let Some(task) = due.get(which % due.len().max(1)).copied() {
                    // What failed may have been done all the same.
                    if hard && matches!(self.created(&task), Some(true)) {
                        return;
                    }
                    let outcome = if hard { Outcome::Failed("refused".to_owned()) } else { Outcome::Unreachable };
                    self.bench.step(|relay, env| relay.finish(&task, outcome, env));
                }
            }
            Input::Run => bench.run(),
            Input::Pass(seconds) => bench.pass(Duration::from_secs(seconds)),
            Input::Away(days) => {
                bench.now = bench.now.after(hours(24 * days));
                bench.restart();
                bench.step(Relay::elapsed);
            }
            Input::Publish(group, which) => {
                let links: Vec<_> = bench.created();
                let chosen = links.iter().enumerate().filter(|(index, _)| which & (1 << (index % 8)) != 0);
                let chosen: Vec<_> = chosen.map(|(_, link)| link.clone()).collect();
                self.owners[group].publish(&chosen);
                bench.serve(&self.owners[group]);
            }
            Input::Server(group, how) => match how {
                0 => bench.serve(&self.owners[group]),
                1 => bench.lose(&self.owners[group], Found::Unreachable),
                _ => bench.lose(&self.owners[group], Found::Nothing),
            },
            Input::Restart => bench.restart(),
            Input::Informed(which) => {
                let ok = ConnectionInfo::unsigned(Event::Ok).to_bytes().unwrap();
                if let Some(connection) = self.connection(which) {
                    self.bench.step(|relay, env| relay.informed(&connection, &ok, env));
                }
            }
            Input::Connected(which) => {
                if let Some(connection) = self.connection(which) {
                    self.bench.step(|relay, env| relay.connected(&connection, env));
                }
            }
            Input::Lost(which) => {
                if let Some(connection) = self.connection(which) {
                    self.bench.step(|relay, env| relay.connection_lost(&connection, env));
                }
            }
            Input::Remove(which, member) => {
                let member_id = id(MEMBERS[member]);
                let removal = MemberRemoval { member_id, messages: None, roster_version: None };
                self.say(which, Event::GroupMemberDelete(removal));
            }
            Input::Control(which, true) => {
                let group_profile = self.owners[0].profile();
                self.say(which, Event::GroupInfo(GroupInfo::from(group_profile).into()));
            }
            Input::Control(which, false) => {
                self.say(which, Event::GroupRelayControl(RelayControl { command: RelayCommand::Suspend }));
            }
            Input::Garbage(which, body) => {
                if let Some(connection) = self.connection(which) {
                    self.bench.receive(connection, &body);
                }
            }
            Input::Leave(group) => {
                let selector = GroupSelector::Link(self.owners[group].short_link());
                bench.step(|relay, env| relay.leave(&selector, env).unwrap_or_default());
            }
            Input::Allow(group) => {
                let selector = GroupSelector::Group(self.owners[group].identity.group_id());
                bench.step(|relay, env| relay.allow(&selector, env).unwrap_or_default());
            }
            Input::Verdict(accept) => {
                let refuse = Verdict::Refuse(RejectionReason::Policy);
                bench.verdict = Some(if accept { Verdict::Accept } else { refuse });
            }
        }
    }

    /// Whether the task would create a link.
    fn created(&mut self, task: &group::relay::TaskId) -> Option<bool> {
        let mut env = Env { now: self.bench.now, random: &mut self.bench.random };
        let task = self.bench.relay.task(task, &mut env)?;
        Some(matches!(task, Task::CreateLink { .. }))
    }

    fn say(&mut self, which: usize, event: Event) {
        if let Some(connection) = self.connection(which) {
            let body = self.owners[which % 2].says(event);
            self.bench.receive(connection, &body);
        }
    }

    /// What must hold after every input.
    fn check(&mut self) {
        for event in &self.bench.events[self.seen_events..] {
            match event {
                RelayEvent::Invited(service) => {
                    assert_eq!(self.statuses.insert(*service, Status::Invited), None, "an ID is used once");
                }
                RelayEvent::StatusChanged { service, status } => {
                    let before = self.statuses.insert(*service, status.clone()).expect("a service that began");
                    assert!(may_follow(&before, status), "{before:?} to {status:?}");
                }
                _ => {}
            }
        }
        self.seen_events = self.bench.events.len();
        let (relay, now) = (&self.bench.relay, self.bench.now);
        assert_eq!((relay.due(now), relay.next_due(now)), relay.scan(now), "nothing that is due is forgotten");
        for service in self.bench.relay.services() {
            assert_eq!(self.statuses.get(&service.id()), Some(service.status()));
        }
        assert!(!self.bench.log.iter().any(|entry| match &entry.event {
            group::relay::LogEvent::Failed { what, .. } => what == "status",
            _ => false,
        }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn statuses_move_along_the_table_and_each_invitation_has_at_most_one_link(
        ask_policy in any::<bool>(),
        inputs in proptest::collection::vec(input(), 1..60),
    ) {
        let mut world = World::new(RelaySettings { ask_policy, check_interval: hours(12), ..settings() });
        // The link of each group and member ID, with the service and since when it has its status.
        let mut links: BTreeMap<(String, Vec<u8>), (String, ServiceId, Time)> = BTreeMap::new();
        for input in inputs {
            world.apply(input);
            world.check();
            let (relay, now) = (&world.bench.relay, world.bench.now);
            for (service, since) in links.values().map(|(_, service, since)| (*service, *since)) {
                prop_assert!(relay.service(service).is_some() || now.since(since) >= hours(24 * 30), "forgotten early");
            }
            links.retain(|_, (_, service, _)| relay.service(*service).is_some());
            for service in relay.services() {
                let Some(link) = service.relay_link() else { continue };
                let invitation = service.invitation();
                let key = (invitation.group_link.to_string(), invitation.relay_member_id.as_bytes().to_vec());
                let found = (link.to_string(), service.id(), service.since());
                if let Some((before, ..)) = links.insert(key, found) {
                    prop_assert_eq!(before, link.to_string());
                }
            }
        }
    }

    #[test]
    fn requests_of_all_kinds_are_survived(info in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bench = Bench::new();
        bench.request_bytes(&info);
        bench.run();
        prop_assert_eq!(bench.services(), 0);
    }
}
