//! What an application decides when it begins a connection.

use codec::VersionRange;
use smp::address::ServerAddress;
use smp::command::{BasicAuth, LinkData};
use smp::queue_address::QueueMode;

use crate::full_link::FullLink;
use crate::link_data::{ContactData, FixedData, InvitationData, Payload};
use crate::prepared_link::PreparedContactLink;
use crate::ratchet::Pq;
use crate::short_link::{ContactShortLink, InvitationShortLink};
use crate::version;

/// The versions that a connection may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// Agent protocol.
    pub agent: VersionRange,
    /// Double ratchet.
    pub ratchet: VersionRange,
    /// Envelopes between sender and recipient of a queue.
    pub client: VersionRange,
}

impl Default for Versions {
    fn default() -> Self {
        Versions { agent: version::AGENT, ratchet: version::RATCHET, client: version::SMP_CLIENT }
    }
}

/// What a connection may use and wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Versions.
    pub versions: Versions,
    /// Whether to encapsulate if the peer does too.
    pub pq: Pq,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { versions: Versions::default(), pq: Pq::On }
    }
}

/// Where our receive queue will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePlan {
    /// Its server.
    pub server: ServerAddress,
    /// The server's password for creating queues.
    pub password: Option<BasicAuth>,
    /// Normally the peer secures the queue itself. Without this the recipient must, which takes one message more each
    /// way; some old peers can do no better.
    pub sender_secures: bool,
}

impl QueuePlan {
    /// A queue that its sender secures.
    pub fn at(server: ServerAddress) -> Self {
        QueuePlan { server, password: None, sender_secures: true }
    }

    pub(super) fn mode(&self) -> Option<QueueMode> {
        self.sender_secures.then_some(QueueMode::Messaging)
    }
}

/// What the link to an invitation is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InviteLink {
    /// Whether there is a short link beside the full one, and what it tells its reader. A queue that its recipient
    /// secures has none.
    pub short: Option<Payload>,
    /// Whether the link itself proposes encapsulation, so that the very first messages are protected; it is 1.6 KB
    /// longer then.
    pub propose: bool,
}

/// What a contact address is to be.
#[derive(Debug, Clone)]
pub enum AddressPlan {
    /// An address with a full link only.
    Full(QueuePlan),
    /// An address with a link that is known already, and the data behind it.
    Linked {
        /// The link.
        link: Box<PreparedContactLink>,
        /// Both records, encrypted.
        data: LinkData,
        /// The server's password for creating queues.
        password: Option<BasicAuth>,
    },
}

/// A link to join through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinLink {
    /// It says everything.
    Full(Box<FullLink>),
    /// To be read first; whoever reads it first is the only one who can.
    Invitation(InvitationShortLink),
    /// To be read first.
    Contact(ContactShortLink),
}

/// What a link says.
#[derive(Debug, Clone)]
pub struct ReadLink {
    /// Where to connect.
    pub link: FullLink,
    /// The checked data behind a short link.
    pub data: Option<ReadData>,
}

/// The checked data behind a short link.
#[derive(Debug, Clone)]
pub enum ReadData {
    /// Of an invitation.
    Invitation(Box<(FixedData, InvitationData)>),
    /// Of a contact address, a group or a relay.
    Contact(Box<(FixedData, ContactData)>),
}

/// The links to an invitation of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnInvitation {
    /// Says everything. Never used beside the short link by the same peer.
    pub full: FullLink,
    /// Leads to the same.
    pub short: Option<InvitationShortLink>,
}

/// How to send a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// Whether the peer should be notified.
    pub notify: bool,
    /// Whether to remember the message until its receipt comes, for three weeks at most.
    pub receipt: bool,
    /// Changes what we want of post-quantum encryption.
    pub pq: Option<Pq>,
}

/// What becomes of messages that wait to be sent when a connection is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// They are dropped.
    Drop,
    /// They are sent first, within two days.
    Await,
}
