//! One message: the sender's versions, the message's name, and an event.
//!
//! ```text
//! {"v":"9-19","msgId":"REEwT0R4QVJFaE1VRlJZWA==","event":"x.grp.leave","params":{}}
//! ```
//!
//! JSON that arrived is never written again where others compare or verify it: [`ExactMessage`] keeps the bytes.

use codec::VersionRange;
use crypto::Random;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::bytes::{padded_option, text_form_option};
use crate::event::Event;
use crate::message_id::MessageId;
use crate::{json, limits, version};

/// A message as it is understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What its author's program speaks.
    pub versions: VersionRange,
    /// Its name in the group; what is said in handshakes has none.
    pub id: Option<MessageId>,
    /// What happens.
    pub event: Event,
}

/// Why JSON is no message. Nothing of what it says is repeated: it may be private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No body can hold it.
    #[error("message of {0} bytes")]
    TooLong(usize),
    /// It is not JSON, or too deep.
    #[error("malformed JSON at byte {0}")]
    Json(usize),
    /// Version, ID, event or parameters are missing or of another type.
    #[error("the JSON is no message")]
    Envelope,
    /// Events are called `x.…`, without spaces.
    #[error("malformed name of an event")]
    EventName,
    /// The parameters are not those of the event.
    #[error("wrong parameters of {0}")]
    Params(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    #[serde(default, with = "text_form_option", skip_serializing_if = "Option::is_none")]
    v: Option<VersionRange>,
    #[serde(rename = "msgId", default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    id: Option<MessageId>,
    event: String,
    params: Map<String, Value>,
}

impl Message {
    /// What is said without a name: in handshakes, and by relays about members.
    pub fn unnamed(event: Event) -> Self {
        Message { versions: version::CHAT, id: None, event }
    }

    /// What is said in a group, with a fresh name.
    pub fn named(event: Event, random: &mut dyn Random) -> Self {
        Message { id: Some(MessageId::random(random)), ..Message::unnamed(event) }
    }

    /// Reads a message.
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > limits::BODY {
            return Err(MessageError::TooLong(bytes.len()));
        }
        let value = serde_json::from_slice(bytes).map_err(|error| MessageError::Json(error.column()))?;
        Message::from_value(value)
    }

    /// Writes it, without whitespace.
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    fn from_value(value: Value) -> Result<Self, MessageError> {
        let envelope: Envelope = serde_json::from_value(value).map_err(|_| MessageError::Envelope)?;
        let event = Event::from_parts(envelope.event, envelope.params)?;
        Ok(Message { versions: envelope.v.unwrap_or(version::INITIAL), id: envelope.id, event })
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.event.name().to_owned();
        let envelope = Envelope { v: Some(self.versions), id: self.id.clone(), event, params: self.event.params() };
        envelope.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    /// A message inside another one; forwards end here.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let message = Message::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)?;
        match message.event {
            Event::GroupMessageForward(_) => Err(D::Error::custom("a forward inside a forward")),
            _ => Ok(message),
        }
    }
}

/// A message with the bytes that say it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactMessage {
    bytes: Vec<u8>,
    message: Box<Message>,
}

impl ExactMessage {
    /// Reads a message and keeps its bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, MessageError> {
        Ok(ExactMessage { message: Message::parse(bytes)?.into(), bytes: bytes.to_vec() })
    }

    /// The bytes, as they came or were first written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they say.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

impl From<Message> for ExactMessage {
    /// Writes a message of our own.
    fn from(message: Message) -> Self {
        ExactMessage { bytes: message.to_json(), message: message.into() }
    }
}
