//! Key encapsulation with Streamlined NTRU Prime 761: the half of the double ratchet that quantum computers do not break.
//!
//! Who has a public key *encapsulates*: draws a shared secret and a ciphertext that only the secret key turns into the
//! same secret. A wrong or altered ciphertext is not refused; it gives another secret, and what was encrypted under
//! the right one does not decrypt.

use std::fmt;

use codec::text;

use crate::{Error, Random, Secret, random};

/// Length of a public key.
pub const PUBLIC_KEY: usize = sntrup761::PUBLIC_KEY_SIZE;
/// Length of a secret key.
pub const SECRET_KEY: usize = sntrup761::SECRET_KEY_SIZE;
/// Length of a ciphertext.
pub const CIPHERTEXT: usize = sntrup761::CIPHERTEXT_SIZE;
/// Length of a shared secret.
pub const SHARED_SECRET: usize = sntrup761::SHARED_SECRET_SIZE;

/// A key to encapsulate to.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublicKey(Box<[u8; PUBLIC_KEY]>);

/// A key that opens what was encapsulated to its public half.
#[derive(Clone, PartialEq, Eq)]
pub struct KemSecretKey(Box<Secret<SECRET_KEY>>);

/// What carries a shared secret to the owner of the secret key.
#[derive(Clone, PartialEq, Eq)]
pub struct KemCiphertext(Box<[u8; CIPHERTEXT]>);

/// What both sides know after an encapsulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KemSharedSecret(Secret<SHARED_SECRET>);

impl KemPublicKey {
    /// From its raw bytes; any bytes of the right length are a key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        boxed(bytes).map(KemPublicKey)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY] {
        &self.0
    }

    /// A fresh shared secret, and the ciphertext that carries it.
    pub fn encapsulate(&self, random: &mut dyn Random) -> (KemCiphertext, KemSharedSecret) {
        let seed = Secret::<32>::new(random::array(random));
        let key = sntrup761::EncapsulationKey::from(*self.0);
        let (ciphertext, secret) = key.encapsulate_deterministic(*seed.expose());
        (KemCiphertext(Box::new(to_array(ciphertext.as_ref()))), KemSharedSecret::from_sntrup(&secret))
    }
}

impl KemSecretKey {
    /// A fresh key.
    pub fn generate(random: &mut dyn Random) -> Self {
        let seed = Secret::<32>::new(random::array(random));
        let (_, key) = sntrup761::generate_key_from_seed(*seed.expose());
        KemSecretKey(Box::new(Secret::new(to_array(key.as_ref()))))
    }

    /// From its raw bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: [u8; SECRET_KEY] = bytes.try_into().map_err(|_| Error::BadKey)?;
        Ok(KemSecretKey(Box::new(Secret::new(bytes))))
    }

    /// The raw bytes, for storing.
    pub fn expose(&self) -> &[u8; SECRET_KEY] {
        self.0.expose()
    }

    /// Its public half, which a secret key holds whole.
    pub fn public(&self) -> KemPublicKey {
        let public = sntrup761::EncapsulationKey::from(&self.key());
        KemPublicKey(Box::new(to_array(public.as_ref())))
    }

    /// The shared secret in a ciphertext; from a wrong ciphertext a secret that nobody else knows.
    pub fn decapsulate(&self, ciphertext: &KemCiphertext) -> KemSharedSecret {
        let ciphertext = sntrup761::Ciphertext::from(*ciphertext.0);
        KemSharedSecret::from_sntrup(&self.key().decapsulate(&ciphertext))
    }

    fn key(&self) -> sntrup761::DecapsulationKey {
        sntrup761::DecapsulationKey::from(*self.0.expose())
    }
}

impl KemCiphertext {
    /// From its raw bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        boxed(bytes).map(KemCiphertext)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; CIPHERTEXT] {
        &self.0
    }
}

impl KemSharedSecret {
    /// From its raw bytes.
    pub fn from_bytes(bytes: [u8; SHARED_SECRET]) -> Self {
        KemSharedSecret(Secret::new(bytes))
    }

    /// The raw bytes, for deriving keys.
    pub fn expose(&self) -> &[u8; SHARED_SECRET] {
        self.0.expose()
    }

    fn from_sntrup(secret: &sntrup761::SharedSecret) -> Self {
        KemSharedSecret(Secret::new(to_array(secret.as_ref())))
    }
}

impl fmt::Debug for KemPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemPublicKey({}…)", start(&*self.0))
    }
}

impl fmt::Debug for KemSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemSecretKey(…)")
    }
}

impl fmt::Debug for KemCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemCiphertext({}…)", start(&*self.0))
    }
}

/// Enough of a long value to tell it from others.
fn start(bytes: &[u8]) -> String {
    bytes.first_chunk::<12>().map(|start| text::base64url(start)).unwrap_or_default()
}

fn boxed<const N: usize>(bytes: &[u8]) -> Result<Box<[u8; N]>, Error> {
    bytes.try_into().map(Box::new).map_err(|_| Error::BadKey)
}

#[allow(clippy::expect_used, reason = "the library's values have the lengths of its constants")]
fn to_array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("lengths are constants")
}
