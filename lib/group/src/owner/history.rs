//! The last posts of an owner, for a new relay, which has none to show to those who join through it.
//!
//! The protocol has no message for that. So the owner says its last posts again, to this relay alone: under the same
//! names, and in the same bytes if they are signed. It does so before the group link lists the relay. Then nobody has
//! joined through it yet, and what the relay gets is history for those who do, not news for those who have it already. To
//! whoever joins so soon that it comes as news all the same, or through several relays, it has the name that it had
//! before, and is counted once.
//!
//! What this cannot give: the time at which a post was said first, because relays take the time at which they got it; and
//! posts of others, which only they could say again.

use agent::time::Env;

use super::outgoing::{Say, owe};
use super::{Event, GroupOwner, OwnerError, Status};
use crate::body::single;
use crate::event::Event as ChatEvent;
use crate::identity::MemberId;
use crate::membership::{Copy, MessageRecord, RecordError, RecordKey, Records, seconds};
use crate::message_id::MessageId;

/// Relays keep no more for those who join.
pub const MAX_PAST_POSTS: u32 = 100;
/// How many records are looked at, of which most may be about other things.
const MAX_LOOKED_AT: usize = 20_000;
const PAGE: usize = 500;
/// More parts than the description of a file may have.
const MAX_PARTS: usize = 16;

/// Where records are kept that can be read from the newest to the oldest.
pub trait PastRecords: Records {
    /// Records of messages, the last one first, that come after the place where the last answer ended; with their places.
    fn before(&self, place: Option<i64>, limit: usize) -> Result<Vec<(i64, MessageId, Vec<u8>)>, RecordError>;
}

impl GroupOwner {
    /// A relay that is not listed yet gets so many of the owner's last posts first.
    pub fn promise_posts(&mut self, relay: &MemberId, count: u32) -> Result<(), OwnerError> {
        let record = self.record_mut(relay)?;
        let status = record.status();
        if status.is_final() || status == Status::Active {
            return Err(OwnerError::Prohibited("give posts", status));
        }
        record.promised = count.min(MAX_PAST_POSTS);
        Ok(())
    }

    /// A relay that waits for posts, and can be told.
    pub fn awaits_posts(&self) -> Option<&MemberId> {
        let awaits = |record: &&super::RelayRecord| record.promised > 0 && record.is_connected();
        self.relays.iter().find(awaits).map(|record| &record.id)
    }

    /// Says the last posts again, to this relay. If records cannot be read, nothing has changed.
    pub fn give_posts(
        &mut self,
        relay: &MemberId,
        records: &dyn PastRecords,
        env: &mut Env<'_>,
    ) -> Result<Vec<Event>, OwnerError> {
        let promised = usize::try_from(self.record_mut(relay)?.promised).unwrap_or(usize::MAX);
        let posts = self.last_posts(promised, records, env)?;
        let record = self.record_mut(relay)?;
        record.promised = 0;
        if record.is_connected() {
            for (id, body) in posts {
                owe(&mut record.owed, id, Say::Content(body));
            }
        }
        let mut events = Vec::new();
        self.settle(env, &mut events);
        Ok(events)
    }

    /// The bodies that say the last posts, in their order, each with its last edit.
    fn last_posts(
        &self,
        count: usize,
        records: &dyn PastRecords,
        env: &Env<'_>,
    ) -> Result<Vec<(MessageId, Vec<u8>)>, OwnerError> {
        let mut newest = Vec::new();
        let (mut place, mut looked) = (None, 0);
        while newest.len() < count && looked < MAX_LOOKED_AT {
            let page = records.before(place, PAGE)?;
            let Some((last, ..)) = page.last() else { break };
            place = Some(*last);
            looked = looked.saturating_add(page.len());
            for (_, id, bytes) in page {
                let record = MessageRecord::parse(&RecordKey::Message(id.clone()), &bytes)?;
                if newest.len() < count && self.is_to_be_repeated(&record, seconds(env.now)) {
                    newest.push((id, record));
                }
            }
        }
        let mut said = Vec::new();
        for (id, record) in newest.iter().rev() {
            said.extend(said_again(id, record)?);
            for part in (1..=MAX_PARTS).map(|number| id.of_part(number)) {
                let Some(record) = read(&part, records)? else { break };
                said.extend(said_again(&part, &record)?);
            }
            if let Some(edit) = record.item().edited().and_then(|edit| edit.message())
                && let Some(record) = read(edit, records)?
            {
                said.extend(said_again(edit, &record)?);
            }
        }
        Ok(said)
    }

    /// A post to the whole group that we said ourselves, and that is still there.
    fn is_to_be_repeated(&self, record: &MessageRecord, now: i64) -> bool {
        let owner = &self.link.group().owner.owner_id;
        let ours = |copy: &&Copy| copy.deliveries().first().is_some_and(|delivered| delivered.relay == *owner);
        let Some(copy) = record.kept().filter(ours).filter(|_| record.item().deleted().is_none()) else { return false };
        let said_at = copy.deliveries().first().map_or(0, |delivered| delivered.sent_at);
        let Some(message) = copy.message() else { return false };
        let ChatEvent::MessageNew(post) = &message.message().event else { return false };
        let disappeared = post.ttl.is_some_and(|ttl| said_at.saturating_add(ttl) <= now);
        post.scope.is_none() && !disappeared
    }
}

fn read(id: &MessageId, records: &dyn PastRecords) -> Result<Option<MessageRecord>, OwnerError> {
    let key = RecordKey::Message(id.clone());
    let bytes = records.read(&key)?;
    Ok(bytes.map(|bytes| MessageRecord::parse(&key, &bytes)).transpose()?)
}

/// The body that says a message again; none if it is not known any more.
fn said_again(id: &MessageId, record: &MessageRecord) -> Result<Option<(MessageId, Vec<u8>)>, OwnerError> {
    let Some(message) = record.kept().and_then(Copy::message) else { return Ok(None) };
    Ok(Some((id.clone(), single(message)?)))
}
