//! What becomes of a message after it was said: edits and deletions, and who may make them.
//!
//! Whoever wrote a message may change it; messages of the group are changed by any owner; moderators delete what others
//! wrote, unless these rank above them. What was verified is only changed by what is verified. An edit or deletion may
//! overtake its message: then it waits, and counts if it turns out to be by the right author.

use serde::{Deserialize, Serialize};

use super::comparison::Copy;
use crate::bytes::unpadded_option;
use crate::identity::MemberId;
use crate::member::Role;
use crate::message_id::MessageId;
use crate::verification::{AcceptedMessage, Attribution, Trust};

/// For so long after a message its author may delete it, in seconds.
pub const DELETION_WINDOW: i64 = 78 * 3600;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Item {
    /// The last edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) edited: Option<Touch>,
    /// The deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<Touch>,
}

/// An edit or a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Who made it; nobody if it was the group.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    by: Option<MemberId>,
    role: Role,
    /// The message that said so.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    message: Option<MessageId>,
    trust: Trust,
    /// Whose message a moderator deleted.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    moderates: Option<MemberId>,
}

/// Why an edit or a deletion does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TouchFault {
    /// Somebody else wrote the message.
    #[error("the message is somebody else's")]
    NotTheAuthor,
    /// The message was verified, and this is not.
    #[error("the message is signed, and this is not")]
    Unsigned,
    /// Only moderators delete what others wrote, and not what those wrote who rank above them.
    #[error("the role does not allow it")]
    Role,
}

impl Item {
    /// Whether nobody touched it.
    pub fn is_untouched(&self) -> bool {
        *self == Item::default()
    }

    /// The last edit.
    pub fn edited(&self) -> Option<&Touch> {
        self.edited.as_ref()
    }

    /// The deletion.
    pub fn deleted(&self) -> Option<&Touch> {
        self.deleted.as_ref()
    }

    /// The message came after what was said about it: only what its author, or a moderator, may say about it counts.
    pub(super) fn settle(&mut self, copy: &Copy) {
        self.edited = self.edited.take().filter(|touch| touch.check(copy).is_ok());
        self.deleted = self.deleted.take().filter(|touch| touch.check(copy).is_ok());
    }
}

impl Touch {
    /// What a message does to another one; `moderates` is whose message it deletes, if not the author's own.
    pub(super) fn of(message: &AcceptedMessage, moderates: Option<MemberId>) -> Self {
        let (by, role) = match message.attribution() {
            Attribution::Member(id, role) => (Some(id.clone()), role.clone()),
            Attribution::Channel => (None, Role::Owner),
        };
        Touch { by, role, message: message.message().id.clone(), trust: message.trust(), moderates }
    }

    /// Who made it; nobody if it was the group.
    pub fn by(&self) -> Option<&MemberId> {
        self.by.as_ref()
    }

    /// The message that made it.
    pub fn message(&self) -> Option<&MessageId> {
        self.message.as_ref()
    }

    /// What its signature is worth.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Whether a moderator deleted what somebody else wrote.
    pub fn is_moderation(&self) -> bool {
        self.moderates.is_some()
    }

    /// Whether it may change this message.
    pub(super) fn check(&self, copy: &Copy) -> Result<(), TouchFault> {
        if !self.trust.may_change(copy.trust()) {
            return Err(TouchFault::Unsigned);
        }
        match &self.moderates {
            Some(whose) if copy.author() != Some(whose) => Err(TouchFault::NotTheAuthor),
            Some(_) if self.role < Role::Moderator || self.role < *copy.role() => Err(TouchFault::Role),
            Some(_) => Ok(()),
            None => self.check_author(copy),
        }
    }

    /// Whether it is by whoever wrote this message.
    pub(super) fn check_author(&self, copy: &Copy) -> Result<(), TouchFault> {
        if self.is_by_author(copy) { Ok(()) } else { Err(TouchFault::NotTheAuthor) }
    }

    fn is_by_author(&self, copy: &Copy) -> bool {
        match copy.is_from_channel() {
            true => self.role == Role::Owner,
            false => self.by.is_some() && self.by.as_ref() == copy.author(),
        }
    }
}
