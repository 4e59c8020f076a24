//! One record of link data on its way to and from a server: signed, padded to a fixed size, and in a box.
//!
//! ```text
//! record → signature ‖ record → padded → nonce ‖ box
//! ```
//!
//! The sizes are fixed, so a server does not learn how much a link says.

use codec::{Malformed, Reader, Write};
use crypto::sign::{ED25519_SIGNATURE, Ed25519PrivateKey, Ed25519PublicKey};
use crypto::{BoxKey, Nonce};

/// Length of a signature with its length byte.
const SIGNATURE_FIELD: usize = 1 + ED25519_SIGNATURE;
/// Length of the padding's own length.
const PAD_LENGTH: usize = 2;

/// Which record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Fixed data: 2048 bytes encrypted.
    Fixed,
    /// User data: 13824 bytes encrypted.
    User,
}

impl Item {
    const fn padded(self) -> usize {
        match self {
            Item::Fixed => 2008,
            Item::User => 13_784,
        }
    }

    /// The longest record that fits.
    pub const fn capacity(self) -> usize {
        self.padded() - PAD_LENGTH - SIGNATURE_FIELD
    }
}

/// A record is too long for its fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("link data is {excess} bytes too long")]
pub struct TooLarge {
    /// By how much it must shrink.
    pub excess: usize,
}

/// Why an encrypted record cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Wrong key or altered bytes.
    #[error("link data does not decrypt")]
    Decrypt,
    /// The bytes are not an encrypted record, or what was encrypted is not a signed one.
    #[error("malformed link data: {0}")]
    Malformed(#[from] Malformed),
}

/// A record and the signature that came with it, or that we made. Holding one proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedItem {
    signature: [u8; ED25519_SIGNATURE],
    body: Vec<u8>,
}

impl SignedItem {
    /// Signs a record.
    pub fn sign(body: Vec<u8>, key: &Ed25519PrivateKey) -> Self {
        SignedItem { signature: key.sign(&body), body }
    }

    /// Splits signature and record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let signature = reader.short()?.try_into().map_err(|_| Malformed::BadValue("length of signature"))?;
        Ok(SignedItem { signature, body: reader.tail().to_vec() })
    }

    /// Signature, then record.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len().saturating_add(SIGNATURE_FIELD));
        out.put_short(&self.signature);
        out.put(&self.body);
        out
    }

    /// The record.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether the holder of `key` signed the record.
    pub fn signed_by(&self, key: &Ed25519PublicKey) -> bool {
        key.verify(&self.body, &self.signature).is_ok()
    }

    /// Encrypts the record as `item`. The nonce must be fresh.
    pub fn encrypt(&self, item: Item, key: &BoxKey, nonce: Nonce) -> Result<Vec<u8>, TooLarge> {
        let mut out = nonce.0.to_vec();
        let excess = self.body.len().saturating_sub(item.capacity());
        key.seal_padded_into(nonce, &self.to_bytes(), item.padded(), &mut out).map_err(|_| TooLarge { excess })?;
        Ok(out)
    }

    /// Decrypts a record.
    pub fn decrypt(encrypted: &[u8], key: &BoxKey) -> Result<Self, OpenError> {
        let mut reader = Reader::new(encrypted);
        let nonce = Nonce(reader.array()?);
        let plain = key.open_padded(nonce, reader.tail()).map_err(|_| OpenError::Decrypt)?;
        Ok(SignedItem::from_bytes(&plain)?)
    }
}
