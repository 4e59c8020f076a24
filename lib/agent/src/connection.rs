//! Connections: two queues, one each way, with a double ratchet on top.
//!
//! A [`Connection`] is everything that one side knows of one connection, or of one contact address. It is pure: an
//! application or a server's answer goes in, the state changes, and three things come out.
//!
//! * [`take_changes`](Connection::take_changes): what is to be made durable, all together and before anything else.
//! * [`due`](Connection::due): tasks for servers. They follow from the state; after a crash the same tasks are due again.
//! * [`Event`]s for the application. Those that it must act on are [`pending`](Connection::pending) until it has.
//!
//! One task of a name is under way at a time; [`finish`](Connection::finish) takes its outcome.
//!
//! # Life
//!
//! ```text
//!  invite ──▶ Inviting ──peer's confirmation──▶ Confirmed ──allow──▶ Talking
//!  open ──▶ (Reading) ──▶ Read ──join an invitation──▶ Joining ──▶ Talking
//!                           └────join an address──▶ Inviting, with a request to be sent
//!  address ──▶ Address ──accept a request──▶ another connection: Joining
//! ```
//!
//! Whoever invites waits for a confirmation from whoever joins, looks at it, allows it and confirms in turn. Each side
//! secures the other's queue with its own key before its first message (*fast*). Where a queue does not let its sender do
//! so, the confirmation carries the key, the recipient secures the queue, and both sides say hello (*slow*).

mod address;
mod allow;
mod ask;
mod confirmation;
mod conversation;
mod deliver;
mod driving;
mod due;
mod end;
pub mod event;
pub mod fault;
mod finish;
mod incoming;
mod invite;
mod join;
pub mod keep;
mod link;
mod outbox;
pub mod plan;
mod receive;
mod receive_queue;
pub mod record;
mod rest;
mod retry;
mod save;
mod send_queue;
mod status;
mod stored;
mod talk;
pub mod task;

use std::collections::{BTreeMap, BTreeSet};

use crypto::authorize::AuthPublicKey;
use smp::queue_address::QueueInfo;

pub use self::conversation::Accepted;
pub use self::event::{Event, ReceiptEvent, ReceivedMessage, RequestEvent};
pub use self::fault::{ConnectionError, LoadError, PeerFault, TaskFault};
pub use self::plan::{
    AddressPlan, Delivery, InviteLink, JoinLink, OwnInvitation, QueuePlan, ReadData, ReadLink, SendOptions, Settings,
    Versions,
};
pub use self::receive_queue::ReceiveStatus;
pub use self::record::{Change, RecordKey};
pub use self::rest::{Pauses, Resting};
pub use self::send_queue::SendStatus;
pub use self::status::{ReceiveQueueState, Role, SendQueueState, Status, Where};
pub use self::task::{Outcome, Subscription, Task, TaskId};

use self::address::Address;
use self::ask::Request;
use self::conversation::Conversation;
use self::end::Ending;
use self::incoming::Incoming;
use self::link::{Read, Reading};
use self::receive_queue::ReceiveQueue;
use self::retry::Retry;
use self::send_queue::SendQueue;
use crate::agreement::AgreementKeys;
use crate::ratchet_keys::SenderKeys;

/// One side of a connection, or a contact address.
pub struct Connection {
    settings: Settings,
    phase: Phase,
    incoming: Option<Incoming>,
    /// Another message came while one was waiting for the application.
    passed_over: bool,
    unheard: Unheard,
    ending: Option<Ending>,
    /// The task of the handshake that failed for good.
    stopped: Option<(TaskId, TaskFault)>,
    retries: BTreeMap<TaskId, Retry>,
    dirty: Dirty,
}

/// How far the connection is, with what it has at that point.
enum Phase {
    Reading(Box<Reading>),
    Read(Box<Read>),
    Inviting(Box<Inviting>),
    Confirmed(Box<Confirmed>),
    Joining(Box<Joining>),
    Talking(Box<Talking>),
    Address(Box<Address>),
    Over,
}

/// Our queue exists or is to be created, and nobody has used it.
struct Inviting {
    queue: ReceiveQueue,
    keys: AgreementKeys,
    /// To the owner of a contact address, if the invitation is for it.
    request: Option<Request>,
}

/// The peer has confirmed, and waits for us.
struct Confirmed {
    queue: ReceiveQueue,
    talk: Conversation,
    reply: QueueInfo,
    info: Vec<u8>,
    /// The marker of a full queue came before we could answer it.
    owes_continue: bool,
}

/// We join an invitation; our confirmation is not encrypted yet, because it will name our queue.
struct Joining {
    queue: ReceiveQueue,
    send: SendQueue,
    talk: Conversation,
    keys: SenderKeys,
    info: Vec<u8>,
}

/// Both queues are known, and our confirmation is on its way or there.
struct Talking {
    queue: ReceiveQueue,
    send: SendQueue,
    talk: Conversation,
    stage: Stage,
    /// Of the slow handshake.
    hello: Option<Hello>,
}

/// What a conversation still waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// We joined: for the confirmation of the peer.
    Joined,
    /// We allowed: for the server to take our confirmation.
    Allowed,
    /// The slow handshake: for a hello each way.
    Greeting,
    /// For nothing.
    Connected,
}

/// How far the hellos of the slow handshake are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hello {
    /// We joined, and speak first.
    first: bool,
    sent: bool,
    heard: bool,
}

/// What the application is still to be told.
#[derive(Default)]
struct Unheard {
    info: Option<Vec<u8>>,
    connected: Option<bool>,
}

/// What changed since it was last written.
#[derive(Default)]
struct Dirty {
    core: bool,
    position: bool,
    incoming: bool,
    outgoing: BTreeSet<i64>,
    awaited: BTreeSet<i64>,
    requests: BTreeSet<u64>,
    removed: Vec<RecordKey>,
}

impl Unheard {
    fn is_empty(&self) -> bool {
        self.info.is_none() && self.connected.is_none()
    }
}

impl Connection {
    fn begin(settings: &Settings, phase: Phase) -> Self {
        Connection {
            settings: *settings,
            phase,
            incoming: None,
            unheard: Unheard::default(),
            ending: None,
            passed_over: false,
            stopped: None,
            retries: BTreeMap::new(),
            dirty: Dirty { core: true, position: true, ..Dirty::default() },
        }
    }

    fn versions(&self) -> &Versions {
        &self.settings.versions
    }

    fn queue(&self) -> Option<&ReceiveQueue> {
        match &self.phase {
            Phase::Inviting(inviting) => Some(&inviting.queue),
            Phase::Confirmed(confirmed) => Some(&confirmed.queue),
            Phase::Joining(joining) => Some(&joining.queue),
            Phase::Talking(talking) => Some(&talking.queue),
            Phase::Address(address) => Some(&address.queue),
            Phase::Reading(_) | Phase::Read(_) | Phase::Over => None,
        }
    }

    fn queue_mut(&mut self) -> Option<&mut ReceiveQueue> {
        match &mut self.phase {
            Phase::Inviting(inviting) => Some(&mut inviting.queue),
            Phase::Confirmed(confirmed) => Some(&mut confirmed.queue),
            Phase::Joining(joining) => Some(&mut joining.queue),
            Phase::Talking(talking) => Some(&mut talking.queue),
            Phase::Address(address) => Some(&mut address.queue),
            Phase::Reading(_) | Phase::Read(_) | Phase::Over => None,
        }
    }

    fn talk(&self) -> Option<&Conversation> {
        match &self.phase {
            Phase::Confirmed(confirmed) => Some(&confirmed.talk),
            Phase::Joining(joining) => Some(&joining.talk),
            Phase::Talking(talking) => Some(&talking.talk),
            _ => None,
        }
    }

    fn talk_mut(&mut self) -> Option<&mut Conversation> {
        match &mut self.phase {
            Phase::Confirmed(confirmed) => Some(&mut confirmed.talk),
            Phase::Joining(joining) => Some(&mut joining.talk),
            Phase::Talking(talking) => Some(&mut talking.talk),
            _ => None,
        }
    }

    /// Where the connection is, for messages to people.
    fn phase_name(&self) -> &'static str {
        match (&self.phase, &self.ending) {
            (Phase::Over, _) => "the connection is over",
            (_, Some(Ending::Deleting(_))) => "the connection is being deleted",
            (Phase::Reading(_), _) => "its link is unread",
            (Phase::Read(_), _) => "it is not joined",
            (Phase::Inviting(_), _) => "nobody has joined",
            (Phase::Confirmed(_), _) => "it is not allowed",
            (Phase::Joining(_), _) => "joining is under way",
            (Phase::Talking(_), _) => "the connection stands",
            (Phase::Address(_), _) => "it is a contact address",
        }
    }

    fn prohibited(&self, step: &'static str) -> ConnectionError {
        ConnectionError::Prohibited(step, self.phase_name())
    }

    /// Events that wait for the application; what is new among them was also told when it happened.
    pub fn pending(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some((_, fault)) = &self.stopped {
            events.push(Event::Stopped(fault.clone()));
        }
        match &self.phase {
            Phase::Read(read) if read.data().is_some() => events.push(Event::LinkRead),
            Phase::Confirmed(confirmed) => events.push(Event::Confirmed { info: confirmed.info.clone() }),
            Phase::Address(address) => events.extend(address.events(&self.settings)),
            _ => {}
        }
        events.extend(self.unheard.info.clone().map(Event::Info));
        events.extend(self.unheard.connected.map(|post_quantum| Event::Connected { post_quantum }));
        events.extend(self.incoming.as_ref().and_then(Incoming::event));
        events
    }

    /// The application knows that the connection stands, and who the peer is.
    pub fn heard(&mut self) {
        self.unheard = Unheard::default();
        self.dirty.core = true;
    }

    /// Goes on after a task of the handshake failed for good, with the same keys.
    pub fn retry(&mut self) {
        self.stopped = None;
        self.retries.clear();
    }

    fn connected(&mut self, events: &mut Vec<Event>) {
        let Phase::Talking(talking) = &mut self.phase else { return };
        talking.stage = Stage::Connected;
        let post_quantum = talking.talk.ratchet.sends_post_quantum();
        self.unheard.connected = Some(post_quantum);
        self.dirty.core = true;
        events.push(Event::Connected { post_quantum });
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("at", &self.status().at).finish_non_exhaustive()
    }
}

impl Talking {
    /// Whether our queue was secured, or will be, by the peer itself.
    fn is_fast(&self) -> bool {
        self.queue.mode.is_some()
    }

    /// Whoever joined may go on at once after its confirmation, if the peer's agent is new enough to expect it and both
    /// queues need no help of their recipients.
    fn may_send_early(&self) -> bool {
        self.talk.agent >= crate::version::EARLY_AGENT && self.send.sender_secures() && self.is_fast()
    }

    fn accepts_messages(&self) -> bool {
        match self.stage {
            Stage::Joined => self.may_send_early(),
            Stage::Allowed => self.hello.is_none(),
            Stage::Greeting => false,
            Stage::Connected => true,
        }
    }
}

/// The key of an envelope's sender, from its header.
fn sender_key(header: smp::envelope::PrivateHeader) -> Option<AuthPublicKey> {
    match header {
        smp::envelope::PrivateHeader::SenderKey(key) => Some(key),
        smp::envelope::PrivateHeader::Empty => None,
    }
}
