//! Whether copies of a message that different relays delivered say the same.
//!
//! Relays may write unsigned messages anew, so that bytes prove nothing. The digest is taken over what we understand of
//! a message: the event and its known parameters, with keys in order and nothing that is null, and who is said to have
//! written it. The versions of the author's program and descriptions of files, which relays deliver apart, do not count.

use std::fmt;

use crypto::hash;
use serde_json::{Map, Value, json};

use crate::event::Event;
use crate::message_id::MessageId;
use crate::verification::{AcceptedMessage, Attribution};

const FILE: &str = "file";
const FILE_DESCRIPTION: &str = "fileDescr";

/// What copies of one message have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// The digest of a message.
    pub fn of(message: &AcceptedMessage) -> Self {
        let event = message.event();
        let mut params = event.params();
        if let (Event::MessageNew(_), Some(Value::Object(file))) = (event, params.get_mut(FILE)) {
            file.remove(FILE_DESCRIPTION);
        }
        let sender = match message.attribution() {
            Attribution::Member(id, _) => format!("M{id}"),
            Attribution::Channel => "C".to_owned(),
        };
        let content = json!({"event": event.name(), "params": params, "sender": sender});
        ContentDigest(hash::sha256(canonical(content).to_string().as_bytes()))
    }

    /// A digest that was kept or published.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(ContentDigest)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentDigest({})", codec::text::base64url_unpadded(&self.0))
    }
}

/// The name under which copies of a message are known in its group; those without a name are never copies.
pub fn copy_key(message: &AcceptedMessage) -> Option<&MessageId> {
    message.message().id.as_ref()
}

/// The depth is that of parsed JSON, which is limited.
fn canonical(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        Value::Object(fields) => Value::Object(sorted(fields)),
        scalar => scalar,
    }
}

fn sorted(fields: Map<String, Value>) -> Map<String, Value> {
    let mut fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields.into_iter().map(|(key, value)| (key, canonical(value))).collect()
}
