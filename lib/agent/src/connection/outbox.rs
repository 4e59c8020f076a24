//! Messages that are to be sent, in order.
//!
//! A message enters with the key it will be sealed with. Sealing again gives the same bytes, so that a message whose
//! delivery is uncertain is repeated as it was, and the key never covers another plaintext.

use std::collections::VecDeque;

use codec::{Malformed, Reader, Write};
use zeroize::Zeroizing;

use super::fault::{ConnectionError, LoadError};
use super::stored::{self, put_long, put_time, put_version, take_long, take_time};
use crate::envelope::AgentEnvelope;
use crate::message::MessageBody;
use crate::ratchet::MessageKey;
use crate::time::Time;

#[derive(Default)]
pub(super) struct Outbox(VecDeque<Outgoing>);

/// A message to send.
pub(super) struct Outgoing {
    pub(super) number: i64,
    pub(super) created: Time,
    pub(super) notify: bool,
    pub(super) content: Content,
}

pub(super) enum Content {
    /// A whole envelope.
    Confirmation(Vec<u8>),
    /// What is sealed when it is sent.
    Message {
        /// Stored form of the key.
        key: Zeroizing<Vec<u8>>,
        /// What the ratchet encrypts.
        plaintext: Zeroizing<Vec<u8>>,
        /// The size it is padded to.
        size: usize,
        /// Who wants to know of its fate.
        kind: Kind,
    },
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The application's.
    Application,
    /// Our hello of the slow handshake.
    Hello,
    /// The protocol's.
    Other,
}

impl Kind {
    pub(super) fn of(body: &MessageBody) -> Self {
        match body {
            MessageBody::Application(_) => Kind::Application,
            MessageBody::Hello => Kind::Hello,
            _ => Kind::Other,
        }
    }

    fn letter(self) -> &'static [u8; 1] {
        match self {
            Kind::Application => b"A",
            Kind::Hello => b"H",
            Kind::Other => b"O",
        }
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            b'A' => Ok(Kind::Application),
            b'H' => Ok(Kind::Hello),
            b'O' => Ok(Kind::Other),
            _ => Err(Malformed::BadValue("kind of outgoing message")),
        }
    }
}

impl Outgoing {
    pub(super) fn is_confirmation(&self) -> bool {
        matches!(self.content, Content::Confirmation(_))
    }

    pub(super) fn kind(&self) -> Kind {
        match self.content {
            Content::Message { kind, .. } => kind,
            Content::Confirmation(_) => Kind::Other,
        }
    }

    /// Appends the envelope to `out`; `version` is the highest agent version that we speak.
    pub(super) fn put_envelope(&self, version: u16, out: &mut Vec<u8>) -> Result<(), ConnectionError> {
        match &self.content {
            Content::Confirmation(envelope) => out.put(envelope),
            Content::Message { key, plaintext, size, .. } => {
                let key = MessageKey::from_stored(key).map_err(|_| ConnectionError::Library)?;
                AgentEnvelope::begin_message(version, out);
                key.seal_into(plaintext, *size, out)?;
            }
        }
        Ok(())
    }

    pub(super) fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.length().saturating_add(64)));
        put_version(&mut out);
        put_time(&mut out, self.created);
        out.put_bool(self.notify);
        match &self.content {
            Content::Confirmation(envelope) => {
                out.put(b"C");
                put_long(&mut out, envelope);
            }
            Content::Message { key, plaintext, size, kind } => {
                out.put(b"M");
                put_long(&mut out, key);
                put_long(&mut out, plaintext);
                out.put_u32(u32::try_from(*size).unwrap_or(u32::MAX));
                out.put(kind.letter());
            }
        }
        out
    }

    fn length(&self) -> usize {
        match &self.content {
            Content::Confirmation(envelope) => envelope.len(),
            Content::Message { key, plaintext, .. } => key.len().saturating_add(plaintext.len()),
        }
    }

    pub(super) fn from_stored(number: i64, bytes: &[u8]) -> Result<Self, LoadError> {
        stored::open(bytes, |reader| {
            let (created, notify) = (take_time(reader)?, reader.bool()?);
            Ok(Outgoing { number, created, notify, content: take_content(reader)? })
        })
    }
}

fn take_content(reader: &mut Reader<'_>) -> Result<Content, LoadError> {
    match reader.u8()? {
        b'C' => Ok(Content::Confirmation(take_long(reader)?)),
        b'M' => Ok(Content::Message {
            key: Zeroizing::new(take_long(reader)?),
            plaintext: Zeroizing::new(take_long(reader)?),
            size: usize::try_from(reader.u32()?).unwrap_or_default(),
            kind: Kind::take(reader)?,
        }),
        _ => Err(Malformed::BadValue("kind of outgoing message").into()),
    }
}

impl Outbox {
    pub(super) fn push(&mut self, message: Outgoing) {
        self.0.push_back(message);
    }

    /// The message that is to be sent next.
    pub(super) fn first(&self) -> Option<&Outgoing> {
        self.0.front()
    }

    /// The next message, if it has this number.
    pub(super) fn first_if(&self, number: i64) -> Option<&Outgoing> {
        self.first().filter(|message| message.number == number)
    }

    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        self.0.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, number: i64) -> Option<&Outgoing> {
        let index = self.0.binary_search_by_key(&number, |message| message.number).ok()?;
        self.0.get(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Outgoing> {
        self.0.iter()
    }
}
