//! Whether a message is believed, and how much.
//!
//! ```text
//! AuthoredMessage ─verify(author)────────────▶ AcceptedMessage, or a Refusal
//!                 ─accept_from_channel───────▶
//! ```
//!
//! Only an [`AcceptedMessage`] is processed, and it says what its signature was worth. A message is verified before it
//! is looked up among the copies that other relays delivered: otherwise a forged one could stand in its place.
//!
//! | signed | key known | must be signed | result |
//! |---|---|---|---|
//! | for the group, and all signatures are right | yes | | accepted as verified |
//! | for the group, and one is wrong | yes | | refused |
//! | for the group | no | no | accepted |
//! | anyhow | no | yes | refused, unless somebody without rights leaves or renames itself among its like |
//! | otherwise | | no | accepted, as without key |
//! | otherwise | yes | yes | refused |
//! | not | | no | accepted |
//! | not | | yes | refused |

use serde::{Deserialize, Serialize};

use crate::element::{AuthoredMessage, BindingTag, Forward, ForwardContent, ForwardSender, ShortName, SignedMessage};
use crate::event::{Event, Signing};
use crate::identity::{GroupId, MemberId};
use crate::keys::{Author, KeySource};
use crate::member::Role;
use crate::message::Message;

/// Where a message is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// In which group.
    pub group: GroupId,
    /// What we are there.
    pub role: Role,
}

/// What the signature of an accepted message is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// It is right, under a key that comes from there.
    Verified(KeySource),
    /// There is one, and no key to check it with.
    SignedWithoutKey,
    /// There is none: whoever delivered the message may have written it.
    Unsigned,
}

impl Trust {
    /// Whether the author is known beyond what relays say.
    pub fn is_verified(self) -> bool {
        matches!(self, Trust::Verified(_))
    }

    /// Whether it shows what relays did that deliver something else: the key must not come from a relay's word, for
    /// others would be accused by whoever invents keys.
    pub fn refutes(self) -> bool {
        matches!(self, Trust::Verified(source) if source != KeySource::Asserted)
    }

    /// Whether an edit or a deletion with this trust may touch an item with that: what was verified stays so.
    pub fn may_change(self, item: Trust) -> bool {
        self.is_verified() || !item.is_verified()
    }

    /// Whether a moderator's deletion with this trust waits for a message that has not arrived yet.
    pub fn may_moderate_unseen(self) -> bool {
        self.is_verified()
    }
}

/// Who said something, as far as it is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribution {
    /// A member, with its role when the message was accepted.
    Member(MemberId, Role),
    /// The group. Which owner is not told.
    Channel,
}

/// A message that may be processed.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedMessage {
    authored: AuthoredMessage,
    attribution: Attribution,
    trust: Trust,
}

/// Why a message is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A signature is not by the member that the message is attributed to.
    #[error("the signature is wrong")]
    BadSignature,
    /// The event must be signed, and we know no key of its author.
    #[error("the event must be signed with a key that we know")]
    UnknownKey,
    /// The event must be signed for the group, and is signed for something else.
    #[error("the signature is not for the group")]
    WrongBinding,
    /// The event must be signed.
    #[error("the event must be signed")]
    Unsigned,
    /// Only owners speak as the group.
    #[error("only owners speak as the group")]
    NotAnOwner,
    /// What comes from the group without an author cannot be signed.
    #[error("signed, but without an author")]
    SignedByNobody,
    /// What happens to a group needs an author.
    #[error("the event needs an author")]
    NoAuthor,
}

impl Refusal {
    /// Whether people are shown that somebody may be forging messages.
    pub fn shows_bad_signature(self) -> bool {
        match self {
            Refusal::BadSignature | Refusal::UnknownKey | Refusal::WrongBinding | Refusal::Unsigned => true,
            Refusal::NotAnOwner | Refusal::SignedByNobody | Refusal::NoAuthor => false,
        }
    }
}

impl AuthoredMessage {
    /// Decides about a message in a group with relays that is attributed to `author`.
    pub fn verify(self, author: &Author, recipient: &Recipient) -> Result<AcceptedMessage, Refusal> {
        let trust = match &self {
            AuthoredMessage::Unsigned(message) => unsigned(&message.message().event)?,
            AuthoredMessage::Signed(message) => signed(message, author, recipient)?,
        };
        if self.message().event.is_as_group() && *author.role() != Role::Owner {
            return Err(Refusal::NotAnOwner);
        }
        let attribution = Attribution::Member(author.id().clone(), author.role().clone());
        Ok(AcceptedMessage { authored: self, attribution, trust })
    }

    /// Decides about a message that a relay forwards as the group's own.
    pub fn accept_from_channel(self) -> Result<AcceptedMessage, Refusal> {
        match &self {
            AuthoredMessage::Signed(_) => Err(Refusal::SignedByNobody),
            AuthoredMessage::Unsigned(message) if !message.message().event.is_content() => Err(Refusal::NoAuthor),
            AuthoredMessage::Unsigned(_) => {
                Ok(AcceptedMessage { authored: self, attribution: Attribution::Channel, trust: Trust::Unsigned })
            }
        }
    }
}

fn unsigned(event: &Event) -> Result<Trust, Refusal> {
    match event.signing() {
        Signing::Required => Err(Refusal::Unsigned),
        Signing::Optional | Signing::Never => Ok(Trust::Unsigned),
    }
}

fn signed(message: &SignedMessage, author: &Author, recipient: &Recipient) -> Result<Trust, Refusal> {
    let event = &message.message.message().event;
    match (author.key(), message.binding()) {
        (Some((key, source)), BindingTag::Group) => {
            let right = message.is_signed_by(&recipient.group, author.id(), &key);
            if right { Ok(Trust::Verified(source)) } else { Err(Refusal::BadSignature) }
        }
        _ if event.signing() != Signing::Required => Ok(Trust::SignedWithoutKey),
        (Some(_), BindingTag::Direct | BindingTag::Channel) => Err(Refusal::WrongBinding),
        (None, _) if among_observers(event, author, recipient) => Ok(Trust::SignedWithoutKey),
        (None, _) => Err(Refusal::UnknownKey),
    }
}

/// Members who may do nothing do not know each other's keys, and see each other come and go all the same.
fn among_observers(event: &Event, author: &Author, recipient: &Recipient) -> bool {
    let about_itself = matches!(event, Event::GroupLeave | Event::Info(_));
    about_itself && *author.role() < Role::Moderator && recipient.role < Role::Moderator
}

impl AcceptedMessage {
    /// The message with its exact bytes, for storing.
    pub fn authored(&self) -> &AuthoredMessage {
        &self.authored
    }

    /// What was said.
    pub fn message(&self) -> &Message {
        self.authored.message()
    }

    /// What happens.
    pub fn event(&self) -> &Event {
        &self.message().event
    }

    /// Who said it.
    pub fn attribution(&self) -> &Attribution {
        &self.attribution
    }

    /// What its signature is worth.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Whether an owner signed it, under a key from the group link.
    pub fn is_word_of_owner(&self) -> bool {
        self.trust == Trust::Verified(KeySource::GroupLink)
    }

    /// Whether it is shown as said by the group, even if it tells which owner signed it.
    pub fn is_from_channel(&self) -> bool {
        self.attribution == Attribution::Channel || self.event().is_as_group()
    }

    /// What a relay passes on to the group; nothing if the event goes no further.
    pub fn to_forward(&self, name: &str, sent_at: i64) -> Option<Forward> {
        if !self.event().is_forwarded() {
            return None;
        }
        Some(self.to_served(name, sent_at))
    }

    /// What a relay sends to a member that was not there: posts, rosters, profiles of the group. What an owner says as
    /// the group loses the owner's name, unless it is signed: then the name is needed to check the signature.
    pub fn to_served(&self, name: &str, sent_at: i64) -> Forward {
        let anonymous = self.is_from_channel() && matches!(self.authored, AuthoredMessage::Unsigned(_));
        let sender = match &self.attribution {
            Attribution::Member(id, _) if !anonymous => ForwardSender::Member(id.clone(), ShortName::new(name)),
            _ => ForwardSender::Channel,
        };
        Forward { sender, sent_at, content: ForwardContent::Message(self.authored.clone()) }
    }
}
