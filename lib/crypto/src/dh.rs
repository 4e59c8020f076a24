//! Diffie-Hellman agreement: X25519 for queues and sessions, X448 for the double ratchet.

use std::fmt;

use openssl::derive::Deriver;
use openssl::pkey::{Id, PKey};
use zeroize::Zeroizing;

use crate::{Error, Random, Secret, pkcs8, random, spki};

/// The raw output of an X25519 agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSecret(Secret<32>);

impl SharedSecret {
    /// From stored bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        SharedSecret(Secret::new(bytes))
    }

    /// The bytes, for deriving keys or storing them.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// An X25519 private key.
#[derive(Clone)]
pub struct X25519PrivateKey(x25519_dalek::StaticSecret);

/// An X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct X25519PublicKey([u8; 32]);

impl X25519PrivateKey {
    /// A fresh key.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self::from_bytes(random::array(random))
    }

    /// From its 32 raw bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        X25519PrivateKey(bytes.into())
    }

    /// The raw bytes, for storing.
    pub fn to_bytes(&self) -> Secret<32> {
        Secret::new(self.0.to_bytes())
    }

    /// From its DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        pkcs8::raw(&pkcs8::X25519, der).map(Self::from_bytes)
    }

    /// The DER form.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        pkcs8::der(&pkcs8::X25519, self.0.as_bytes())
    }

    /// Its public half.
    pub fn public(&self) -> X25519PublicKey {
        X25519PublicKey(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }

    /// Agrees with a peer's key.
    pub fn agree(&self, peer: &X25519PublicKey) -> SharedSecret {
        SharedSecret(Secret::new(self.0.diffie_hellman(&peer.0.into()).to_bytes()))
    }
}

impl fmt::Debug for X25519PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X25519PrivateKey(…)")
    }
}

impl X25519PublicKey {
    /// From its 32 raw bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        X25519PublicKey(bytes)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From its DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        spki::raw(&spki::X25519, der).map(X25519PublicKey)
    }

    /// The DER form.
    pub fn to_der(&self) -> Vec<u8> {
        spki::der(&spki::X25519, &self.0)
    }
}

impl fmt::Debug for X25519PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "X25519PublicKey({})", codec::text::base64url(&self.0))
    }
}

/// An X448 private key.
#[derive(Debug, Clone)]
pub struct X448PrivateKey(Secret<56>);

/// An X448 public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct X448PublicKey([u8; 56]);

impl X448PrivateKey {
    /// A fresh key.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self::from_bytes(random::array(random))
    }

    /// From its 56 raw bytes.
    pub fn from_bytes(bytes: [u8; 56]) -> Self {
        X448PrivateKey(Secret::new(bytes))
    }

    /// The raw bytes, for storing.
    pub fn to_bytes(&self) -> Secret<56> {
        self.0.clone()
    }

    /// From its DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        pkcs8::raw(&pkcs8::X448, der).map(Self::from_bytes)
    }

    /// The DER form.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        pkcs8::der(&pkcs8::X448, self.0.expose())
    }

    /// Its public half.
    pub fn public(&self) -> Result<X448PublicKey, Error> {
        let key = PKey::private_key_from_raw_bytes(self.0.expose(), Id::X448).map_err(|_| Error::Library)?;
        let raw = key.raw_public_key().map_err(|_| Error::Library)?;
        raw.try_into().map(X448PublicKey).map_err(|_| Error::Library)
    }

    /// Agrees with a peer's key; a peer key of low order is refused.
    pub fn agree(&self, peer: &X448PublicKey) -> Result<Secret<56>, Error> {
        let own = PKey::private_key_from_raw_bytes(self.0.expose(), Id::X448).map_err(|_| Error::Library)?;
        let peer = PKey::public_key_from_raw_bytes(&peer.0, Id::X448).map_err(|_| Error::BadKey)?;
        let mut deriver = Deriver::new(&own).map_err(|_| Error::Library)?;
        deriver.set_peer(&peer).map_err(|_| Error::BadKey)?;
        let secret = deriver.derive_to_vec().map_err(|_| Error::BadKey)?;
        secret.try_into().map(Secret::new).map_err(|_| Error::Library)
    }
}

impl X448PublicKey {
    /// From its 56 raw bytes.
    pub fn from_bytes(bytes: [u8; 56]) -> Self {
        X448PublicKey(bytes)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 56] {
        &self.0
    }

    /// From its DER form.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        spki::raw(&spki::X448, der).map(X448PublicKey)
    }

    /// The DER form.
    pub fn to_der(&self) -> Vec<u8> {
        spki::der(&spki::X448, &self.0)
    }
}

impl fmt::Debug for X448PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "X448PublicKey({})", codec::text::base64url(&self.0))
    }
}
