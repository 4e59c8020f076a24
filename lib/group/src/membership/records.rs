//! What is kept of single messages and members: too many to be held in memory, and each is needed only when something
//! comes that is about it.
//!
//! ```text
//! body ── names of records ──▶ Page::load ──▶ a step looks at the page and changes it ──▶ changes, to be made durable
//! ```
//!
//! A step reads all that it needs before it changes anything, so that a store that fails leaves nothing half done.

use std::collections::BTreeMap;

use codec::{Decode, Encode, Malformed, Reader, Write};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::comparison::MessageRecord;
use super::error::RecordError;
use super::people::MemberRecord;
use super::reactions::{ReactionsRecord, Reactor};
use crate::identity::MemberId;
use crate::message_id::MessageId;
use crate::versioned::{self, Unreadable};

/// The version of every record.
const VERSION: u64 = 1;

/// The name of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// A message, and all copies of it that relays delivered.
    Message(MessageId),
    /// A member, as far as relays told of it.
    Member(MemberId),
    /// How many members there are, as far as relays told of them.
    Census,
    /// The reactions of a member to a message.
    Reactions(Reactor),
}

impl Encode for RecordKey {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            RecordKey::Message(id) => {
                out.put(b"M");
                out.put_short(id.as_bytes());
            }
            RecordKey::Member(id) => {
                out.put(b"P");
                out.put_short(id.as_bytes());
            }
            RecordKey::Census => out.put(b"C"),
            RecordKey::Reactions(Reactor { message, member }) => {
                out.put(b"R");
                out.put_short(message.as_bytes());
                out.put_short(member.as_bytes());
            }
        }
    }
}

impl Decode for RecordKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let unnamed = Malformed::BadValue("name of a record");
        match reader.u8()? {
            b'M' => MessageId::from_bytes(reader.short()?).map(RecordKey::Message).ok_or(unnamed),
            b'P' => MemberId::from_bytes(reader.short()?).map(RecordKey::Member).ok_or(unnamed),
            b'C' => Ok(RecordKey::Census),
            b'R' => {
                let message = MessageId::from_bytes(reader.short()?);
                let member = MemberId::from_bytes(reader.short()?);
                let reactor = message.zip(member).map(|(message, member)| Reactor { message, member });
                reactor.map(RecordKey::Reactions).ok_or(unnamed)
            }
            _ => Err(unnamed),
        }
    }
}

/// Where records are kept.
pub trait Records {
    /// A record, if there is one of this name.
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError>;
}

/// A record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which record.
    pub key: RecordKey,
    /// What it holds from now on.
    pub value: Vec<u8>,
}

/// The records that a step may look at.
#[derive(Debug, Default)]
pub(super) struct Page {
    messages: BTreeMap<MessageId, Entry<MessageRecord>>,
    members: BTreeMap<MemberId, Entry<MemberRecord>>,
    census: Option<Entry<Census>>,
    reactions: BTreeMap<Reactor, Entry<ReactionsRecord>>,
}

/// How many members there are. It becomes durable together with what is known of each of them, so that nobody is counted
/// twice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Census {
    present: u64,
}

#[derive(Debug, Default)]
struct Entry<T> {
    value: T,
    changed: bool,
}

impl Page {
    /// Reads records. Those that do not exist are empty.
    pub(super) fn load(records: &dyn Records, keys: impl IntoIterator<Item = RecordKey>) -> Result<Self, RecordError> {
        let mut page = Page::default();
        for key in keys {
            match &key {
                RecordKey::Message(id) if !page.messages.contains_key(id) => {
                    page.messages.insert(id.clone(), entry(records, &key)?);
                }
                RecordKey::Member(id) if !page.members.contains_key(id) => {
                    page.members.insert(id.clone(), entry(records, &key)?);
                }
                RecordKey::Reactions(reactor) if !page.reactions.contains_key(reactor) => {
                    page.reactions.insert(reactor.clone(), entry(records, &key)?);
                }
                RecordKey::Census if page.census.is_none() => page.census = Some(entry(records, &key)?),
                _ => {}
            }
        }
        Ok(page)
    }

    /// A message, if it was loaded.
    pub(super) fn message(&self, id: &MessageId) -> Option<&MessageRecord> {
        self.messages.get(id).map(|entry| &entry.value)
    }

    /// The same, to be changed.
    pub(super) fn message_mut(&mut self, id: &MessageId) -> Option<&mut MessageRecord> {
        self.messages.get_mut(id).map(Entry::change)
    }

    /// A member, if it was loaded.
    pub(super) fn member(&self, id: &MemberId) -> Option<&MemberRecord> {
        self.members.get(id).map(|entry| &entry.value)
    }

    /// The same, to be changed.
    pub(super) fn member_mut(&mut self, id: &MemberId) -> Option<&mut MemberRecord> {
        self.members.get_mut(id).map(Entry::change)
    }

    /// Takes a member into the count that came, or out of it that went, if somebody counts.
    pub(super) fn count(&mut self, id: &MemberId) {
        let (Some(census), Some(member)) = (&mut self.census, self.members.get_mut(id)) else { return };
        let Some(counts) = member.value.counts() else { return };
        let present = census.value.present;
        member.changed = true;
        census.change().present = match counts {
            true => present.saturating_add(1),
            false => present.saturating_sub(1),
        };
    }

    /// How many members were counted, if somebody counts.
    pub(super) fn present(&self) -> Option<u64> {
        self.census.as_ref().map(|census| census.value.present)
    }

    /// The reactions of a member to a message, to be changed, if they were loaded.
    pub(super) fn reactions_mut(&mut self, reactor: &Reactor) -> Option<&mut ReactionsRecord> {
        self.reactions.get_mut(reactor).map(Entry::change)
    }

    /// A message that is new here.
    pub(super) fn add_message(&mut self, id: MessageId, value: MessageRecord) {
        self.messages.insert(id, Entry { value, changed: true });
    }

    /// What the step changed.
    pub(super) fn into_changes(self) -> Vec<Change> {
        let messages = self.messages.into_iter().filter(|(_, entry)| entry.changed);
        let members = self.members.into_iter().filter(|(_, entry)| entry.changed);
        let messages = messages.map(|(id, entry)| Change { key: RecordKey::Message(id), value: write(&entry.value) });
        let members = members.map(|(id, entry)| Change { key: RecordKey::Member(id), value: write(&entry.value) });
        let census = self.census.into_iter().filter(|entry| entry.changed);
        let census = census.map(|entry| Change { key: RecordKey::Census, value: write(&entry.value) });
        let reactions = self.reactions.into_iter().filter(|(_, entry)| entry.changed);
        let reactions =
            reactions.map(|(id, entry)| Change { key: RecordKey::Reactions(id), value: write(&entry.value) });
        messages.chain(members).chain(census).chain(reactions).collect()
    }
}

impl<T> Entry<T> {
    fn change(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}

fn entry<T: DeserializeOwned + Default>(records: &dyn Records, key: &RecordKey) -> Result<Entry<T>, RecordError> {
    let value = records.read(key)?.map(|bytes| read(key, &bytes)).transpose()?;
    Ok(Entry { value: value.unwrap_or_default(), changed: false })
}

pub(super) fn write<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    versioned::write(VERSION, value, &mut out);
    out
}

/// Reads what a record holds.
pub(super) fn read<T: DeserializeOwned>(key: &RecordKey, bytes: &[u8]) -> Result<T, RecordError> {
    versioned::read(VERSION, bytes).map_err(|unreadable| match unreadable {
        Unreadable::Malformed => RecordError::Malformed(key.clone()),
        Unreadable::Version(version) => RecordError::Version(key.clone(), version),
    })
}
