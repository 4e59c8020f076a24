//! Messages that are to be sent, in order.
//!
//! A message enters with the key it will be sealed with. Sealing again gives the same bytes, so that a message whose
//! delivery is uncertain is repeated as it was, and the key never covers another plaintext.
//!
//! The header of a message is that of its chain, which the ratchet knows. Only when the ratchet turns, messages that wait
//! take their headers along: such a message takes 3 KB, one that waits in the chain we send with a tenth.

use std::collections::VecDeque;

use codec::{Malformed, Reader, Write};
use zeroize::Zeroizing;

use super::fault::{ConnectionError, LoadError};
use super::stored::{self, put_long, put_time, put_version, take_long, take_time};
use crate::envelope::AgentEnvelope;
use crate::message::MessageBody;
use crate::ratchet::{BareKey, Heading, MessageKey, Ratchet, RatchetError};
use crate::time::Time;

/// What a record takes beside a plaintext, unless it has its header with it.
const MOST_OF_A_RECORD: usize = 160;

#[derive(Default)]
pub(super) struct Outbox {
    messages: VecDeque<Outgoing>,
    /// Messages that have taken their headers along since that was asked last.
    completed: Vec<i64>,
}

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
        /// What it is sealed with.
        key: Box<SealingKey>,
        /// What the ratchet encrypts.
        plaintext: Zeroizing<Vec<u8>>,
        /// The size it is padded to.
        size: usize,
        /// Who wants to know of its fate.
        kind: Kind,
    },
}

pub(super) enum SealingKey {
    /// Of the chain that we send with.
    Bare(BareKey),
    /// Of a chain before.
    Whole(MessageKey),
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
    pub(super) fn put_envelope(
        &self,
        version: u16,
        ratchet: &Ratchet,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectionError> {
        match &self.content {
            Content::Confirmation(envelope) => out.put(envelope),
            Content::Message { key, plaintext, size, .. } => {
                AgentEnvelope::begin_message(version, out);
                match &**key {
                    SealingKey::Bare(key) => key.complete(ratchet.heading())?.seal_into(plaintext, *size, out)?,
                    SealingKey::Whole(key) => key.seal_into(plaintext, *size, out)?,
                }
            }
        }
        Ok(())
    }

    fn waits_in_chain(&self) -> bool {
        matches!(&self.content, Content::Message { key, .. } if matches!(**key, SealingKey::Bare(_)))
    }

    /// Takes the header along. True if it had none.
    fn complete(&mut self, heading: &Heading) -> Result<bool, RatchetError> {
        let Content::Message { key, .. } = &mut self.content else { return Ok(false) };
        let SealingKey::Bare(bare) = &**key else { return Ok(false) };
        **key = SealingKey::Whole(bare.complete(heading.clone())?);
        Ok(true)
    }

    pub(super) fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.length().saturating_add(MOST_OF_A_RECORD)));
        put_version(&mut out);
        put_time(&mut out, self.created);
        out.put_bool(self.notify);
        match &self.content {
            Content::Confirmation(envelope) => {
                out.put(b"C");
                put_long(&mut out, envelope);
            }
            Content::Message { key, plaintext, size, kind } => {
                let (letter, key) = key.to_stored();
                out.put(letter);
                put_long(&mut out, &key);
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
            Content::Message { plaintext, .. } => plaintext.len(),
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
    let letter = reader.u8()?;
    if letter == b'C' {
        return Ok(Content::Confirmation(take_long(reader)?));
    }
    let key = Zeroizing::new(take_long(reader)?);
    Ok(Content::Message {
        key: Box::new(SealingKey::from_stored(letter, &key)?),
        plaintext: Zeroizing::new(take_long(reader)?),
        size: usize::try_from(reader.u32()?).unwrap_or_default(),
        kind: Kind::take(reader)?,
    })
}

impl SealingKey {
    fn to_stored(&self) -> (&'static [u8; 1], Zeroizing<Vec<u8>>) {
        match self {
            SealingKey::Bare(key) => (b"B", key.to_stored()),
            SealingKey::Whole(key) => (b"M", key.to_stored()),
        }
    }

    fn from_stored(letter: u8, bytes: &[u8]) -> Result<Self, LoadError> {
        match letter {
            b'B' => Ok(SealingKey::Bare(BareKey::from_stored(bytes)?)),
            b'M' => Ok(SealingKey::Whole(MessageKey::from_stored(bytes)?)),
            _ => Err(Malformed::BadValue("kind of outgoing message").into()),
        }
    }
}

impl Outbox {
    pub(super) fn push(&mut self, message: Outgoing) {
        self.messages.push_back(message);
    }

    /// Whether messages need the heading of the chain that we send with.
    pub(super) fn waits_in_chain(&self) -> bool {
        self.messages.back().is_some_and(Outgoing::waits_in_chain)
    }

    /// The chain has ended: what waits takes its heading along.
    pub(super) fn end_chain(&mut self, heading: &Heading) -> Result<(), RatchetError> {
        for message in &mut self.messages {
            if message.complete(heading)? {
                self.completed.push(message.number);
            }
        }
        Ok(())
    }

    /// Messages that have changed since the last call.
    pub(super) fn take_completed(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.completed)
    }

    /// The message that is to be sent next.
    pub(super) fn first(&self) -> Option<&Outgoing> {
        self.messages.front()
    }

    /// The next message, if it has this number.
    pub(super) fn first_if(&self, number: i64) -> Option<&Outgoing> {
        self.first().filter(|message| message.number == number)
    }

    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        self.messages.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn get(&self, number: i64) -> Option<&Outgoing> {
        let index = self.messages.binary_search_by_key(&number, |message| message.number).ok()?;
        self.messages.get(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Outgoing> {
        self.messages.iter()
    }
}
