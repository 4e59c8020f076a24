//! What bodies are made of: messages, signed or not, messages that relays forward, and chunks of files.
//!
//! ```text
//! bytes ─parse─▶ Element ─┬─▶ AuthoredMessage ─verify─▶ AcceptedMessage
//!                         ├─▶ Forward: an AuthoredMessage, and who is said to have written it
//!                         └─▶ Chunk
//! ```
//!
//! Parsing believes nothing: who wrote a message is known when [`crate::signature`] has looked at it. Bytes that were
//! signed are never written again, only copied, so that a signature survives any number of relays.

use agent::non_empty::NonEmpty;
use codec::{Decode, Encode, Malformed, Reader, Write};
use crypto::sign::ED25519_SIGNATURE;

use crate::chunk::{self, Chunk};
use crate::event::{Event, JsonForward};
use crate::identity::MemberId;
use crate::message::{ExactMessage, Message, MessageError};

const JSON: u8 = b'{';
const SIGNED: u8 = b'/';
pub(crate) const FORWARD: u8 = b'>';
/// In front of a signature: it is by the member that the message is attributed to.
const BY_MEMBER: &[u8] = b"M";
const SENDER_MEMBER: u8 = b'M';
const SENDER_CHANNEL: u8 = b'C';
/// Longer names are cut, so that what relays put around a message has a limit.
const MAX_NAME: usize = 16;

/// One element of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Element {
    /// What the peer itself says.
    Message(AuthoredMessage),
    /// What somebody else said.
    Forward(Forward),
    /// A part of a file.
    Chunk(Chunk),
}

/// A message, signed or not, of which nothing is verified.
#[derive(Debug, Clone, PartialEq)]
pub enum AuthoredMessage {
    /// Without signature.
    Unsigned(ExactMessage),
    /// With at least one.
    Signed(SignedMessage),
}

/// A message with signatures that may be wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedMessage {
    pub(crate) binding: BindingTag,
    pub(crate) signatures: NonEmpty<Signature>,
    pub(crate) message: ExactMessage,
}

/// What a signature binds a message to besides its text. What exactly, the reader has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingTag {
    /// Group and author.
    Group,
    /// A direct chat.
    Direct,
    /// The group alone.
    Channel,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature(pub(crate) [u8; ED25519_SIGNATURE]);

/// A message as a relay passes it on.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// Who wrote it, as the relay says.
    pub sender: ForwardSender,
    /// When it reached the relay, in Unix seconds.
    pub sent_at: i64,
    /// What was written.
    pub content: ForwardContent,
}

/// Who wrote a forwarded message, as the relay says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardSender {
    /// A member.
    Member(MemberId, ShortName),
    /// The group; readers do not learn which owner.
    Channel,
}

/// What relays pass on. Never another forward.
#[derive(Debug, Clone, PartialEq)]
pub enum ForwardContent {
    /// A message.
    Message(AuthoredMessage),
    /// A part of a file. Nobody sends that.
    Chunk(Chunk),
}

/// A member's name, short enough to stand in front of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortName(String);

/// Why bytes are no element. Other elements of the same batch are not affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ElementError {
    /// The first byte announces nothing that we know.
    #[error("unknown kind of element {0:#04x}")]
    UnknownKind(u8),
    /// Lengths, counts or tags are wrong.
    #[error("malformed element: {0}")]
    Malformed(#[from] Malformed),
    /// The JSON is no message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// What a relay forwards was forwarded already.
    #[error("a forward inside a forward")]
    NestedForward,
}

impl Element {
    /// Reads one element, all of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ElementError> {
        match bytes.first() {
            Some(&JSON) => Ok(Element::from_unsigned(ExactMessage::parse(bytes)?)),
            Some(&FORWARD) => Forward::parse(bytes).map(Element::Forward),
            Some(&chunk::TAG) => Ok(Element::Chunk(Chunk::decode_all(bytes)?)),
            _ => AuthoredMessage::parse(bytes).map(Element::Message),
        }
    }

    /// In the old form of a forward the relay writes a message of its own; what counts is the message inside.
    fn from_unsigned(message: ExactMessage) -> Self {
        match &message.message().event {
            Event::GroupMessageForward(forward) => Element::Forward(Forward::from_json(forward)),
            _ => Element::Message(AuthoredMessage::Unsigned(message)),
        }
    }
}

impl Encode for Element {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Element::Message(message) => message.encode(out),
            Element::Forward(forward) => forward.encode(out),
            Element::Chunk(chunk) => chunk.encode(out),
        }
    }
}

impl AuthoredMessage {
    /// Reads a message, signed or not: one that arrived in a handshake, or that was stored.
    pub fn parse(bytes: &[u8]) -> Result<Self, ElementError> {
        let authored = match bytes.first() {
            Some(&JSON) => AuthoredMessage::Unsigned(ExactMessage::parse(bytes)?),
            Some(&SIGNED) => AuthoredMessage::Signed(SignedMessage::parse(bytes)?),
            Some(&FORWARD) => return Err(ElementError::NestedForward),
            Some(&other) => return Err(ElementError::UnknownKind(other)),
            None => return Err(Malformed::Truncated.into()),
        };
        match authored.message().event {
            Event::GroupMessageForward(_) => Err(ElementError::NestedForward),
            _ => Ok(authored),
        }
    }

    /// What it says, true or not.
    pub fn message(&self) -> &Message {
        match self {
            AuthoredMessage::Unsigned(message) => message.message(),
            AuthoredMessage::Signed(signed) => signed.message.message(),
        }
    }
}

impl Encode for AuthoredMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            AuthoredMessage::Unsigned(message) => out.put(message.as_bytes()),
            AuthoredMessage::Signed(signed) => signed.encode(out),
        }
    }
}

impl From<Message> for AuthoredMessage {
    /// A message of our own, unsigned.
    fn from(message: Message) -> Self {
        AuthoredMessage::Unsigned(message.into())
    }
}

impl From<SignedMessage> for AuthoredMessage {
    fn from(signed: SignedMessage) -> Self {
        AuthoredMessage::Signed(signed)
    }
}

impl<T: Into<AuthoredMessage>> From<T> for Element {
    /// What we say ourselves.
    fn from(message: T) -> Self {
        Element::Message(message.into())
    }
}

impl SignedMessage {
    /// What the signatures say they bind the message to.
    pub fn binding(&self) -> BindingTag {
        self.binding
    }

    fn parse(bytes: &[u8]) -> Result<Self, ElementError> {
        let mut reader = Reader::new(bytes);
        if !reader.literal(&[SIGNED]) {
            return Err(Malformed::BadValue("kind of element").into());
        }
        let binding = BindingTag::decode(&mut reader)?;
        let signatures = NonEmpty::decode(&mut reader)?;
        Ok(SignedMessage { binding, signatures, message: ExactMessage::parse(reader.tail())? })
    }
}

impl Encode for SignedMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&[SIGNED]);
        self.binding.encode(out);
        self.signatures.encode(out);
        out.put(self.message.as_bytes());
    }
}

impl BindingTag {
    pub(crate) const fn letter(self) -> u8 {
        match self {
            BindingTag::Group => b'G',
            BindingTag::Direct => b'D',
            BindingTag::Channel => b'C',
        }
    }
}

impl Encode for BindingTag {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&[self.letter()]);
    }
}

impl Decode for BindingTag {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            b'G' => Ok(BindingTag::Group),
            b'D' => Ok(BindingTag::Direct),
            b'C' => Ok(BindingTag::Channel),
            _ => Err(Malformed::BadValue("binding of a signature")),
        }
    }
}

impl Encode for Signature {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(BY_MEMBER);
        out.put_short(&self.0);
    }
}

impl Decode for Signature {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if !reader.literal(BY_MEMBER) {
            return Err(Malformed::BadValue("key of a signature"));
        }
        reader.short()?.try_into().map(Signature).map_err(|_| Malformed::BadValue("length of a signature"))
    }
}

impl Forward {
    fn parse(bytes: &[u8]) -> Result<Self, ElementError> {
        let mut reader = Reader::new(bytes);
        if !reader.literal(&[FORWARD]) {
            return Err(Malformed::BadValue("kind of element").into());
        }
        let sender = ForwardSender::decode(&mut reader)?;
        let sent_at = reader.i64()?;
        Ok(Forward { sender, sent_at, content: ForwardContent::parse(reader.tail())? })
    }

    fn from_json(forward: &JsonForward) -> Self {
        let name = ShortName::new(forward.member_name.as_deref().unwrap_or_default());
        let sender = forward.member_id.clone().map(|id| ForwardSender::Member(id, name));
        Forward {
            sender: sender.unwrap_or(ForwardSender::Channel),
            sent_at: forward.sent_at.seconds,
            content: ForwardContent::Message(forward.message.clone().into()),
        }
    }
}

impl Encode for Forward {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put(&[FORWARD]);
        self.sender.encode(out);
        out.put_i64(self.sent_at);
        match &self.content {
            ForwardContent::Message(message) => message.encode(out),
            ForwardContent::Chunk(chunk) => chunk.encode(out),
        }
    }
}

impl ForwardContent {
    fn parse(bytes: &[u8]) -> Result<Self, ElementError> {
        match bytes.first() {
            Some(&chunk::TAG) => Ok(ForwardContent::Chunk(Chunk::decode_all(bytes)?)),
            _ => AuthoredMessage::parse(bytes).map(ForwardContent::Message),
        }
    }
}

impl Encode for ForwardSender {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ForwardSender::Member(id, name) => {
                out.put(&[SENDER_MEMBER]);
                out.put_short(id.as_bytes());
                out.put_short(name.0.as_bytes());
            }
            ForwardSender::Channel => out.put(&[SENDER_CHANNEL]),
        }
    }
}

impl Decode for ForwardSender {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            SENDER_MEMBER => {
                let id = MemberId::from_bytes(reader.short()?).ok_or(Malformed::BadValue("ID of a sender"))?;
                Ok(ForwardSender::Member(id, ShortName(reader.text()?.to_owned())))
            }
            SENDER_CHANNEL => Ok(ForwardSender::Channel),
            _ => Err(Malformed::BadValue("kind of sender")),
        }
    }
}

impl ShortName {
    /// A name, cut to 16 characters.
    pub fn new(name: &str) -> Self {
        let mut short: String = name.chars().take(MAX_NAME).collect();
        if short.len() < name.len() {
            short.push('…');
        }
        ShortName(short)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
