//! What an owner says to the group. Relays pass it on to the members.

use agent::time::Env;

use super::outgoing::{Say, owe};
use super::{GroupOwner, OwnerError, RelayRecord};
use crate::identity::MemberId;
use crate::membership::{Change, Composed, Composition, MemberError, Records, Speech, Voice, compose_with, seconds};
use crate::message_id::MessageId;
use crate::transcript::Post;

/// How many things may wait for one relay.
const MAX_OWED: usize = 1000;

/// What was said to the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The message, and those that carry the rest of it.
    pub messages: Vec<MessageId>,
    /// The relays that are to get it; see [`Event::Sent`](super::Event::Sent).
    pub relays: Vec<MemberId>,
    /// It is said as the group, but the signature tells which owner said it.
    pub reveals_owner: bool,
    /// Records to be written.
    pub changes: Vec<Change>,
}

impl GroupOwner {
    /// Says something to the group through all relays that can be talked to. If it cannot be said, nothing has changed.
    pub fn say(&mut self, speech: &Speech, records: &dyn Records, env: &mut Env<'_>) -> Result<Announced, OwnerError> {
        self.check_not_over()?;
        let relays = self.hearers()?;
        let Composition { messages, composed, changes } = compose_with(&self.view, speech, records, env)?;
        let heard = composed.iter().filter_map(|composed| self.view.as_others_hear(&composed.body));
        let posts: Vec<Post> = heard.filter_map(|heard| Post::of(&heard, seconds(env.now))).collect();
        posts.into_iter().for_each(|post| self.ledger_mut().said(post));
        composed.iter().for_each(|message| self.announce_to_all(message));
        let reveals_owner = speech.signed && speech.voice != Voice::Oneself;
        Ok(Announced { messages, relays, reveals_owner, changes })
    }

    /// The relays that can be talked to, if there is one, and all of them take more.
    pub(super) fn hearers(&self) -> Result<Vec<MemberId>, OwnerError> {
        let relays: Vec<MemberId> =
            self.relays.iter().filter(|record| record.is_connected()).map(|record| record.id.clone()).collect();
        if relays.is_empty() {
            return Err(MemberError::NotConnected.into());
        }
        let is_full = |record: &RelayRecord| record.is_connected() && record.owed.len() >= MAX_OWED;
        if self.relays.iter().any(is_full) {
            return Err(MemberError::TooManyUnsent(MAX_OWED).into());
        }
        Ok(relays)
    }

    /// A message to the group waits for all relays from now on.
    pub(super) fn announce_to_all(&mut self, message: &Composed) {
        for record in self.relays.iter_mut().filter(|record| record.is_connected()) {
            owe(&mut record.owed, message.id.clone(), Say::Content(message.body.clone()));
        }
    }
}
