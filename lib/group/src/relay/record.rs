//! How a relay is kept: as records that change one by one.
//!
//! Every step leaves a set of changes, which must be made durable together and before any task that is due after it is
//! run. Values are JSON; those of services hold keys.

use codec::{Decode, Encode, Malformed, Reader, Write};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::name::ServiceId;
use crate::versioned::{self, Unreadable};

/// The version of every record.
const VERSION: u64 = 1;
/// Room for a service with an ordinary profile, so that its key is not left behind where the text grew out of.
const ROOM: usize = 64 * 1024;

/// The name of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKey {
    /// What concerns all services.
    Relay,
    /// A service.
    Service(ServiceId),
    /// The roster of its group.
    Roster(ServiceId),
    /// A test of the address, by its request.
    Test(u64),
    /// A line of the log of a service. Written once and not needed to go on.
    Log(ServiceId, u64),
}

/// A record to write, or to delete where there is no value.
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

/// What is kept is not what a relay keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Somebody or something else wrote it.
    #[error("malformed record {0:?}")]
    Malformed(RecordKey),
    /// A later version wrote it.
    #[error("record {0:?} of version {1}")]
    Version(RecordKey, u64),
    /// A record of something of which there is no other record.
    #[error("record {0:?} belongs to nothing")]
    Stray(RecordKey),
}

pub(super) fn write<T: Serialize>(value: &T) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(ROOM));
    versioned::write(VERSION, value, &mut out);
    out
}

pub(super) fn read<T: DeserializeOwned>(key: RecordKey, bytes: &[u8]) -> Result<T, LoadError> {
    versioned::read(VERSION, bytes).map_err(|unreadable| match unreadable {
        Unreadable::Malformed => LoadError::Malformed(key),
        Unreadable::Version(version) => LoadError::Version(key, version),
    })
}

impl Encode for RecordKey {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut numbered = |kind: &[u8], numbers: &[u64]| {
            out.put(kind);
            numbers.iter().for_each(|number| out.put(&number.to_be_bytes()));
        };
        match self {
            RecordKey::Relay => numbered(b"R", &[]),
            RecordKey::Service(id) => numbered(b"S", &[id.0]),
            RecordKey::Roster(id) => numbered(b"M", &[id.0]),
            RecordKey::Test(request) => numbered(b"T", &[*request]),
            RecordKey::Log(id, number) => numbered(b"L", &[id.0, *number]),
        }
    }
}

impl Decode for RecordKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let kind = reader.u8()?;
        let mut number = || reader.array().map(u64::from_be_bytes);
        Ok(match kind {
            b'R' => RecordKey::Relay,
            b'S' => RecordKey::Service(ServiceId(number()?)),
            b'M' => RecordKey::Roster(ServiceId(number()?)),
            b'T' => RecordKey::Test(number()?),
            b'L' => RecordKey::Log(ServiceId(number()?), number()?),
            _ => return Err(Malformed::BadValue("name of a record")),
        })
    }
}

/// Moments in records: milliseconds.
pub(super) mod moment {
    use agent::time::Time;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(time.millis())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        u64::deserialize(deserializer).map(Time::from_millis)
    }
}

/// Moments in records, where there may be none.
pub(super) mod moment_option {
    use agent::time::Time;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Time::millis).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Time::from_millis))
    }
}
