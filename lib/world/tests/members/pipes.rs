//! Connections as those who use them see them: letters arrive in order and once, or the connection is cut. What is
//! below has a world of its own.

use std::collections::{BTreeMap, HashMap, VecDeque};

use agent::time::Time;
use group::owner::ConnectionName;
use group::relay::{self, ServiceId};
use smp::id::SenderId;

/// Who opens connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Client {
    Owner(usize),
    Member(usize),
}

/// Where a relay is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Address,
    Link(ServiceId),
}

/// Which way a letter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToRelay,
    ToClient,
}

#[derive(Debug, Clone)]
pub(crate) enum Letter {
    /// The client asks.
    Request(Vec<u8>),
    /// The relay takes up the connection.
    Answer(Vec<u8>),
    /// The client lets the relay in.
    Allowed(Vec<u8>),
    /// Both sides can talk.
    Connected,
    Body(Vec<u8>),
    /// What was sent cannot arrive: the other side deleted the connection.
    Lost,
}

/// A letter, when it was sent, and which of all letters it is.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) letter: Letter,
    pub(crate) at: Time,
    pub(crate) number: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) letters: VecDeque<Sent>,
    /// The last of them does not arrive before.
    pub(crate) last: Time,
}

pub(crate) type PipeId = usize;

#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) client: Client,
    pub(crate) name: ConnectionName,
    pub(crate) relay: usize,
    pub(crate) door: Door,
    pub(crate) request: u64,
    pub(crate) at_relay: Option<relay::ConnectionName>,
    pub(crate) allowed: bool,
    pub(crate) connected: bool,
    /// The client has deleted its end.
    pub(crate) left: bool,
    /// The relay has.
    pub(crate) closed: bool,
    pub(crate) to_relay: Lane,
    pub(crate) to_client: Lane,
}

impl Pipe {
    pub(crate) fn lane_mut(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::ToRelay => &mut self.to_relay,
            Way::ToClient => &mut self.to_client,
        }
    }

    /// Whether nobody is there any more to whom letters go.
    pub(crate) fn is_deaf(&self, way: Way) -> bool {
        match way {
            Way::ToRelay => self.closed,
            Way::ToClient => self.left,
        }
    }
}

#[derive(Default)]
pub(crate) struct Pipes {
    pub(crate) all: Vec<Pipe>,
    clients: HashMap<(Client, String), PipeId>,
    relays: BTreeMap<(usize, relay::ConnectionName), PipeId>,
    /// Whom requests reach.
    doors: HashMap<SenderId, (usize, Door)>,
}

impl Pipes {
    pub(crate) fn open_door(&mut self, sender: SenderId, relay: usize, door: Door) {
        self.doors.insert(sender, (relay, door));
    }

    pub(crate) fn door(&self, sender: &SenderId) -> Option<(usize, Door)> {
        self.doors.get(sender).copied()
    }

    pub(crate) fn close_door(&mut self, relay: usize, door: Door) {
        self.doors.retain(|_, open| *open != (relay, door));
    }

    pub(crate) fn of_client(&self, client: Client, name: &ConnectionName) -> Option<PipeId> {
        self.clients.get(&(client, name.as_str().to_owned())).copied()
    }

    pub(crate) fn of_relay(&self, relay: usize, name: relay::ConnectionName) -> Option<PipeId> {
        self.relays.get(&(relay, name)).copied()
    }

    /// A client asks somewhere.
    pub(crate) fn open(&mut self, client: Client, name: &ConnectionName, (relay, door): (usize, Door)) -> PipeId {
        let id = self.all.len();
        self.clients.insert((client, name.as_str().to_owned()), id);
        self.all.push(Pipe {
            client,
            name: name.clone(),
            relay,
            door,
            request: id as u64 + 1,
            at_relay: None,
            allowed: false,
            connected: false,
            left: false,
            closed: false,
            to_relay: Lane::default(),
            to_client: Lane::default(),
        });
        id
    }

    /// A relay takes up a request; whether it had not before.
    pub(crate) fn take_up(&mut self, relay: usize, request: u64, name: relay::ConnectionName) -> Option<PipeId> {
        let id = usize::try_from(request).expect("a number of a request") - 1;
        let pipe = &mut self.all[id];
        assert_eq!(pipe.relay, relay, "another relay's request");
        if pipe.at_relay.is_some() {
            return None;
        }
        pipe.at_relay = Some(name);
        self.relays.insert((relay, name), id);
        Some(id)
    }
}
