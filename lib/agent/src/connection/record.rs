//! How a connection is kept: as records that change one by one.
//!
//! A send changes two small records of many kilobytes of state, so that a service with a hundred thousand connections
//! writes little. Every step leaves a set of changes which must be made durable together, before any task that is due
//! after it is run and before anybody is told of its events.

use codec::{Decode, Encode, Malformed, Reader, Write};
use zeroize::Zeroizing;

/// The name of a record within its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKey {
    /// How far the connection is, its queues and keys.
    Core,
    /// Where both chains of the ratchet are; changes with every message.
    Position,
    /// The rest of the ratchet; changes with every turn.
    Turn,
    /// Keys of messages that were passed over.
    Skipped,
    /// The received message that is not acknowledged yet.
    Incoming,
    /// A message to send.
    Outgoing(i64),
    /// A sent message whose receipt is awaited.
    Awaited(i64),
    /// A request to a contact address.
    Request(u64),
}

/// A record to write, or to delete where there is no value. Values hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// Which record.
    pub key: RecordKey,
    /// What it holds from now on.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = self.value.as_ref().map(|value| value.len());
        f.debug_struct("Change").field("key", &self.key).field("length", &length).finish()
    }
}

impl Encode for RecordKey {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            RecordKey::Core => out.put(b"C"),
            RecordKey::Position => out.put(b"P"),
            RecordKey::Turn => out.put(b"T"),
            RecordKey::Skipped => out.put(b"S"),
            RecordKey::Incoming => out.put(b"I"),
            RecordKey::Outgoing(number) => numbered(out, b"O", *number),
            RecordKey::Awaited(number) => numbered(out, b"A", *number),
            RecordKey::Request(number) => numbered(out, b"R", i64::try_from(*number).unwrap_or(i64::MAX)),
        }
    }
}

fn numbered(out: &mut Vec<u8>, kind: &[u8], number: i64) {
    out.put(kind);
    out.put_i64(number);
}

impl Decode for RecordKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bad = || Malformed::BadValue("name of a record");
        Ok(match reader.u8()? {
            b'C' => RecordKey::Core,
            b'P' => RecordKey::Position,
            b'T' => RecordKey::Turn,
            b'S' => RecordKey::Skipped,
            b'I' => RecordKey::Incoming,
            b'O' => RecordKey::Outgoing(reader.i64()?),
            b'A' => RecordKey::Awaited(reader.i64()?),
            b'R' => RecordKey::Request(u64::try_from(reader.i64()?).map_err(|_| bad())?),
            _ => return Err(bad()),
        })
    }
}
