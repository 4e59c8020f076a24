//! Alice and Bob, who do what a story says.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::connection::{
    Accepted, Connection, ConnectionError, Event, InviteLink, JoinLink, QueuePlan, ReceiptEvent, ReceivedMessage,
    SendOptions, Settings, Status, Versions,
};
use agent::full_link::FullLink;
use agent::message_chain::Integrity;
use agent::ratchet::Pq;
use codec::VersionRange;
use smp::id::{MessageId, SenderId};
use world::{HostId, Inbox, Rules, ServerId, World};

/// What Alice calls her connection to Bob.
pub(crate) const BOB: &str = "bob";
/// What Bob calls his connection to Alice.
pub(crate) const ALICE: &str = "alice";

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// How the two connect.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) alice: Settings,
    pub(crate) bob: Settings,
    pub(crate) link: InviteLink,
    /// Whether Bob secures Alice's queue himself, and Alice Bob's.
    pub(crate) fast: [bool; 2],
    pub(crate) rules: Rules,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            alice: Settings::default(),
            bob: Settings::default(),
            link: InviteLink::default(),
            fast: [true, true],
            rules: Rules::default(),
        }
    }
}

impl Terms {
    /// Without post-quantum encryption, which is quicker.
    pub(crate) fn plain() -> Self {
        let plain = Settings { pq: Pq::Off, ..Settings::default() };
        Terms { alice: plain, bob: plain, ..Terms::default() }
    }
}

/// Settings with versions up to these.
pub(crate) fn up_to(agent: u16, ratchet: u16, client: u16) -> Settings {
    let range = |min, max| VersionRange::new(min, max).unwrap();
    let versions = Versions { agent: range(2, agent), ratchet: range(2, ratchet), client: range(1, client) };
    Settings { versions, pq: Pq::On }
}

/// Either of the two, with the name of the connection to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) host: HostId,
    pub(crate) name: &'static str,
}

/// Two hosts, each with a server where its queues are.
pub(crate) struct Pair {
    pub(crate) world: World<Inbox>,
    pub(crate) terms: Terms,
    pub(crate) alice: Side,
    pub(crate) bob: Side,
    /// Alice's queues are on the first, Bob's on the second.
    pub(crate) servers: [ServerId; 2],
}

impl Pair {
    /// Before anything has happened.
    pub(crate) fn new(terms: Terms) -> Self {
        let mut world = World::quiet(1);
        let servers = ["one", "two"].map(|name| world.add_server(name, terms.rules.clone()));
        let alice = Side { host: world.add_host("alice", Inbox::default()), name: BOB };
        let bob = Side { host: world.add_host("bob", Inbox::default()), name: ALICE };
        Pair { world, terms, alice, bob, servers }
    }

    /// Both are connected, and have heard so.
    pub(crate) fn connected(terms: Terms) -> Self {
        let mut pair = Pair::new(terms);
        pair.connect();
        pair
    }

    /// From nothing to connected.
    pub(crate) fn connect(&mut self) {
        let link = self.invite();
        self.join(link);
        self.run();
        self.allow();
        self.run();
        for side in [self.alice, self.bob] {
            let events = self.events(side);
            assert!(events.iter().any(|event| matches!(event, Event::Connected { .. })), "{side:?}: {events:?}");
            self.step(side, |connection, _| connection.heard());
        }
    }

    /// A second connection between the same two; the first one is returned.
    pub(crate) fn connect_again(&mut self) -> [Side; 2] {
        let first = [self.alice, self.bob];
        (self.alice.name, self.bob.name) = ("bob, again", "alice, again");
        self.connect();
        first
    }

    pub(crate) fn plan(&self, side: Side) -> QueuePlan {
        let index = usize::from(side == self.bob);
        QueuePlan { sender_secures: self.terms.fast[index], ..QueuePlan::at(self.world.address(self.servers[index])) }
    }

    /// Alice begins to invite.
    pub(crate) fn begin_inviting(&mut self) {
        let (plan, link, settings) = (self.plan(self.alice), self.terms.link.clone(), self.terms.alice);
        let invite = |env: &mut agent::time::Env<'_>| Connection::invite(plan, link, &settings, env);
        self.world.begin(self.alice.host, self.alice.name, invite).unwrap();
    }

    /// Alice invites, and her queue comes to be.
    pub(crate) fn invite(&mut self) -> JoinLink {
        self.begin_inviting();
        self.run();
        assert_eq!(self.events(self.alice), [Event::Created]);
        self.link()
    }

    /// The link that Alice gives away: the short one if there is one.
    pub(crate) fn link(&self) -> JoinLink {
        let own = self.connection(self.alice).invitation().unwrap();
        own.short.map_or(JoinLink::Full(Box::new(own.full)), JoinLink::Invitation)
    }

    pub(crate) fn full_link(&self) -> FullLink {
        self.connection(self.alice).invitation().unwrap().full
    }

    /// Bob opens the link, reads it if it is short, and begins to join.
    pub(crate) fn join(&mut self, link: JoinLink) {
        let short = matches!(link, JoinLink::Invitation(_) | JoinLink::Contact(_));
        let settings = self.terms.bob;
        let open = |env: &mut agent::time::Env<'_>| Ok(Connection::open(link, &settings, env));
        self.world.begin(self.bob.host, self.bob.name, open).unwrap();
        if short {
            self.run();
            assert_eq!(self.events(self.bob), [Event::LinkRead]);
        }
        let plan = self.plan(self.bob);
        self.step(self.bob, |connection, env| connection.join(plan, b"bob".to_vec(), env)).unwrap();
    }

    /// Alice allows whoever joined.
    pub(crate) fn allow(&mut self) {
        self.step(self.alice, |connection, env| connection.allow(b"alice".to_vec(), env)).unwrap();
    }

    /// Lets everything happen that will.
    pub(crate) fn run(&mut self) {
        let rests = self.world.run();
        assert!(rests && self.world.violation().is_none(), "{}\n{:?}", self.world.trace(), self.world.violation());
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.world.run_for(time);
        assert!(self.world.violation().is_none(), "{}\n{:?}", self.world.trace(), self.world.violation());
    }

    pub(crate) fn step<T>(
        &mut self,
        side: Side,
        step: impl FnOnce(&mut Connection, &mut agent::time::Env<'_>) -> T,
    ) -> T {
        self.world.step(side.host, side.name, step)
    }

    pub(crate) fn connection(&self, side: Side) -> &Connection {
        self.world.connection(side.host, side.name).unwrap()
    }

    pub(crate) fn status(&self, side: Side) -> Status {
        self.connection(side).status()
    }

    pub(crate) fn other(&self, side: Side) -> Side {
        if side == self.alice { self.bob } else { self.alice }
    }

    /// The server where a side's queue is.
    pub(crate) fn server_of(&self, side: Side) -> ServerId {
        self.servers[usize::from(side == self.bob)]
    }

    /// The queue of a side, as others send to it.
    pub(crate) fn queue_of(&self, side: Side) -> SenderId {
        self.status(side).receive.unwrap().sender_id.unwrap()
    }

    /// How many messages wait in a side's queue.
    pub(crate) fn waiting(&mut self, side: Side) -> usize {
        let (server, queue) = (self.server_of(side), self.queue_of(side));
        self.world.server(server).waiting(&queue).len()
    }

    pub(crate) fn events(&mut self, side: Side) -> Vec<Event> {
        self.world.events(side.host, side.name)
    }

    /// Accepts a message.
    pub(crate) fn send(&mut self, side: Side, body: &[u8]) -> Accepted {
        self.try_send(side, body, SendOptions::default()).unwrap()
    }

    pub(crate) fn try_send(
        &mut self,
        side: Side,
        body: &[u8],
        options: SendOptions,
    ) -> Result<Accepted, ConnectionError> {
        self.step(side, |connection, env| connection.send(body, options, env))
    }

    pub(crate) fn acknowledge(&mut self, side: Side, id: &MessageId, receipt: Option<&[u8]>) {
        let receipt = receipt.map(<[u8]>::to_vec);
        self.step(side, |connection, env| connection.acknowledge(id, receipt, env)).unwrap();
    }

    /// The messages that a side is told now, each acknowledged before the next, until no more come.
    pub(crate) fn take_messages(&mut self, side: Side) -> Vec<ReceivedMessage> {
        self.take_messages_while(side, Self::run)
    }

    /// The same, waiting so long for each although not everything comes to rest.
    pub(crate) fn take_messages_for(&mut self, side: Side, patience: Duration) -> Vec<ReceivedMessage> {
        self.take_messages_while(side, |pair| pair.run_for(patience))
    }

    fn take_messages_while(&mut self, side: Side, wait: impl Fn(&mut Self)) -> Vec<ReceivedMessage> {
        let mut taken: BTreeMap<i64, ReceivedMessage> = BTreeMap::new();
        loop {
            wait(self);
            let messages = only_messages(self.events(side));
            if messages.is_empty() {
                return taken.into_values().collect();
            }
            for message in messages {
                self.acknowledge(side, &message.id, None);
                let earlier = taken.insert(message.number, message.clone());
                assert!(earlier.is_none_or(|earlier| earlier == message), "two messages {}", message.number);
            }
        }
    }

    /// One message each way arrives, whole and next in order.
    pub(crate) fn assert_works(&mut self) {
        for side in [self.alice, self.bob] {
            let sent = self.send(side, b"does it work?");
            let got = self.take_messages(self.other(side));
            let got: Vec<_> = got.iter().map(|got| (got.number, got.body.as_slice(), got.integrity)).collect();
            assert_eq!(got, [(sent.number, b"does it work?".as_slice(), Integrity::Ok)]);
            assert_eq!(self.events(side), [Event::Sent { number: sent.number }]);
        }
    }
}

/// The messages among events; nothing may have been refused or lost.
pub(crate) fn only_messages(events: Vec<Event>) -> Vec<ReceivedMessage> {
    let message = |event| match event {
        Event::Message(message) => Some(message),
        Event::Sent { .. } | Event::QuotaExceeded { .. } | Event::QuotaRestored => None,
        other => panic!("{other:?}"),
    };
    events.into_iter().filter_map(message).collect()
}

pub(crate) fn bodies(messages: &[ReceivedMessage]) -> Vec<&[u8]> {
    messages.iter().map(|message| message.body.as_slice()).collect()
}

/// The receipts among events.
pub(crate) fn only_receipts(events: &[Event]) -> Vec<(MessageId, Vec<ReceiptEvent>)> {
    let receipts = |event: &Event| match event {
        Event::Receipts { id, receipts } => Some((id.clone(), receipts.clone())),
        _ => None,
    };
    events.iter().filter_map(receipts).collect()
}
