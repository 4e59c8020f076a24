//! What is kept of the members of one group, and how it is read.
//!
//! An implementation belongs to one service. All writes of a step take effect together or not at all, and reads see the
//! writes before them. Pages come in the order of numbers, beginning after or at the one that is named.

use agent::time::Time;

use super::admission::JoinRequest;
use super::hall::{Hall, Lane};
use super::member::Member;
use super::message::StoredMessage;
use super::persona::Persona;
use crate::identity::MemberId;
use crate::message_id::MessageId;

/// What is kept is no row that a relay wrote, or one of a later version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed row of a {0}")]
pub struct MalformedRow(pub &'static str);

/// Reads what is kept of the members of one group.
pub trait ReadRows {
    /// Why it cannot be read.
    type Error;

    /// Where the group stands.
    fn hall(&self) -> Result<Option<Hall>, Self::Error>;
    /// The member with this number.
    fn member(&self, number: u64) -> Result<Option<Member>, Self::Error>;
    /// The member with this name.
    fn member_with_id(&self, id: &MemberId) -> Result<Option<Member>, Self::Error>;
    /// What a member says about itself.
    fn persona(&self, number: u64) -> Result<Option<Persona>, Self::Error>;
    /// Members that are connected.
    fn connected(&self, after: u64, limit: usize) -> Result<Vec<Member>, Self::Error>;
    /// Connected members that moderate, owners among them.
    fn moderators(&self, after: u64, limit: usize) -> Result<Vec<Member>, Self::Error>;
    /// Members that miss something, with numbers after the one and up to the other.
    fn behind(&self, after: u64, upto: u64) -> Result<Vec<Member>, Self::Error>;
    /// All members, also those that are gone.
    fn everybody(&self, after: u64, limit: usize) -> Result<Vec<Member>, Self::Error>;
    /// Members with something to do that concerns only them, those that waited longest first.
    fn due(&self, now: Time, limit: usize) -> Result<Vec<Member>, Self::Error>;
    /// A message.
    fn message(&self, lane: Lane, seq: u64) -> Result<Option<StoredMessage>, Self::Error>;
    /// Messages of a lane from one on, below another.
    fn messages(&self, lane: Lane, from: u64, below: u64, limit: usize) -> Result<Vec<StoredMessage>, Self::Error>;
    /// Messages with this name, the oldest first; authors choose names, so there may be several.
    fn named(&self, id: &MessageId, limit: usize) -> Result<Vec<StoredMessage>, Self::Error>;
    /// Whether an author has said something under this name.
    fn has_said(&self, author: &MemberId, id: &MessageId) -> Result<bool, Self::Error>;
    /// What belongs to a post: itself, its last edit, its file.
    fn of_item(&self, item: u64) -> Result<Vec<StoredMessage>, Self::Error>;
    /// The oldest of the last `limit` posts below a message.
    fn first_of_last_items(&self, below: u64, limit: usize) -> Result<Option<u64>, Self::Error>;
    /// Posts and what belongs to them, from one message on, below another.
    fn history(&self, from: u64, below: u64, limit: usize) -> Result<Vec<StoredMessage>, Self::Error>;
    /// Requests that wait, the oldest first.
    fn requests(&self, limit: usize) -> Result<Vec<JoinRequest>, Self::Error>;
    /// A request that waits.
    fn request(&self, request: u64) -> Result<Option<JoinRequest>, Self::Error>;
}

/// Reads and changes what is kept of the members of one group.
pub trait Rows: ReadRows {
    /// Writes where the group stands.
    fn put_hall(&mut self, hall: &Hall) -> Result<(), Self::Error>;
    /// Writes a member.
    fn put_member(&mut self, member: &Member) -> Result<(), Self::Error>;
    /// Writes what a member says about itself; the member itself was written before.
    fn put_persona(&mut self, number: u64, persona: &Persona) -> Result<(), Self::Error>;
    /// Forgets a member.
    fn remove_member(&mut self, number: u64) -> Result<(), Self::Error>;
    /// Writes a message.
    fn put_message(&mut self, message: &StoredMessage) -> Result<(), Self::Error>;
    /// Writes a request that waits.
    fn put_request(&mut self, request: &JoinRequest) -> Result<(), Self::Error>;
    /// Forgets a request that waits.
    fn remove_request(&mut self, request: u64) -> Result<(), Self::Error>;
    /// Forgets messages that came before `time`, as far as they are below these places in the lanes.
    fn forget_messages(&mut self, time: Time, group: u64, support: u64) -> Result<(), Self::Error>;
    /// Forgets everything.
    fn clear(&mut self) -> Result<(), Self::Error>;
}
