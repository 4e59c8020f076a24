//! What an owner is told: about its relays, and by its members.

use super::read_back::LinkCondition;
use super::status::{ActiveStage, Status};
use crate::event::RelayCapabilities;
use crate::identity::MemberId;
use crate::link_merge::Overridden;
use crate::membership;
use crate::message_id::MessageId;

/// Something that happened. Whatever must be done about it, a task does.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A relay came to another status.
    Status {
        /// Which relay.
        relay: MemberId,
        /// The new status.
        status: Status,
        /// Of active relays.
        stage: Option<ActiveStage>,
    },
    /// Something stands in the way; it is tried again, or the owner has to decide.
    Problem {
        /// With which relay.
        relay: MemberId,
        /// What.
        problem: String,
    },
    /// A relay sent something that is dropped.
    Dropped {
        /// Which relay.
        relay: MemberId,
        /// Why.
        reason: String,
    },
    /// A relay can do something else than before.
    Capabilities {
        /// Which relay.
        relay: MemberId,
        /// What it can do now.
        capabilities: RelayCapabilities,
    },
    /// A relay says whether it admits members.
    Accepting {
        /// Which relay.
        relay: MemberId,
        /// Whether it does.
        accepting: bool,
    },
    /// An active relay does not take a roster; it keeps the one before.
    RosterRefused {
        /// Which relay.
        relay: MemberId,
        /// What it says.
        error: String,
    },
    /// Somebody said something in the group, or relays delivered it in a way that is worth knowing: what members are told
    /// as well.
    Group(Box<membership::Event>),
    /// A message to the group is on its way to a relay, and will get there.
    Sent {
        /// Which relay.
        relay: MemberId,
        /// Which message.
        message: MessageId,
    },
    /// What is behind a relay link that another owner listed is no relay of this group.
    NotAdopted {
        /// The link.
        relay_link: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server has the link data of this version.
    LinkWritten {
        /// The version.
        version: u64,
    },
    /// The server of the group link returns something else than it confirmed.
    LinkWithheld(LinkCondition),
    /// Two owners changed the same at once, and what one of them said gave way.
    LinkConflict(Overridden),
    /// Another owner has taken this one out of the group.
    Dismissed,
    /// The link data cannot be written, or not now.
    LinkNotWritten {
        /// Why.
        reason: String,
    },
    /// The server has deleted the link: the group is over.
    LinkDeleted,
    /// The link cannot be deleted, or not now.
    LinkNotDeleted {
        /// Why.
        reason: String,
    },
}

impl From<membership::Event> for Event {
    fn from(event: membership::Event) -> Self {
        match event {
            membership::Event::Dropped { relay, reason } => Event::Dropped { relay, reason },
            event => Event::Group(event.into()),
        }
    }
}
