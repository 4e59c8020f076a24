//! The reactions of one member to one message: no more than three at a time count.

use serde::{Deserialize, Serialize};

use crate::bytes::unpadded;
use crate::content::{MAX_REACTIONS, MessageReaction, Reaction};
use crate::identity::MemberId;
use crate::json;
use crate::message_id::MessageId;

/// How much of a hash names a reaction.
const NAME: usize = 16;

/// Who reacts to what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reactor {
    /// The message.
    pub message: MessageId,
    /// The member.
    pub member: MemberId,
}

/// What stands of its reactions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ReactionsRecord {
    given: Vec<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Name(#[serde(with = "unpadded")] Vec<u8>);

/// There are as many as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

impl ReactionsRecord {
    /// Adds a reaction, or takes it back.
    pub(super) fn take(&mut self, change: &MessageReaction) -> Result<(), TooMany> {
        let name = name(&change.reaction);
        match (change.add, self.given.contains(&name)) {
            (false, _) => self.given.retain(|given| *given != name),
            (true, true) => {}
            (true, false) if self.given.len() >= MAX_REACTIONS => return Err(TooMany),
            (true, false) => self.given.push(name),
        }
        Ok(())
    }
}

fn name(reaction: &Reaction) -> Name {
    let hash = crypto::hash::sha256(&json::to_vec(reaction));
    Name(hash.get(..NAME).unwrap_or(&hash).to_vec())
}
