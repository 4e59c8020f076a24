//! The connections of an owner in the group document: what the agent keeps of each, which nobody else reads.

use std::collections::BTreeMap;
use std::fmt;

use codec::text::{base64url_unpadded, from_base64url};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Records of connections by the connection's name and the record's name; keys and ratchets are among them
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionRecords(BTreeMap<String, BTreeMap<String, RecordBytes>>);

/// A record, as base64url.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
struct RecordBytes(Zeroizing<Vec<u8>>);

impl ConnectionRecords {
    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of all connections.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The records of a connection: names, and what they hold. Names that are not base64url are nobody's.
    pub fn of(&self, connection: &str) -> Vec<(Vec<u8>, Zeroizing<Vec<u8>>)> {
        let records = self.0.get(connection).into_iter().flatten();
        records.filter_map(|(name, bytes)| Some((from_base64url(name).ok()?, bytes.0.clone()))).collect()
    }

    /// Sets a record, or removes it.
    pub fn set(&mut self, connection: &str, record: &[u8], bytes: Option<Zeroizing<Vec<u8>>>) {
        let records = self.0.entry(connection.to_owned()).or_default();
        let name = base64url_unpadded(record);
        match bytes {
            Some(bytes) => records.insert(name, RecordBytes(bytes)),
            None => records.remove(&name),
        };
    }

    /// Removes everything of a connection.
    pub fn forget(&mut self, connection: &str) {
        self.0.remove(connection);
    }
}

impl fmt::Debug for ConnectionRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Serialize for RecordBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(base64url_unpadded(&self.0)))
    }
}

impl<'de> Deserialize<'de> for RecordBytes {
    /// The message repeats nothing of the text: it is a secret.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = from_base64url(&text).map_err(|_| D::Error::custom("expected base64url"))?;
        Ok(RecordBytes(Zeroizing::new(bytes)))
    }
}
