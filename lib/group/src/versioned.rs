//! What is kept as JSON: an object with its version beside everything else.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why something that was kept cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is damaged.
    Malformed,
    /// A later version wrote it.
    Version(u64),
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u64,
    #[serde(flatten)]
    value: T,
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// Writes to the end of a buffer, which is the caller's to wipe.
pub(crate) fn write<T: Serialize>(version: u64, value: &T, out: &mut Vec<u8>) {
    crate::json::write(&Versioned { v: version, value }, out);
}

pub(crate) fn read<T: DeserializeOwned>(version: u64, bytes: &[u8]) -> Result<T, Unreadable> {
    let malformed = |_| Unreadable::Malformed;
    let Version { v } = serde_json::from_slice(bytes).map_err(malformed)?;
    if v != version {
        return Err(Unreadable::Version(v));
    }
    serde_json::from_slice::<Versioned<T>>(bytes).map(|versioned| versioned.value).map_err(malformed)
}
