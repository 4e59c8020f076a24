//! Bodies of agent messages: what stands in them, and how we fill them.
//!
//! | first byte | form | we write it |
//! |---|---|---|
//! | `=` | batch of elements | when there are several, and around what we forward |
//! | `X` | compressed bodies | never |
//! | `[` | JSON array of unsigned messages | never |
//! | `{`, `/`, `F` | one element | when it stands alone |
//! | `>` | one forwarded element | never |
//!
//! A body whose lengths and counts are right is read element by element: one that says nothing leaves the others usable.
//! Relays and members acknowledge a body in either case, so that no peer can stop their queue.

use agent::compressed::{self, CompressionError};
use codec::{Encode, Malformed, Reader, Write};
use serde_json::Value;

use crate::chunk;
use crate::element::{self, AuthoredMessage, Element, ElementError, Forward, ForwardContent};
use crate::event::Event;
use crate::json;
use crate::limits::{self, TooLong};
use crate::message::Message;
use crate::signature::Signer;

const BATCH: u8 = b'=';
const COMPRESSED: u8 = b'X';
const ARRAY: u8 = b'[';
/// The tag of a batch and its count.
const BATCH_HEAD: usize = 2;
/// The length in front of an element.
const ELEMENT_HEAD: usize = 2;

/// The elements of a body, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    elements: Vec<Result<Element, ElementError>>,
}

/// Why a body says nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// There is nothing.
    #[error("empty body")]
    Empty,
    /// No agent delivers so much.
    #[error("body of {0} bytes")]
    TooLong(usize),
    /// Lengths or counts are wrong.
    #[error("malformed body: {0}")]
    Malformed(#[from] Malformed),
    /// It does not expand to at most 65,536 bytes.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// It looks like an array and is none.
    #[error("malformed JSON array")]
    Array,
    /// Nobody sends so many messages at once.
    #[error("{0} messages in one body")]
    TooMany(usize),
}

impl Batch {
    /// Reads a body of any form.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        if body.len() > limits::BODY {
            return Err(BodyError::TooLong(body.len()));
        }
        let elements = match body.split_first() {
            None => return Err(BodyError::Empty),
            Some((&COMPRESSED, parts)) => expanded(parts)?,
            Some(_) => plain(body)?,
        };
        match elements.len() {
            0 => Err(Malformed::EmptyList.into()),
            count if count > limits::MESSAGES_IN_BODY => Err(BodyError::TooMany(count)),
            _ => Ok(Batch { elements }),
        }
    }

    /// What was understood.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.elements.iter().filter_map(|element| element.as_ref().ok())
    }

    /// What was not.
    pub fn errors(&self) -> impl Iterator<Item = &ElementError> {
        self.elements.iter().filter_map(|element| element.as_ref().err())
    }
}

/// What a body says, for a record of who said what: the names of its events, and nothing that a peer could choose.
pub fn names(body: &[u8]) -> String {
    let Ok(batch) = Batch::parse(body) else { return "malformed".to_owned() };
    let named = |element: &Result<Element, ElementError>| element.as_ref().map_or("malformed".to_owned(), name);
    batch.elements.iter().map(named).collect::<Vec<_>>().join(", ")
}

fn name(element: &Element) -> String {
    match element {
        Element::Message(authored) => known_name(authored).to_owned(),
        Element::Forward(Forward { content: ForwardContent::Message(authored), .. }) => {
            format!("forwarded {}", known_name(authored))
        }
        Element::Forward(_) => "forwarded".to_owned(),
        Element::Chunk(_) => "chunk".to_owned(),
    }
}

fn known_name(authored: &AuthoredMessage) -> &str {
    match &authored.message().event {
        Event::Unknown(_) => "unknown",
        event => event.name(),
    }
}

impl IntoIterator for Batch {
    type Item = Result<Element, ElementError>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.elements.into_iter()
    }
}

type Elements = Vec<Result<Element, ElementError>>;

/// A body that is not compressed.
fn plain(body: &[u8]) -> Result<Elements, BodyError> {
    match body.split_first() {
        None => Err(BodyError::Empty),
        Some((&BATCH, rest)) => batched(rest),
        Some((&ARRAY, _)) => array(body),
        Some(_) => Ok(vec![Element::parse(body)]),
    }
}

fn batched(bytes: &[u8]) -> Result<Elements, BodyError> {
    let mut reader = Reader::new(bytes);
    let elements = reader.non_empty(Reader::large)?;
    reader.finish()?;
    Ok(elements.into_iter().map(Element::parse).collect())
}

fn array(body: &[u8]) -> Result<Elements, BodyError> {
    let messages: Vec<Value> = serde_json::from_slice(body).map_err(|_| BodyError::Array)?;
    if messages.len() > limits::MESSAGES_IN_BODY {
        return Err(BodyError::TooMany(messages.len()));
    }
    Ok(messages.iter().map(|message| Element::parse(&json::to_vec(message))).collect())
}

/// The parts share one limit, and none is expanded before it is known to fit.
fn expanded(parts: &[u8]) -> Result<Elements, BodyError> {
    let mut reader = Reader::new(parts);
    let mut elements = Vec::new();
    let mut left = limits::BODY;
    for _ in 0..reader.u8()? {
        let part = compressed::read(&mut reader, left)?;
        left = left.checked_sub(part.len()).ok_or(CompressionError::Expansion(left))?;
        elements.extend(plain(&part)?);
        if elements.len() > limits::MESSAGES_IN_BODY {
            return Err(BodyError::TooMany(elements.len()));
        }
    }
    reader.finish()?;
    Ok(elements)
}

/// Fills bodies with elements.
///
/// ```text
/// BatchWriter::default() ─push─▶ … ─push─▶ DoesNotFit::Full: finish, and begin the next
/// ```
#[derive(Debug, Clone, Default)]
pub struct BatchWriter {
    count: u8,
    /// Whether the only element may stand without a batch around it.
    bare: bool,
    elements: Vec<u8>,
}

/// Why a body does not take another element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DoesNotFit {
    /// It fits the next body.
    #[error("the body is full")]
    Full,
    /// It fits none.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl BatchWriter {
    /// Adds an element, or nothing.
    pub fn push(&mut self, element: &Element) -> Result<(), DoesNotFit> {
        self.push_written(&element.to_bytes())
    }

    /// Adds an element as it was written before, or nothing.
    pub fn push_written(&mut self, bytes: &[u8]) -> Result<(), DoesNotFit> {
        let kind = bytes.first().copied().unwrap_or_default();
        check_alone(kind, bytes.len())?;
        let length = [self.elements.len(), ELEMENT_HEAD, bytes.len()].iter().sum::<usize>();
        let full = BATCH_HEAD.saturating_add(length) > limits::AUTHORED;
        let count = self.count.checked_add(1).filter(|_| self.count == 0 || !full).ok_or(DoesNotFit::Full)?;
        self.count = count;
        self.bare = count == 1 && kind != element::FORWARD;
        self.elements.put_large(bytes);
        Ok(())
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The body, if anything was added.
    pub fn finish(self) -> Option<Vec<u8>> {
        match (self.count, self.elements.get(ELEMENT_HEAD..)) {
            (0, _) | (_, None) => None,
            (_, Some(element)) if self.bare => Some(element.to_vec()),
            (count, Some(_)) => Some([&[BATCH, count], self.elements.as_slice()].concat()),
        }
    }
}

/// Whether an element fits a body of its own.
fn check_alone(kind: u8, length: usize) -> Result<(), TooLong> {
    match kind {
        element::FORWARD => {
            limits::check(length, limits::FORWARDED_ALONE.saturating_sub(BATCH_HEAD.saturating_add(ELEMENT_HEAD)))
        }
        chunk::TAG => limits::check(length, limits::AGENT_MESSAGE),
        _ => limits::check(length, limits::AUTHORED),
    }
}

/// The body for one element of our own.
pub fn single(element: impl Into<Element>) -> Result<Vec<u8>, TooLong> {
    let mut writer = BatchWriter::default();
    match writer.push(&element.into()) {
        Err(DoesNotFit::TooLong(too_long)) => Err(too_long),
        // The first element is never one too many.
        Ok(()) | Err(DoesNotFit::Full) => Ok(writer.finish().unwrap_or_default()),
    }
}

/// What is said while a connection is made: exactly one message without a name, signed or not.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionInfo(AuthoredMessage);

/// Why bytes are no connection information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionInfoError {
    /// They are no body.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// They are a body that says nothing.
    #[error(transparent)]
    Element(#[from] ElementError),
    /// They say more than one thing, or something that is not the peer's own message.
    #[error("connection information is not one message")]
    NotOneMessage,
}

impl ConnectionInfo {
    /// Says something unsigned.
    pub fn unsigned(event: Event) -> Self {
        ConnectionInfo(Message::unnamed(event).into())
    }

    /// Says something and signs it.
    pub fn signed(event: Event, signer: &Signer<'_>) -> Self {
        ConnectionInfo(signer.sign(Message::unnamed(event)).into())
    }

    /// Reads what a peer said.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConnectionInfoError> {
        let mut elements = Batch::parse(bytes)?.into_iter();
        match (elements.next(), elements.next()) {
            (Some(Ok(Element::Message(message))), None) => Ok(ConnectionInfo(message)),
            (Some(Err(error)), None) => Err(error.into()),
            _ => Err(ConnectionInfoError::NotOneMessage),
        }
    }

    /// What was said, signed or not.
    pub fn authored(&self) -> &AuthoredMessage {
        &self.0
    }

    /// What was said.
    pub fn event(&self) -> &Event {
        &self.0.message().event
    }

    /// The bytes for the agent.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TooLong> {
        let bytes = self.0.to_bytes();
        limits::check(bytes.len(), limits::CONNECTION_INFORMATION)?;
        Ok(bytes)
    }
}
