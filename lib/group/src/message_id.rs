//! The name of a message, the same for everybody in the group.

use std::fmt;

use codec::text;
use crypto::{Random, random};

/// Random bytes in an ID of ours. On the wire it is their base64url text.
const ENTROPY: usize = 12;
const MAX: usize = 255;

/// Names a message in its group; later messages refer to it, and copies are known by it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Vec<u8>);

impl MessageId {
    /// A fresh ID. As in the reference it is made of text, so that it can be read where it appears.
    pub fn random(source: &mut dyn Random) -> Self {
        MessageId(text::base64url(&random::array::<ENTROPY>(source)).into_bytes())
    }

    /// The ID of a message that carries a part of what this one says: it follows from this one, so that what is said
    /// again has the same names again.
    pub(crate) fn of_part(&self, number: usize) -> Self {
        let mut hashed = format!("part {number} of ").into_bytes();
        hashed.extend_from_slice(&self.0);
        let hash = crypto::hash::sha256(&hashed);
        MessageId(text::base64url(hash.get(..ENTROPY).unwrap_or(&hash)).into_bytes())
    }

    /// An ID as received: 1 to 255 bytes, which mean nothing.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (1..=MAX).contains(&bytes.len()).then(|| MessageId(bytes.to_vec()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::base64url_unpadded(&self.0))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}
