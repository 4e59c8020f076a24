//! The bytes of an encrypted message: a header under a key of its own, then the body.
//!
//! ```text
//! message   = length header · tag · body
//! header    = version · IV · tag · length encrypted
//! encrypted = padded: highest version · our key · encapsulation · length of the last chain · number
//! ```
//!
//! From version 3 lengths take two bytes. Both forms are read at any version, because a peer may change version in the
//! middle of a connection: a first byte below 32 begins a length of two bytes, since no header is so short or so long.

use codec::{Malformed, Reader, Write};
use crypto::aead;
use crypto::dh::X448PublicKey;

use super::RatchetError;
use super::derive::Key;
use crate::ratchet_keys::{KemOffer, KemPart, agreement_key};
use crate::version::RATCHET_KEM;

const PLAIN_SIZE: usize = 88;
const KEM_SIZE: usize = 2_310;
const FIRST_SHORT_LENGTH: u8 = 32;

/// What a header says.
pub(super) struct Header {
    /// The highest version that the sender speaks.
    pub(super) max: u16,
    pub(super) key: X448PublicKey,
    pub(super) kem: Option<KemOffer>,
    /// How many messages the sender's last chain had.
    pub(super) previous: u32,
    pub(super) number: u32,
}

impl Header {
    fn encode(&self, version: u16) -> Vec<u8> {
        let mut out = Vec::with_capacity(KEM_SIZE);
        out.put_u16(self.max);
        out.put_short(&self.key.to_der());
        if version >= RATCHET_KEM {
            out.put_maybe(self.kem.as_ref(), |out, kem| kem.put(out));
        }
        out.put_u32(self.previous);
        out.put_u32(self.number);
        out
    }

    /// What follows the number is room for later versions.
    fn parse(version: u16, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        Ok(Header {
            max: reader.u16()?,
            key: agreement_key(reader.short()?)?,
            kem: if version >= RATCHET_KEM { reader.maybe(KemOffer::take)? } else { None },
            previous: reader.u32()?,
            number: reader.u32()?,
        })
    }

    /// The encrypted header.
    pub(super) fn seal(
        &self,
        version: u16,
        large: bool,
        key: &Key,
        iv: &[u8; 16],
        associated: &[u8],
    ) -> Result<Vec<u8>, RatchetError> {
        let size = if large && version >= RATCHET_KEM { KEM_SIZE } else { PLAIN_SIZE };
        let sealed = aead::seal_padded(key.expose(), iv, associated, &self.encode(version), size);
        let sealed = sealed.map_err(|_| RatchetError::Library)?;
        let mut out = Vec::with_capacity(size.saturating_add(64));
        out.put_u16(version);
        out.put(iv);
        out.put(&sealed.tag);
        put_length(&mut out, version, &sealed.ciphertext);
        Ok(out)
    }
}

/// A header and a body that are still encrypted.
pub(super) struct EncryptedMessage<'a> {
    version: u16,
    iv: [u8; 16],
    header_tag: [u8; aead::TAG],
    header: &'a [u8],
    /// The header as it is bound to the body.
    pub(super) whole_header: &'a [u8],
    pub(super) body_tag: [u8; aead::TAG],
    pub(super) body: &'a [u8],
}

impl<'a> EncryptedMessage<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(message);
        let whole_header = take_length(&mut reader)?;
        let body_tag = reader.array()?;
        let body = reader.tail();
        let mut reader = Reader::new(whole_header);
        let (version, iv, header_tag) = (reader.u16()?, reader.array()?, reader.array()?);
        let header = take_length(&mut reader)?;
        reader.finish()?;
        Ok(EncryptedMessage { version, iv, header_tag, header, whole_header, body_tag, body })
    }

    /// The header, if this is its key. A key that fits promises nothing about what is inside.
    pub(super) fn open_header(&self, key: &Key, associated: &[u8]) -> Option<Result<Header, Malformed>> {
        match aead::open_padded(key.expose(), &self.iv, associated, self.header, &self.header_tag) {
            Ok(plain) => Some(Header::parse(self.version, &plain)),
            Err(crypto::Error::Unpad) => Some(Err(Malformed::BadValue("padding of header"))),
            Err(_) => None,
        }
    }
}

/// A length and the bytes, in the form of a version.
pub(super) fn put_length(out: &mut Vec<u8>, version: u16, bytes: &[u8]) {
    if version >= RATCHET_KEM { out.put_large(bytes) } else { out.put_short(bytes) }
}

fn take_length<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    match reader.peek() {
        Some(first) if first >= FIRST_SHORT_LENGTH => reader.short(),
        _ => reader.large(),
    }
}
