//! The layer between server and recipient: what a `MSG` body and a notification carry, encrypted per queue.
//!
//! The same message always has the same ciphertext: its ID is the nonce.

use codec::{Decode as _, Encode, Malformed, Reader, Write};
use crypto::boxes::{BoxKey, Nonce};

use crate::command::MessageFlags;
use crate::id::MessageId;

/// Padded size of a message body before encryption.
pub const PADDED_BODY: usize = 16_106;
/// Padded size of notification metadata before encryption.
pub const PADDED_METADATA: usize = 128;

/// What a recipient finds in a `MSG`. The server only borrows the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered<Body = Vec<u8>> {
    /// A message of the sender.
    Message {
        /// When the server accepted it, in Unix seconds.
        sent_at: i64,
        /// As sent.
        flags: MessageFlags,
        /// The `SEND` body.
        body: Body,
    },
    /// The sender met the quota.
    Quota {
        /// When, in Unix seconds.
        met_at: i64,
    },
}

impl<Body: AsRef<[u8]>> Encode for Delivered<Body> {
    /// Appends the plaintext.
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Message { sent_at, flags, body } => {
                out.put_i64(*sent_at);
                out.put_bool(flags.notify);
                out.put(b" ");
                out.put(body.as_ref());
            }
            Self::Quota { met_at } => {
                out.put(b"QUOTA ");
                out.put_i64(*met_at);
            }
        }
    }
}

impl<Body: AsRef<[u8]>> Delivered<Body> {
    /// The body of `MSG`.
    pub fn seal(&self, key: &BoxKey, id: &MessageId) -> Result<Vec<u8>, crypto::Error> {
        let mut sealed = Vec::new();
        key.seal_padded_with(Nonce::from_id(id.as_bytes()), PADDED_BODY, &mut sealed, |out| self.encode(out))?;
        Ok(sealed)
    }
}

impl Delivered {
    /// Reads the plaintext. A time starts with a zero byte, so `QUOTA` cannot be mistaken for one.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.literal(b"QUOTA ") {
            let met_at = reader.i64()?;
            reader.finish()?;
            return Ok(Self::Quota { met_at });
        }
        let sent_at = reader.i64()?;
        let flags = MessageFlags::decode(&mut reader)?;
        Ok(Self::Message { sent_at, flags, body: reader.tail().to_vec() })
    }

    /// Opens the body of `MSG`.
    pub fn open(key: &BoxKey, id: &MessageId, sealed: &[u8]) -> Result<Self, OpenError> {
        Ok(Self::parse(&key.open_padded(Nonce::from_id(id.as_bytes()), sealed)?)?)
    }
}

/// What a notification tells the recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationMetadata {
    /// Of the message that arrived.
    pub message_id: MessageId,
    /// When the server accepted it, in Unix seconds.
    pub sent_at: i64,
}

impl NotificationMetadata {
    /// The plaintext.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.message_id.encode(&mut out);
        out.put_i64(self.sent_at);
        out
    }

    /// Reads the plaintext; bytes after the fields are left to later versions.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        Ok(NotificationMetadata { message_id: MessageId::decode(&mut reader)?, sent_at: reader.i64()? })
    }

    /// The metadata of `NMSG`.
    pub fn seal(&self, key: &BoxKey, nonce: Nonce) -> Result<Vec<u8>, crypto::Error> {
        key.seal_padded(nonce, &self.to_bytes(), PADDED_METADATA)
    }

    /// Opens the metadata of `NMSG`.
    pub fn open(key: &BoxKey, nonce: Nonce, sealed: &[u8]) -> Result<Self, OpenError> {
        Ok(Self::parse(&key.open_padded(nonce, sealed)?)?)
    }
}

/// Why something sealed by the server or a sender cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It does not decrypt.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// It decrypts, but to something else.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}
