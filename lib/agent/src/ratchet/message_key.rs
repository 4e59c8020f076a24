//! Keys of messages to send.
//!
//! A message may wait long for its server, and waits in storage. All headers of a chain say the same but for their
//! number, and most of what they say is long; so a message waits with a [`BareKey`], and its header is encrypted when it
//! is sent. When the ratchet turns, who keeps such keys completes them with the [`Heading`] of the chain that ended.

use std::fmt;

use crypto::aead;
use crypto::dh::X448PublicKey;

use super::chain::BodyKey;
use super::derive::Key;
use super::header::{self, Header};
use super::{ASSOCIATED, RatchetError};
use crate::ratchet_keys::KemOffer;

/// What padding adds to a plaintext at least.
const PAD_LENGTH: usize = 2;

/// The key of one message to send, its header already encrypted. Sealing uses it up.
///
/// It can be stored in place of the ciphertext, together with the plaintext it is for and never for another.
pub struct MessageKey {
    pub(super) version: u16,
    pub(super) body: BodyKey,
    pub(super) associated: [u8; ASSOCIATED],
    pub(super) header: Vec<u8>,
}

/// The key of one message of the chain we send with, and what its header says beside the [`Heading`]. Like a
/// [`MessageKey`], it is for one plaintext.
pub(crate) struct BareKey {
    pub(super) version: u16,
    pub(super) body: BodyKey,
    pub(super) max: u16,
    pub(super) large: bool,
    pub(super) number: u32,
    pub(super) header_iv: [u8; 16],
}

/// What the headers of one chain have in common.
#[derive(Clone)]
pub(crate) struct Heading {
    pub(super) associated: [u8; ASSOCIATED],
    pub(super) header_key: Key,
    pub(super) public: X448PublicKey,
    pub(super) kem: Option<KemOffer>,
    pub(super) previous: u32,
}

impl BareKey {
    /// The key with its header. Every call gives the same.
    pub(crate) fn complete(&self, heading: Heading) -> Result<MessageKey, RatchetError> {
        let Heading { associated, header_key, public, kem, previous } = heading;
        let header = Header { max: self.max, key: public, kem, previous, number: self.number };
        let header = header.seal(self.version, self.large, &header_key, &self.header_iv, &associated)?;
        Ok(MessageKey { version: self.version, body: self.body.clone(), associated, header })
    }
}

impl MessageKey {
    /// The message: its header and the plaintext padded to `size` bytes.
    pub fn seal(self, plaintext: &[u8], size: usize) -> Result<Vec<u8>, RatchetError> {
        let mut out = Vec::with_capacity(self.message_length(size));
        self.seal_into(plaintext, size, &mut out)?;
        Ok(out)
    }

    /// Appends the message to `out`.
    pub(crate) fn seal_into(&self, plaintext: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), RatchetError> {
        check_size(plaintext, size)?;
        let associated = [self.associated.as_slice(), &self.header].concat();
        header::put_length(out, self.version, &self.header);
        let (key, iv) = (self.body.key.expose(), &self.body.iv);
        aead::seal_padded_into(key, iv, &associated, plaintext, size, out).map_err(|_| RatchetError::Library)
    }

    /// How long the message will be.
    fn message_length(&self, size: usize) -> usize {
        size.saturating_add(self.header.len()).saturating_add(2 + aead::TAG)
    }
}

pub(super) fn check_size(plaintext: &[u8], size: usize) -> Result<(), RatchetError> {
    let length = plaintext.len();
    if length > crypto::pad::MAX_MESSAGE || length.saturating_add(PAD_LENGTH) > size {
        return Err(RatchetError::TooLarge { length, size });
    }
    Ok(())
}

impl fmt::Debug for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageKey(…)")
    }
}

impl fmt::Debug for BareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BareKey(…)")
    }
}
