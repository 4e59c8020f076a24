//! Whatever happens, every message that was accepted reaches every member once, in order.

use std::collections::BTreeMap;
use std::time::Duration;

use group::event::Event;
use group::identity::MemberId;
use group::member::Role;
use group::relay::ConnectionName;
use group::relay::members::{MemberState, ReadRows, Work};
use proptest::prelude::*;

use super::joining::appoint;
use super::memory::count;
use super::world::{Heard, Person, RELAY, World, post, texts};

const PEOPLE: usize = 6;

#[derive(Debug, Clone)]
enum Input {
    OwnerPosts,
    Posts(usize),
    Joins(usize),
    Connects(usize),
    Leaves(usize),
    Stuck(usize, bool),
    Full(usize),
    Restored(usize),
    /// Something is begun.
    Begin,
    /// What was begun is done.
    Finish,
    /// What was begun is lost, with the relay.
    Crash,
    Work,
    Pass(u64),
}

fn input() -> impl Strategy<Value = Input> {
    let person = || 0..PEOPLE;
    prop_oneof![
        6 => Just(Input::OwnerPosts),
        3 => person().prop_map(Input::Posts),
        3 => person().prop_map(Input::Joins),
        4 => person().prop_map(Input::Connects),
        1 => person().prop_map(Input::Leaves),
        2 => (person(), any::<bool>()).prop_map(|(person, stuck)| Input::Stuck(person, stuck)),
        2 => person().prop_map(Input::Full),
        2 => person().prop_map(Input::Restored),
        8 => Just(Input::Begin),
        8 => Just(Input::Finish),
        2 => Just(Input::Crash),
        2 => Just(Input::Work),
        2 => (1..2_000_u64).prop_map(Input::Pass),
    ]
}

/// What was accepted, in order, and since when each connection is there.
struct Story {
    world: World,
    people: Vec<Person>,
    begun: Option<Work>,
    said: Vec<(MemberId, String)>,
    since: BTreeMap<ConnectionName, usize>,
    until: BTreeMap<ConnectionName, usize>,
    owners: Vec<ConnectionName>,
}

impl Story {
    fn new() -> Self {
        let mut world = World::new();
        let people: Vec<Person> = (0..PEOPLE).map(|number| Person::new(&format!("person-{number}"))).collect();
        // Half of them may write.
        let writers: Vec<_> = people.iter().take(PEOPLE / 2).map(|person| (person, Role::Member)).collect();
        appoint(&mut world, 1, &writers);
        world.work();
        let owners = vec![world.owner_connection];
        Story { world, people, begun: None, said: Vec::new(), since: BTreeMap::new(), until: BTreeMap::new(), owners }
    }

    fn connection(&self, person: usize) -> Option<ConnectionName> {
        let member = self.world.rows.member_with_id(&self.people[person].id).unwrap()?;
        member.is_current().then(|| member.connection(self.world.service, &member.link))
    }

    fn is_connected(&self, person: usize) -> bool {
        let member = self.world.rows.member_with_id(&self.people[person].id).unwrap();
        member.is_some_and(|member| member.is_connected())
    }

    fn apply(&mut self, input: Input) {
        match input {
            Input::OwnerPosts => {
                let text = self.said.len().to_string();
                self.world.owner_posts(&text);
                self.said.push((self.world.owner.identity.owner_id.clone(), text));
            }
            Input::Posts(person) if self.is_connected(person) && person < PEOPLE / 2 => {
                let text = self.said.len().to_string();
                let author = self.people[person].clone();
                let before = self.world.refusals().len();
                self.world.says(&author, post(&text));
                assert_eq!(self.world.refusals().len(), before);
                self.said.push((author.id, text));
            }
            Input::Joins(person) => {
                if let Some(old) = self.connection(person) {
                    self.until.entry(old).or_insert(self.said.len());
                }
                let person = self.people[person].clone();
                self.world.ask_signed(&person, person.join(RELAY));
            }
            Input::Connects(person) => self.connects(person),
            Input::Leaves(person) if self.is_connected(person) => {
                let connection = self.connection(person).unwrap();
                let leaver = self.people[person].clone();
                self.world.signs(&leaver, Event::GroupLeave);
                self.until.entry(connection).or_insert(self.said.len());
            }
            Input::Stuck(person, stuck) => {
                let connection = self.connection(person);
                if let Some(taken) = connection.and_then(|name| self.world.connections.get_mut(&name)) {
                    taken.stuck = stuck;
                    taken.unsent = if stuck { taken.unsent } else { 0 };
                }
            }
            Input::Full(person) if self.is_connected(person) => {
                let connection = self.connection(person).unwrap();
                self.world.step(|members| members.queue_full(&connection).unwrap());
            }
            Input::Restored(person) if self.is_connected(person) => {
                let connection = self.connection(person).unwrap();
                self.world.step(|members| members.queue_restored(&connection).unwrap());
            }
            Input::Begin if self.begun.is_none() => self.begun = self.world.next(),
            Input::Finish => {
                if let Some(work) = self.begun.take() {
                    self.world.carry_out(work);
                }
            }
            Input::Crash => {
                self.begun = None;
                self.world.restart();
            }
            Input::Work if self.begun.is_none() => self.world.work(),
            Input::Pass(seconds) if self.begun.is_none() => self.world.pass(Duration::from_secs(seconds)),
            _ => {}
        }
    }

    fn connects(&mut self, person: usize) {
        let Some(connection) = self.connection(person) else { return };
        if self.world.connections.contains_key(&connection) && !self.since.contains_key(&connection) {
            self.since.insert(connection, self.said.len());
            self.world.step(|members| members.connected(&connection).unwrap());
        }
    }

    fn settle(&mut self) {
        self.apply(Input::Finish);
        for person in 0..PEOPLE {
            self.apply(Input::Stuck(person, false));
        }
        self.world.connections.values_mut().for_each(|taken| (taken.stuck, taken.unsent) = (false, 0));
        self.world.pass(Duration::from_secs(3_600));
    }

    fn check(&self) {
        for (connection, since) in &self.since {
            let until = self.until.get(connection).copied();
            let heard = texts(&self.world.through(connection));
            let owner = self.people.iter().find(|person| self.owns(person, connection)).unwrap();
            let expected: Vec<String> = self
                .said
                .iter()
                .skip(*since)
                .filter(|(author, _)| *author != owner.id)
                .map(|(_, text)| text.clone())
                .collect();
            // What was not delivered when somebody joined is said to it too; it is not repeated.
            let start = heard.len().saturating_sub(expected.len());
            match until {
                None => assert_eq!(heard[start..], expected, "{connection}"),
                Some(_) => assert!(is_ordered(&heard), "{connection}: {heard:?}"),
            }
            assert!(is_ordered(&heard), "{connection}: {heard:?}");
        }
        for owner in &self.owners {
            let by_others = |(author, _): &&(MemberId, String)| *author != self.world.owner.identity.owner_id;
            let expected: Vec<String> = self.said.iter().filter(by_others).map(|(_, text)| text.clone()).collect();
            assert_eq!(texts(&self.world.through(owner)), expected);
        }
        let hall = self.world.rows.hall().unwrap().unwrap();
        assert_eq!(hall.members, count(&self.world.rows, MemberState::Connected));
        assert_eq!(hall.admitted, count(&self.world.rows, MemberState::Admitted));
        assert!(self.world.rows.all_members().all(|member| member.behind.is_none()));
        assert_eq!((hall.group.done, hall.support.done), (hall.group.next, hall.support.next));
        self.check_introductions();
    }

    fn owns(&self, person: &Person, connection: &ConnectionName) -> bool {
        let ConnectionName::Member(_, number, _) = *connection else { return false };
        let member = self.world.rows.member(number).unwrap();
        member.is_some_and(|member| member.id == person.id)
    }

    /// Nobody hears something of somebody that it was not told about before.
    fn check_introductions(&self) {
        for connection in self.since.keys() {
            let mut known = vec![self.world.owner.identity.owner_id.clone()];
            for heard in self.world.through(connection) {
                match heard {
                    Heard::Relay(Event::GroupMemberNew(new)) => known.push(new.member_info.member_id.clone()),
                    Heard::Relay(Event::GroupMemberIntroduction(new)) => known.push(new.member_info.member_id.clone()),
                    Heard::Said(Some(author), Event::MessageNew(_)) => assert!(known.contains(&author), "{connection}"),
                    _ => {}
                }
            }
        }
    }
}

fn is_ordered(texts: &[String]) -> bool {
    let numbers: Vec<usize> = texts.iter().map(|text| text.parse().unwrap()).collect();
    numbers.windows(2).all(|pair| pair[0] < pair[1])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_reaches_every_member_once_and_in_order(inputs in proptest::collection::vec(input(), 1..120)) {
        let mut story = Story::new();
        for input in inputs {
            story.apply(input);
        }
        story.settle();
        story.check();
    }
}
