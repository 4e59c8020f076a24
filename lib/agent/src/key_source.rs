//! Where the fresh keys of agreements and ratchets come from.
//!
//! Any [`Random`] is such a source. The trait exists because encapsulation cannot be replayed from its result: who
//! checks a recorded run, or keeps keys in other hardware, brings a source of their own.

use crypto::dh::{X448PrivateKey, X448PublicKey};
use crypto::kem::{KemCiphertext, KemPublicKey, KemSecretKey, KemSharedSecret};
use crypto::{Error, Random};

/// Draws what no two calls may share.
pub trait KeySource {
    /// A key for agreement.
    fn agreement_key(&mut self) -> X448PrivateKey;
    /// A key that others encapsulate to.
    fn kem_key(&mut self) -> KemSecretKey;
    /// A secret for the owner of a key.
    fn encapsulate(&mut self, to: &KemPublicKey) -> (KemCiphertext, KemSharedSecret);
}

impl<R: Random> KeySource for R {
    fn agreement_key(&mut self) -> X448PrivateKey {
        X448PrivateKey::generate(self)
    }

    fn kem_key(&mut self) -> KemSecretKey {
        KemSecretKey::generate(self)
    }

    fn encapsulate(&mut self, to: &KemPublicKey) -> (KemCiphertext, KemSharedSecret) {
        to.encapsulate(self)
    }
}

/// A key for agreement with its public half, which is slow to compute and needed in every header.
#[derive(Debug, Clone)]
pub(crate) struct KeyPair {
    pub(crate) private: X448PrivateKey,
    pub(crate) public: X448PublicKey,
}

impl KeyPair {
    pub(crate) fn new(private: X448PrivateKey) -> Result<Self, Error> {
        let public = private.public()?;
        Ok(KeyPair { private, public })
    }
}
