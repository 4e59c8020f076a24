//! What a member is told: what was said, by whom, through which relay, and what is wrong with it.

use super::comparison::Mark;
use super::relay::RelayNumber;
use super::status::{EndReason, GoneReason, Status};
use super::transcript::Finding;
use crate::event::Event as ChatEvent;
use crate::identity::MemberId;
use crate::member::Role;
use crate::message_id::MessageId;
use crate::profile::GroupProfile;
use crate::roster::RosterVersion;
use crate::verification::{AcceptedMessage, Attribution, Refusal, Trust};

/// Something that happened. Whatever must be done about it, a task does.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A relay came to another status.
    Status {
        /// Which relay.
        relay: RelayNumber,
        /// The new status.
        status: Status,
        /// Why it is gone.
        why: Option<GoneReason>,
    },
    /// Something stands in the way; it is tried again.
    Problem {
        /// With which relay.
        relay: RelayNumber,
        /// What.
        problem: String,
    },
    /// Somebody said something that counts.
    Heard(Box<Heard>),
    /// Another relay delivered the same.
    Confirmed {
        /// Which message.
        message: MessageId,
        /// Which relay.
        relay: MemberId,
    },
    /// A relay delivered the same with a right signature, which nobody else had.
    Verified {
        /// Which message.
        message: MessageId,
        /// Which relay.
        relay: MemberId,
    },
    /// Relays delivered different copies of a message.
    Different {
        /// Which message.
        message: MessageId,
        /// What is wrong, with which relay.
        marks: Vec<Mark>,
    },
    /// Somebody may be forging messages, or says what is not for it to say.
    Refused {
        /// Which relay delivered it.
        relay: MemberId,
        /// Who is said to have written it; nobody if it is the group.
        author: Option<MemberId>,
        /// The event's name.
        event: String,
        /// Why.
        why: Refusal,
    },
    /// Something is dropped: it cannot be read, or makes no sense here.
    Dropped {
        /// Which relay delivered it.
        relay: MemberId,
        /// Why.
        reason: String,
    },
    /// A relay has not delivered what others have.
    Missing {
        /// Which message.
        message: MessageId,
        /// Which relay.
        relay: MemberId,
    },
    /// An owner counted something else than all relays together delivered.
    Compared(Finding),
    /// A relay has delivered what was missing.
    Late {
        /// Which message.
        message: MessageId,
        /// Which relay.
        relay: MemberId,
    },
    /// Somebody names another key for a member than the one that is known. The known one stays.
    OtherKey {
        /// Which member.
        member: MemberId,
        /// Which relay delivered it.
        relay: MemberId,
    },
    /// Members have other roles.
    Roles(Vec<(MemberId, Role)>),
    /// A roster was applied.
    Roster(RosterVersion),
    /// The group says something else about itself.
    Profile(Box<GroupProfile>),
    /// The server returned old data of the group link.
    LinkReplayed,
    /// The group link cannot be read, or not be believed.
    LinkUnusable {
        /// Why.
        reason: String,
    },
    /// A message of ours is on its way to a relay, and will get there.
    Sent {
        /// Which relay.
        relay: RelayNumber,
        /// Which message.
        message: MessageId,
    },
    /// A message of ours will not get to a relay.
    NotSent {
        /// Which relay.
        relay: RelayNumber,
        /// Which message.
        message: MessageId,
    },
    /// The membership is over.
    Ended(EndReason),
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The message; whoever needs its exact bytes finds them in its record.
    pub message: AcceptedMessage,
    /// The author's name, as far as it is known. Nobody vouches for it.
    pub author_name: Option<String>,
    /// Whether moderators blocked the author.
    pub blocked: bool,
    /// Which relay delivered it.
    pub relay: MemberId,
    /// When it reached the relay, as that says, in Unix seconds.
    pub sent_at: i64,
    /// It takes the place of a copy that was not signed, and was shown before.
    pub replaces: bool,
    /// An edit of it came before.
    pub edited_before: bool,
    /// Its deletion came before.
    pub deleted_before: bool,
}

impl Heard {
    /// What was said.
    pub fn event(&self) -> &ChatEvent {
        self.message.event()
    }

    /// Its name, for those that have one.
    pub fn id(&self) -> Option<&MessageId> {
        self.message.message().id.as_ref()
    }

    /// Who said it; nobody if it is the group, and its owner is not told.
    pub fn author(&self) -> Option<&MemberId> {
        match self.message.attribution() {
            Attribution::Member(id, _) => Some(id),
            Attribution::Channel => None,
        }
    }

    /// Whether it is shown as said by the group.
    pub fn is_from_channel(&self) -> bool {
        self.message.is_from_channel()
    }

    /// What its signature is worth.
    pub fn trust(&self) -> Trust {
        self.message.trust()
    }
}
