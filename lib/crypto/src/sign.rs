//! Ed25519 and Ed448 signatures. The length of a signature tells its algorithm.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use openssl::pkey::{Id, PKey};
use openssl::sign::{Signer, Verifier};
use zeroize::Zeroizing;

use crate::{Error, Random, Secret, pkcs8, random, spki};

/// Length of an Ed25519 signature.
pub const ED25519_SIGNATURE: usize = 64;
/// Length of an Ed448 signature.
pub const ED448_SIGNATURE: usize = 114;

/// An Ed25519 private key. What it signs with is derived when it is first needed, which costs as much as a signature: keys
/// are read from disk far more often than they are used.
#[derive(Clone)]
pub struct Ed25519PrivateKey {
    seed: Secret<32>,
    signing: OnceLock<Arc<SigningKey>>,
}

/// An Ed25519 public key, as received: it may be an invalid point, which then verifies nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ed25519PublicKey([u8; 32]);

impl Ed25519PrivateKey {
    /// A fresh key.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self::from_seed(random::array(random))
    }

    /// From its 32-byte seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Ed25519PrivateKey { seed: Secret::new(seed), signing: OnceLock::new() }
    }

    /// The seed, for storing.
    pub fn seed(&self) -> Secret<32> {
        self.seed.clone()
    }

    fn signing(&self) -> &SigningKey {
        self.signing.get_or_init(|| Arc::new(SigningKey::from_bytes(self.seed.expose())))
    }

    /// The same key without what was derived from it, to be kept for long.
    pub fn compact(&self) -> Self {
        Self::from_seed(*self.seed.expose())
    }

    /// From its DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        pkcs8::raw(&pkcs8::ED25519, der).map(Self::from_seed)
    }

    /// The DER form.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        pkcs8::der(&pkcs8::ED25519, self.seed.expose())
    }

    /// Its public half.
    pub fn public(&self) -> Ed25519PublicKey {
        Ed25519PublicKey(self.signing().verifying_key().to_bytes())
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; ED25519_SIGNATURE] {
        self.signing().sign(message).to_bytes()
    }
}

impl fmt::Debug for Ed25519PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519PrivateKey(…)")
    }
}

impl Ed25519PublicKey {
    /// From its 32 raw bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Ed25519PublicKey(bytes)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From its DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        spki::raw(&spki::ED25519, der).map(Ed25519PublicKey)
    }

    /// The DER form.
    pub fn to_der(&self) -> Vec<u8> {
        spki::der(&spki::ED25519, &self.0)
    }

    /// Checks a signature, which may have any length.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        use ed25519_dalek::Verifier as _;
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| Error::BadSignature)?;
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| Error::BadSignature)?;
        key.verify(message, &signature).map_err(|_| Error::BadSignature)
    }
}

impl fmt::Debug for Ed25519PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed25519PublicKey({})", codec::text::base64url(&self.0))
    }
}

/// An Ed448 private key.
#[derive(Debug, Clone)]
pub struct Ed448PrivateKey(Secret<57>);

/// An Ed448 public key, as received.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ed448PublicKey([u8; 57]);

impl Ed448PrivateKey {
    /// A fresh key.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self::from_seed(random::array(random))
    }

    /// From its 57-byte seed.
    pub fn from_seed(seed: [u8; 57]) -> Self {
        Ed448PrivateKey(Secret::new(seed))
    }

    /// The seed, for storing.
    pub fn seed(&self) -> Secret<57> {
        self.0.clone()
    }

    /// From its DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        pkcs8::raw(&pkcs8::ED448, der).map(Self::from_seed)
    }

    /// The DER form.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        pkcs8::der(&pkcs8::ED448, self.0.expose())
    }

    /// Its public half.
    pub fn public(&self) -> Result<Ed448PublicKey, Error> {
        let key = PKey::private_key_from_raw_bytes(self.0.expose(), Id::ED448).map_err(|_| Error::Library)?;
        let raw = key.raw_public_key().map_err(|_| Error::Library)?;
        raw.try_into().map(Ed448PublicKey).map_err(|_| Error::Library)
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; ED448_SIGNATURE], Error> {
        let key = PKey::private_key_from_raw_bytes(self.0.expose(), Id::ED448).map_err(|_| Error::Library)?;
        let mut signer = Signer::new_without_digest(&key).map_err(|_| Error::Library)?;
        let signature = signer.sign_oneshot_to_vec(message).map_err(|_| Error::Library)?;
        signature.try_into().map_err(|_| Error::Library)
    }
}

impl Ed448PublicKey {
    /// From its 57 raw bytes.
    pub fn from_bytes(bytes: [u8; 57]) -> Self {
        Ed448PublicKey(bytes)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 57] {
        &self.0
    }

    /// From its DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        spki::raw(&spki::ED448, der).map(Ed448PublicKey)
    }

    /// The DER form.
    pub fn to_der(&self) -> Vec<u8> {
        spki::der(&spki::ED448, &self.0)
    }

    /// Checks a signature, which may have any length.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let key = PKey::public_key_from_raw_bytes(&self.0, Id::ED448).map_err(|_| Error::BadSignature)?;
        let mut verifier = Verifier::new_without_digest(&key).map_err(|_| Error::BadSignature)?;
        match verifier.verify_oneshot(signature, message) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Error::BadSignature),
        }
    }
}

impl fmt::Debug for Ed448PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ed448PublicKey({})", codec::text::base64url(&self.0))
    }
}

/// A private key that signs certificates and session keys.
#[derive(Debug, Clone)]
pub enum SigningPrivateKey {
    /// Ed25519.
    Ed25519(Ed25519PrivateKey),
    /// Ed448.
    Ed448(Ed448PrivateKey),
}

/// A public key found in a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningPublicKey {
    /// Ed25519.
    Ed25519(Ed25519PublicKey),
    /// Ed448.
    Ed448(Ed448PublicKey),
}

impl SigningPrivateKey {
    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Ed25519(key) => Ok(key.sign(message).to_vec()),
            Self::Ed448(key) => key.sign(message).map(|signature| signature.to_vec()),
        }
    }

    /// Its public half.
    pub fn public(&self) -> Result<SigningPublicKey, Error> {
        match self {
            Self::Ed25519(key) => Ok(SigningPublicKey::Ed25519(key.public())),
            Self::Ed448(key) => key.public().map(SigningPublicKey::Ed448),
        }
    }
}

impl SigningPublicKey {
    /// From its DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Ed25519PublicKey::from_der(der).map(Self::Ed25519).or_else(|_| Ed448PublicKey::from_der(der).map(Self::Ed448))
    }

    /// Checks a signature, which may have any length.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        match self {
            Self::Ed25519(key) => key.verify(message, signature),
            Self::Ed448(key) => key.verify(message, signature),
        }
    }
}
