//! An owner, its relays with all that they do for members, and members: each with its own machine.

use std::collections::BTreeMap;

use agent::full_link::FullLink;
use agent::time::Env;
use crypto::SeededRandom;
use group::content::{Content, Mentions};
use group::element::Element;
use group::event::Event as ChatEvent;
use group::identity::MemberId;
use group::member::MemberProfile;
use group::membership::{Event, Heard, Membership, Order, Ordered, Outcome, Saying, Speech, Status, Task, Voice};
use group::owner::{ConnectionName as MemberConnection, Persona, Status as RelayStatus};
use group::relay::members::{
    AnswerOutcome, Deletion, DispatchKind, Handover, HandoverOutcome, Members, Work, end, next_dispatch,
};
use group::relay::{ConnectionName, Event as RelayEvent, ServiceId};
use group::step::link_verify::verify_group_link;

use crate::memory::Memory as Rows;
use crate::world::{Memory, World};

/// What a relay does for the members of the group.
#[derive(Default)]
struct Hall {
    service: Option<ServiceId>,
    rows: Rows,
    before: Option<DispatchKind>,
    /// Who asked, by the number of the request.
    requests: BTreeMap<u64, (usize, MemberConnection)>,
    /// The member at the other end, and its name for the connection.
    ends: BTreeMap<ConnectionName, (usize, MemberConnection)>,
}

/// A member with its own machine.
pub(crate) struct Citizen {
    pub(crate) member: Membership,
    pub(crate) kept: Memory,
    random: SeededRandom,
    /// The relay and its name for a connection.
    ends: BTreeMap<MemberConnection, (usize, ConnectionName)>,
    pub(crate) heard: Vec<Heard>,
    pub(crate) told: Vec<Event>,
    /// It hears nothing for now: everything waits for it.
    pub(crate) away: bool,
    waiting: Vec<(MemberConnection, Vec<u8>)>,
}

/// What becomes of a body that a relay sends to a member.
pub(crate) type Meddler = fn(relay: usize, body: Vec<u8>) -> Vec<Vec<u8>>;

pub(crate) struct Town {
    pub(crate) world: World,
    halls: Vec<Hall>,
    pub(crate) citizens: Vec<Citizen>,
    next: u64,
    /// Relays that are hostile do what they like with what members get.
    pub(crate) meddler: Meddler,
}

impl Town {
    /// A group that these many relays serve.
    pub(crate) fn new(relays: usize) -> Self {
        let mut world = World::new(relays);
        world.on_owner(|owner, env| {
            let server = "smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@owner.example.org".parse().unwrap();
            owner.introduce(Persona::random(server, env.random)).unwrap();
            Vec::new()
        });
        let halls = (0..relays).map(|_| Hall::default()).collect();
        let honest: Meddler = |_, body| vec![body];
        let mut town = Town { world, halls, citizens: Vec::new(), next: 1, meddler: honest };
        for relay in 0..relays {
            let address = town.world.address(relay);
            town.world.on_owner(|owner, env| {
                owner.invite(address, env).unwrap();
                Vec::new()
            });
        }
        town.pass(120);
        assert!(town.world.owner.relays().iter().all(|record| record.status() == RelayStatus::Active));
        town
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.world.pass(std::time::Duration::from_secs(seconds));
        self.settle();
    }

    /// Does everything that is due, until nothing is.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.world.settle();
            let followed = self.follow();
            let served = (0..self.halls.len()).any(|relay| self.serve(relay));
            let lived = (0..self.citizens.len()).any(|citizen| self.live(citizen));
            if !followed && !served && !lived {
                return;
            }
        }
        panic!("it never settles");
    }

    /// What relays told goes to their halls.
    fn follow(&mut self) -> bool {
        let events = std::mem::take(&mut self.world.relay_events);
        let any = !events.is_empty();
        for (relay, event) in events {
            match event {
                RelayEvent::Invited(service) => self.halls[relay].service = Some(service),
                RelayEvent::ToForward { message, sent_at, .. } => {
                    self.hall(relay, |members| members.owner_said(&message, sent_at).unwrap());
                }
                RelayEvent::OwnerConnected { owner, connection, max_version, .. } => {
                    self.hall(relay, |members| members.owner_connected(&owner, connection, max_version).unwrap());
                }
                RelayEvent::RosterChanged(_) => self.hall(relay, |members| members.roster_changed().unwrap()),
                RelayEvent::StatusChanged { service, status } if !status.is_current() => {
                    let word = self.world.relays[relay].service(service).unwrap().farewell().map(<[u8]>::to_vec);
                    end(&mut self.halls[relay].rows, word).unwrap();
                }
                _ => {}
            }
        }
        any
    }

    fn hall<T>(&mut self, relay: usize, step: impl FnOnce(&mut Members<'_, '_, Rows>) -> T) -> T {
        let hall = &mut self.halls[relay];
        let view = self.world.relays[relay].view(hall.service.unwrap()).expect("a group that is served");
        let mut env = Env { now: self.world.now, random: &mut self.world.random };
        step(&mut Members::new(&view, &mut hall.rows, &mut env))
    }

    fn serve(&mut self, relay: usize) -> bool {
        let Some(service) = self.halls[relay].service else { return false };
        let view = self.world.relays[relay].view(service);
        let hall = &self.halls[relay];
        let next = next_dispatch(service, view.as_ref(), &hall.rows, self.world.now, hall.before).unwrap();
        let Some(Work { answers, dispatch }) = next else { return false };
        self.halls[relay].before = Some(dispatch.kind);
        for answer in answers {
            let (citizen, connection) = self.halls[relay].requests.remove(&answer.request).expect("a request");
            self.halls[relay].ends.insert(answer.connection, (citizen, connection.clone()));
            self.citizens[citizen].ends.insert(connection.clone(), (relay, answer.connection));
            answer.settle(AnswerOutcome::Done, &mut self.halls[relay].rows, self.world.now).unwrap();
            self.tell(citizen, |member, env| member.answered(&connection, &answer.info, env).unwrap_or_default());
        }
        let outcomes: Vec<_> = dispatch.handovers.iter().map(|handover| self.hand_over(relay, handover)).collect();
        let rows = &mut self.halls[relay].rows;
        dispatch.settlement.settle(&dispatch.handovers, &outcomes, rows, self.world.now).unwrap();
        true
    }

    fn hand_over(&mut self, relay: usize, handover: &Handover) -> HandoverOutcome {
        if let ConnectionName::Owner(..) = handover.connection {
            let bodies = handover.bodies.iter().cloned();
            bodies.for_each(|body| self.world.send_to_owner(relay, handover.connection, body));
            return HandoverOutcome::Taken;
        }
        let Some((citizen, connection)) = self.halls[relay].ends.get(&handover.connection).cloned() else {
            return HandoverOutcome::Gone;
        };
        for body in handover.bodies.iter().flat_map(|body| (self.meddler)(relay, body.clone())) {
            self.citizens[citizen].waiting.push((connection.clone(), body));
        }
        if matches!(handover.deletion, Some(Deletion::AfterMessages | Deletion::AtOnce)) {
            self.halls[relay].ends.remove(&handover.connection);
        }
        HandoverOutcome::Taken
    }

    fn tell(&mut self, citizen: usize, step: impl FnOnce(&mut Membership, &mut Env<'_>) -> Vec<Event>) {
        let citizen = &mut self.citizens[citizen];
        let events = step(&mut citizen.member, &mut Env { now: self.world.now, random: &mut citizen.random });
        citizen.take(events);
    }

    fn live(&mut self, citizen: usize) -> bool {
        if self.citizens[citizen].away {
            return false;
        }
        let waiting = std::mem::take(&mut self.citizens[citizen].waiting);
        let any = !waiting.is_empty();
        for (connection, body) in waiting {
            self.citizens[citizen].listen(&connection, &body, &self.world);
        }
        self.work(citizen) || any
    }

    fn work(&mut self, citizen: usize) -> bool {
        let Some(id) = self.citizens[citizen].member.due(self.world.now).first().cloned() else { return false };
        let outcome = match self.citizens[citizen].member.task(&id).unwrap() {
            Task::ReadLink(link) => match self.world.behind_link(&link) {
                Some(data) => Outcome::Retrieved(data.into()),
                None => Outcome::Refused("no such link".to_owned()),
            },
            Task::Open { connection, link, info, .. } => {
                let relay = self.relay_behind(&link);
                let request = self.next;
                self.next += 1;
                self.halls[relay].requests.insert(request, (citizen, connection));
                self.hall(relay, |members| members.requested(request, &info).unwrap());
                Outcome::Done
            }
            Task::Allow { connection, info } => {
                let (relay, end) = self.citizens[citizen].ends[&connection];
                self.hall(relay, |members| members.informed(&end, &info).unwrap());
                self.hall(relay, |members| members.connected(&end).unwrap());
                self.tell(citizen, |member, env| member.finish(&id, Outcome::Done, env).unwrap());
                self.tell(citizen, |member, env| member.connected(&connection, env).unwrap());
                return true;
            }
            Task::Send { connection, body } => {
                let (relay, end) = self.citizens[citizen].ends[&connection];
                let message = self.next.to_be_bytes();
                self.next += 1;
                let sent_at = i64::try_from(self.world.now.millis() / 1000).unwrap();
                if self.halls[relay].ends.contains_key(&end) {
                    self.hall(relay, |members| members.received(&end, &message, sent_at, &body).unwrap());
                }
                Outcome::Done
            }
            Task::Delete { .. } => Outcome::Done,
        };
        self.tell(citizen, |member, env| member.finish(&id, outcome, env).unwrap());
        true
    }

    /// The relay that made the link that a full link came from.
    fn relay_behind(&self, link: &FullLink) -> usize {
        let queue = &link.request().first_queue().address.sender_id;
        let made = |relay: &usize| {
            let services = self.world.relays[*relay].services();
            let links = services.filter_map(|service| service.relay_link());
            links.filter_map(|link| self.world.behind_link(link)).any(|data| data.sender_id == *queue)
        };
        (0..self.halls.len()).find(made).expect("a relay link")
    }

    /// Somebody joins under a name.
    pub(crate) fn join(&mut self, name: &str) -> usize {
        let link = self.world.owner.link().group().short_link().clone();
        let data = self.world.behind_link(&link).unwrap();
        let group = verify_group_link(link, data.clone()).unwrap();
        let mut random = SeededRandom::new(&[5; 32], name);
        let server = "smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@member.example.org".parse().unwrap();
        let persona = Persona::known(MemberProfile::named(name), server).unwrap();
        let mut env = Env { now: self.world.now, random: &mut random };
        let member = Membership::join(&group, &data, persona, &mut env).unwrap();
        self.citizens.push(Citizen {
            member,
            kept: Memory::default(),
            random,
            ends: BTreeMap::new(),
            heard: Vec::new(),
            told: Vec::new(),
            away: false,
            waiting: Vec::new(),
        });
        self.settle();
        let citizen = self.citizens.len() - 1;
        let relays = self.citizens[citizen].member.relays();
        assert!(relays.iter().all(|record| record.status() == Status::Connected), "{relays:?}");
        citizen
    }

    pub(crate) fn id(&self, citizen: usize) -> MemberId {
        self.citizens[citizen].member.id().clone()
    }

    /// A member posts something, signed if it is to be.
    pub(crate) fn post(&mut self, citizen: usize, text: &str, signed: bool) {
        let content = Content::text(text);
        let what = Saying::Post { content, mentions: Mentions::default(), reply_to: None, file: None, ttl: None };
        let speech = Speech { what, voice: Voice::Oneself, signed, scope: None, id: None };
        let said = &mut self.citizens[citizen];
        let mut env = Env { now: self.world.now, random: &mut said.random };
        let spoken = said.member.say(&speech, &said.kept, &mut env).unwrap();
        said.kept.0.extend(spoken.changes.into_iter().map(|change| (change.key, change.value)));
        self.settle();
    }

    /// A member gives an order.
    pub(crate) fn order(&mut self, citizen: usize, order: &Order) -> Ordered {
        let by = &mut self.citizens[citizen];
        let mut env = Env { now: self.world.now, random: &mut by.random };
        let ordered = by.member.order(order, &by.kept, &mut env).unwrap();
        by.kept.0.extend(ordered.changes.iter().map(|change| (change.key.clone(), change.value.clone())));
        self.settle();
        ordered
    }

    /// A relay sends something of its own making to a member.
    pub(crate) fn inject(&mut self, relay: usize, citizen: usize, body: &[u8]) {
        let connection = self.citizens[citizen].ends.iter().find(|(_, (of, _))| *of == relay).unwrap().0.clone();
        self.citizens[citizen].listen(&connection, body, &self.world);
        self.settle();
    }
}

impl Citizen {
    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Heard(heard) => self.heard.push(*heard),
                other => self.told.push(other),
            }
        }
    }

    fn listen(&mut self, connection: &MemberConnection, body: &[u8], world: &World) {
        let mut env = Env { now: world.now, random: &mut self.random };
        let received = self.member.received(connection, body, &self.kept, &mut env).unwrap();
        self.kept.0.extend(received.changes.into_iter().map(|change| (change.key, change.value)));
        self.take(received.events);
    }

    /// What was heard since the last call: texts of posts, names of everything else.
    pub(crate) fn texts(&mut self) -> Vec<String> {
        let text = |heard: Heard| match heard.event() {
            ChatEvent::MessageNew(new) => new.content.as_text().unwrap_or_default().to_owned(),
            other => other.name().to_owned(),
        };
        std::mem::take(&mut self.heard).into_iter().map(text).collect()
    }

    /// Everything that relays sent was understood and believed.
    pub(crate) fn assert_content(&self) {
        let complaint = |event: &&Event| {
            matches!(
                event,
                Event::Dropped { .. } | Event::Refused { .. } | Event::OtherKey { .. } | Event::Different { .. }
            )
        };
        assert_eq!(self.told.iter().find(complaint), None);
    }
}

/// Bodies without the elements that a relay does not pass on.
pub(crate) fn without(body: &[u8], withheld: fn(&Element) -> bool) -> Vec<Vec<u8>> {
    let batch = group::body::Batch::parse(body).unwrap();
    let elements = batch.into_iter().map(Result::unwrap).filter(|element| !withheld(element));
    elements.map(|element| group::body::single(element).unwrap()).collect()
}
