//! The layer between sender and recipient: the body of `SEND`, encrypted end to end per queue and opaque to servers.

use codec::{Decode, Encode, Malformed, Reader, Write};
use crypto::authorize::AuthPublicKey;
use crypto::boxes::{BoxKey, Nonce};
use crypto::dh::X25519PublicKey;

use crate::command::{auth_key, dh_key};
use crate::delivery::OpenError;

/// Padded size of a confirmation or invitation, whose header carries a key.
pub const PADDED_CONFIRMATION: usize = 15_904;
/// Padded size of any other message.
pub const PADDED_MESSAGE: usize = 16_000;

/// What an envelope adds to its padded message at most: version, key, nonce and tag.
const MAX_OVERHEAD: usize = 2 + 1 + 1 + 44 + 24 + 16;

/// The part of an envelope that is not encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicHeader {
    /// SMP client version.
    pub version: u16,
    /// The sender's key for this queue, in its first message.
    pub sender_key: Option<X25519PublicKey>,
}

/// What the recipient of a confirmation needs before it can secure the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrivateHeader {
    /// Nothing: the sender secured the queue, or this is a later message.
    Empty,
    /// The key that the recipient should secure the queue with.
    SenderKey(AuthPublicKey),
}

/// A message as the recipient reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientMessage {
    /// For securing the queue.
    pub header: PrivateHeader,
    /// Belongs to the agent.
    pub content: Vec<u8>,
}

/// An envelope as received; its content is not decrypted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Not encrypted.
    pub header: PublicHeader,
    /// Of the box.
    pub nonce: Nonce,
    /// The encrypted message.
    pub sealed: Vec<u8>,
}

impl Encode for PublicHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.version);
        out.put_maybe(self.sender_key.as_ref(), |out, key| out.put_short(&key.to_der()));
    }
}

impl Decode for PublicHeader {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(PublicHeader { version: reader.u16()?, sender_key: reader.maybe(dh_key)? })
    }
}

impl Encode for PrivateHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            PrivateHeader::Empty => out.put(b"_"),
            PrivateHeader::SenderKey(key) => {
                out.put(b"K");
                out.put_short(&key.to_der());
            }
        }
    }
}

impl Encode for ClientMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        out.put(&self.content);
    }
}

impl Decode for ClientMessage {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let header = match reader.u8()? {
            b'_' => PrivateHeader::Empty,
            b'K' => PrivateHeader::SenderKey(auth_key(reader)?),
            other => return Err(Malformed::BadFlag(other)),
        };
        Ok(ClientMessage { header, content: reader.tail().to_vec() })
    }
}

impl Encode for Envelope {
    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        out.put(&self.nonce.0);
        out.put(&self.sealed);
    }
}

impl Decode for Envelope {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Envelope {
            header: PublicHeader::decode(reader)?,
            nonce: Nonce(reader.array()?),
            sealed: reader.tail().to_vec(),
        })
    }
}

impl Envelope {
    /// Encrypts `message`; the size tells whether it is a confirmation.
    pub fn seal(
        header: PublicHeader,
        key: &BoxKey,
        nonce: Nonce,
        message: &ClientMessage,
    ) -> Result<Self, crypto::Error> {
        let sealed = key.seal_padded(nonce, &message.to_bytes(), padded_size(&header))?;
        Ok(Envelope { header, nonce, sealed })
    }

    /// The encoded envelope around the message that `put` appends, made without another copy of it.
    pub fn seal_with(
        header: &PublicHeader,
        key: &BoxKey,
        nonce: Nonce,
        private: &PrivateHeader,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>, crypto::Error> {
        let size = padded_size(header);
        let mut out = Vec::with_capacity(size.saturating_add(MAX_OVERHEAD));
        header.encode(&mut out);
        out.put(&nonce.0);
        key.seal_padded_with(nonce, size, &mut out, |out| {
            private.encode(out);
            put(out);
        })?;
        Ok(out)
    }

    /// Decrypts the message.
    pub fn open(&self, key: &BoxKey) -> Result<ClientMessage, OpenError> {
        let plain = key.open_padded(self.nonce, &self.sealed)?;
        Ok(ClientMessage::decode_all(&plain)?)
    }
}

fn padded_size(header: &PublicHeader) -> usize {
    if header.sender_key.is_some() { PADDED_CONFIRMATION } else { PADDED_MESSAGE }
}
