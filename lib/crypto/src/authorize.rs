//! How a command proves that its sender may give it: a signature, or an authenticator that only the server can check.

use std::sync::LazyLock;

use crate::boxes::{BoxKey, Nonce, TAG};
use crate::dh::{SharedSecret, X25519PrivateKey, X25519PublicKey};
use crate::sign::{
    ED448_SIGNATURE, ED25519_SIGNATURE, Ed448PrivateKey, Ed448PublicKey, Ed25519PrivateKey, Ed25519PublicKey,
};
use crate::{ConstantTimeEq, Error, hash};

/// Length of an authenticator: a box over a SHA-512 hash.
pub const AUTHENTICATOR: usize = 64 + TAG;

/// A private key that authorises commands on a queue.
#[derive(Debug, Clone)]
pub enum AuthPrivateKey {
    /// Signs.
    Ed25519(Ed25519PrivateKey),
    /// Signs.
    Ed448(Ed448PrivateKey),
    /// Makes authenticators.
    X25519(X25519PrivateKey),
}

/// The public key of a recipient, sender or notifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthPublicKey {
    /// Checks signatures.
    Ed25519(Ed25519PublicKey),
    /// Checks signatures.
    Ed448(Ed448PublicKey),
    /// Checks authenticators.
    X25519(X25519PublicKey),
}

/// Authorization bytes that came with a command, told apart by their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// 64 bytes.
    Ed25519(&'a [u8; ED25519_SIGNATURE]),
    /// 114 bytes.
    Ed448(&'a [u8; ED448_SIGNATURE]),
    /// 80 bytes.
    Authenticator(&'a [u8; AUTHENTICATOR]),
}

impl AuthPrivateKey {
    /// Its public half.
    pub fn public(&self) -> Result<AuthPublicKey, Error> {
        Ok(match self {
            Self::Ed25519(key) => AuthPublicKey::Ed25519(key.public()),
            Self::Ed448(key) => AuthPublicKey::Ed448(key.public()?),
            Self::X25519(key) => AuthPublicKey::X25519(key.public()),
        })
    }

    /// The same key without what was derived from it, to be kept for long.
    pub fn compact(&self) -> Self {
        match self {
            Self::Ed25519(key) => Self::Ed25519(key.compact()),
            other => other.clone(),
        }
    }

    /// Authorises `authorized` in the session whose server showed `session_key`. `corr_id` must be fresh.
    pub fn authorize(
        &self,
        session_key: &X25519PublicKey,
        corr_id: &[u8],
        authorized: &[u8],
    ) -> Result<Vec<u8>, Error> {
        Ok(match self {
            Self::Ed25519(key) => key.sign(authorized).to_vec(),
            Self::Ed448(key) => key.sign(authorized)?.to_vec(),
            Self::X25519(key) => authenticator(&key.agree(session_key), corr_id, authorized),
        })
    }
}

impl AuthPublicKey {
    /// From its DER form; X448 keys authorise nothing and are refused.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Ed25519PublicKey::from_der(der)
            .map(Self::Ed25519)
            .or_else(|_| X25519PublicKey::from_der(der).map(Self::X25519))
            .or_else(|_| Ed448PublicKey::from_der(der).map(Self::Ed448))
    }

    /// The DER form.
    pub fn to_der(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.to_der(),
            Self::Ed448(key) => key.to_der(),
            Self::X25519(key) => key.to_der(),
        }
    }

    /// Server side: checks an authorization. A key of another kind than the authorization costs as much as a wrong one.
    pub fn verify(
        &self,
        authorization: Authorization<'_>,
        session_key: &X25519PrivateKey,
        corr_id: &[u8],
        authorized: &[u8],
    ) -> Result<(), Error> {
        match (self, authorization) {
            (Self::Ed25519(key), Authorization::Ed25519(signature)) => key.verify(authorized, signature),
            (Self::Ed448(key), Authorization::Ed448(signature)) => key.verify(authorized, signature),
            (Self::X25519(key), Authorization::Authenticator(bytes)) => {
                verify_authenticator(&session_key.agree(key), corr_id, authorized, bytes)
            }
            (_, authorization) => authorization.verify_in_vain(session_key, corr_id, authorized),
        }
    }
}

impl<'a> Authorization<'a> {
    /// Tells the kind by the length; other lengths authorise nothing.
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let ed25519 = bytes.try_into().ok().map(Self::Ed25519);
        ed25519
            .or_else(|| bytes.try_into().ok().map(Self::Authenticator))
            .or_else(|| bytes.try_into().ok().map(Self::Ed448))
    }

    /// Takes the time of a real check and fails, so that the answer does not tell whether a queue exists.
    pub fn verify_in_vain(
        self,
        session_key: &X25519PrivateKey,
        corr_id: &[u8],
        authorized: &[u8],
    ) -> Result<(), Error> {
        let dummy = &*DUMMY_KEYS;
        let outcome = match self {
            Self::Ed25519(signature) => dummy.ed25519.verify(authorized, signature),
            Self::Ed448(signature) => dummy.ed448.verify(authorized, signature),
            Self::Authenticator(bytes) => {
                verify_authenticator(&session_key.agree(&dummy.x25519), corr_id, authorized, bytes)
            }
        };
        std::hint::black_box(outcome).and(Err(Error::BadSignature))
    }
}

/// Valid public keys whose private halves nobody uses.
struct DummyKeys {
    ed25519: Ed25519PublicKey,
    ed448: Ed448PublicKey,
    x25519: X25519PublicKey,
}

static DUMMY_KEYS: LazyLock<DummyKeys> = LazyLock::new(|| DummyKeys {
    ed25519: Ed25519PrivateKey::from_seed([1; 32]).public(),
    ed448: Ed448PrivateKey::from_seed([1; 57]).public().unwrap_or(Ed448PublicKey::from_bytes([0; 57])),
    x25519: X25519PrivateKey::from_bytes([1; 32]).public(),
});

fn authenticator(secret: &SharedSecret, corr_id: &[u8], authorized: &[u8]) -> Vec<u8> {
    BoxKey::agreed(secret).seal(Nonce::from_id(corr_id), &hash::sha512(authorized))
}

fn verify_authenticator(
    secret: &SharedSecret,
    corr_id: &[u8],
    authorized: &[u8],
    authenticator: &[u8; AUTHENTICATOR],
) -> Result<(), Error> {
    let expected = hash::sha512(authorized);
    let opened =
        BoxKey::agreed(secret).open(Nonce::from_id(corr_id), authenticator).map_err(|_| Error::BadSignature)?;
    if bool::from(opened.ct_eq(expected.as_slice())) { Ok(()) } else { Err(Error::BadSignature) }
}
