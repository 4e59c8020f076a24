//! What may be shown of a connection: no secrets.

use smp::address::ServerAddress;
use smp::id::{RecipientId, SenderId};

use super::end::Ending;
use super::{Connection, Phase, ReceiveStatus, SendStatus, Stage};

/// A connection as people may look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What side this is.
    pub role: Role,
    /// How far it is.
    pub at: Where,
    /// The agreed agent version.
    pub agent_version: Option<u16>,
    /// The version of the ratchet.
    pub ratchet_version: Option<u16>,
    /// Whether what we send is protected by an encapsulated secret.
    pub post_quantum: Option<bool>,
    /// Equal on both sides if nobody stands between them.
    pub security_code: Option<[u8; 32]>,
    /// The queue we receive through.
    pub receive: Option<ReceiveQueueState>,
    /// The queue we send through.
    pub send: Option<SendQueueState>,
    /// The number of the last message we accepted for sending.
    pub last_sent: i64,
    /// The number of the last message we received.
    pub last_received: i64,
    /// How many messages wait to be sent.
    pub unsent: usize,
    /// How many messages are missing and may still come.
    pub missing: usize,
}

/// Which side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It invites.
    Inviter,
    /// It joins.
    Joiner,
    /// It takes requests.
    Address,
    /// It does not talk yet, or any more, or its side makes no difference any more.
    Peer,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// A short link is to be read.
    Reading,
    /// The link can be joined.
    Read,
    /// Our queue is to be created.
    Creating,
    /// Nobody has used the link.
    Invited,
    /// The request is on its way.
    Asking,
    /// The request is at the server of the address.
    Asked,
    /// The peer waits for us to allow it.
    Confirmed,
    /// We secure the peer's queue and create ours.
    Joining,
    /// We wait for the peer to allow us.
    Joined,
    /// Our confirmation is on its way.
    Allowed,
    /// The slow handshake is to be completed.
    Greeting,
    /// It stands.
    Connected,
    /// The address takes requests.
    Open,
    /// No further messages are accepted.
    Suspended,
    /// It is being deleted.
    Deleting,
    /// It is gone.
    Over,
}

/// A receive queue as people may look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveQueueState {
    /// Its server.
    pub server: ServerAddress,
    /// Its ID for us, once it exists.
    pub recipient_id: Option<RecipientId>,
    /// Its ID for senders, if that is known.
    pub sender_id: Option<SenderId>,
    /// How far it is.
    pub status: ReceiveStatus,
}

/// A send queue as people may look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendQueueState {
    /// Its server.
    pub server: ServerAddress,
    /// Its ID.
    pub sender_id: SenderId,
    /// How far it is.
    pub status: SendStatus,
}

impl Connection {
    /// What may be shown.
    pub fn status(&self) -> Status {
        let talk = self.talk();
        let receive = self.queue().map(|queue| ReceiveQueueState {
            server: queue.server.clone(),
            recipient_id: queue.recipient_id().cloned(),
            sender_id: queue.sender_id(),
            status: queue.status,
        });
        Status {
            role: self.role(),
            at: self.place(),
            agent_version: talk.map(|talk| talk.agent),
            ratchet_version: talk.map(|talk| talk.ratchet.version()),
            post_quantum: talk.map(|talk| talk.ratchet.sends_post_quantum()),
            security_code: talk.map(|talk| talk.ratchet.security_code()),
            receive,
            send: self.send_queue_state(),
            last_sent: talk.map(|talk| talk.last_sent()).unwrap_or_default(),
            last_received: talk.map(|talk| talk.last_received()).unwrap_or_default(),
            unsent: self.unsent(),
            missing: talk.map(|talk| talk.ratchet.skipped_messages()).unwrap_or_default(),
        }
    }

    fn send_queue_state(&self) -> Option<SendQueueState> {
        let queue = match &self.phase {
            Phase::Joining(joining) => &joining.send,
            Phase::Talking(talking) => &talking.send,
            _ => return None,
        };
        let address = &queue.info.address;
        let (server, sender_id) = (address.server.clone(), address.sender_id.clone());
        Some(SendQueueState { server, sender_id, status: queue.status })
    }

    fn role(&self) -> Role {
        match &self.phase {
            Phase::Reading(_) | Phase::Read(_) | Phase::Joining(_) => Role::Joiner,
            Phase::Inviting(inviting) if inviting.is_request() => Role::Joiner,
            Phase::Inviting(_) | Phase::Confirmed(_) => Role::Inviter,
            Phase::Talking(talking) => match talking.stage {
                Stage::Joined => Role::Joiner,
                Stage::Allowed => Role::Inviter,
                Stage::Greeting | Stage::Connected => Role::Peer,
            },
            Phase::Address(_) => Role::Address,
            Phase::Over => Role::Peer,
        }
    }

    fn place(&self) -> Where {
        match &self.ending {
            Some(Ending::Deleting(_)) => return if self.is_over() { Where::Over } else { Where::Deleting },
            Some(Ending::Suspending | Ending::Suspended) => return Where::Suspended,
            None => {}
        }
        match &self.phase {
            Phase::Reading(_) => Where::Reading,
            Phase::Read(_) => Where::Read,
            Phase::Inviting(inviting) if !inviting.queue.is_created() => Where::Creating,
            Phase::Inviting(inviting) => match &inviting.request {
                None => Where::Invited,
                Some(request) if request.is_sent() => Where::Asked,
                Some(_) => Where::Asking,
            },
            Phase::Confirmed(_) => Where::Confirmed,
            Phase::Joining(_) => Where::Joining,
            Phase::Talking(talking) => match talking.stage {
                Stage::Joined => Where::Joined,
                Stage::Allowed => Where::Allowed,
                Stage::Greeting => Where::Greeting,
                Stage::Connected => Where::Connected,
            },
            Phase::Address(address) if !address.queue.is_created() => Where::Creating,
            Phase::Address(_) => Where::Open,
            Phase::Over => Where::Over,
        }
    }
}
