//! Certificate chains and what they vouch for.
//!
//! The ladder: DER certificates as received → [`CertificateChain`] (parsed, nothing trusted) →
//! [`VerifiedChain`] (only [`CertificateChain::verify`] makes it) → [`VerifiedChain::verify_session_key`].
//!
//! A server *is* the SHA-256 fingerprint of the certificate at position 1. The reference looks issuers up by name, so
//! its path may bypass that certificate; here every certificate must be signed by the next one in the list.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::dh::X25519PublicKey;
use crate::sign::{SigningPrivateKey, SigningPublicKey};
use crate::{ConstantTimeEq, Error, hash};

/// SHA-256 of a server's identity certificate: what an address names.
pub type Fingerprint = [u8; 32];

const MAX_CHAIN: usize = 4;

/// Why a certificate chain is not that of the server it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A chain has 2, 3 or 4 certificates.
    #[error("chain of {0} certificates, expected 2 to 4")]
    Length(usize),
    /// A certificate does not parse.
    #[error("certificate {0} does not parse")]
    Malformed(usize),
    /// The identity certificate is another server's.
    #[error("the server's identity differs from the fingerprint in its address")]
    Fingerprint,
    /// A certificate is not signed by the next one.
    #[error("certificate {0} is not signed by the next one")]
    Signature(usize),
    /// A certificate is expired or not yet valid.
    #[error("certificate {0} is not valid at this time")]
    Time(usize),
    /// A certificate signs others without being allowed to.
    #[error("certificate {0} may not sign others")]
    NotAnAuthority(usize),
    /// The first certificate signs itself, is not version 3, or may not sign.
    #[error("the leaf certificate may not stand for a server")]
    Leaf,
}

/// A parsed chain, leaf first; nothing about it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateChain {
    certificates: Vec<Vec<u8>>,
}

/// A chain whose every link was checked; it belongs to the server that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedChain {
    leaf_key: SigningPublicKey,
}

impl CertificateChain {
    /// A chain of DER certificates, leaf first.
    pub fn new(certificates: Vec<Vec<u8>>) -> Self {
        CertificateChain { certificates }
    }

    /// The certificates, leaf first.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The fingerprint of the identity certificate at position 1.
    pub fn identity(&self) -> Option<Fingerprint> {
        self.certificates.get(1).map(|der| hash::sha256(der))
    }

    /// Checks that the chain is that of the server with `fingerprint`, at `now` in Unix seconds.
    pub fn verify(&self, fingerprint: &Fingerprint, now: i64) -> Result<VerifiedChain, ChainError> {
        let count = self.certificates.len();
        let identity = self.identity().filter(|_| count <= MAX_CHAIN).ok_or(ChainError::Length(count))?;
        if !bool::from(identity.ct_eq(fingerprint)) {
            return Err(ChainError::Fingerprint);
        }
        let parsed = self.parse()?;
        check_path(&parsed, now)?;
        let leaf = parsed.first().ok_or(ChainError::Length(count))?;
        leaf_key(leaf).map(|leaf_key| VerifiedChain { leaf_key })
    }

    /// Checks the chain of a service, which may be a single certificate that signed itself. Returns its leaf key.
    pub fn verify_service(&self, now: i64) -> Result<SigningPublicKey, ChainError> {
        let parsed = self.parse()?;
        match parsed.as_slice() {
            [single] => {
                check_signed_by(single, single).map_err(|()| ChainError::Signature(0))?;
                check_time(single, now).map_err(|()| ChainError::Time(0))?;
                key_of(single).map_err(|()| ChainError::Leaf)
            }
            [leaf, _, ..] if parsed.len() <= MAX_CHAIN => {
                check_path(&parsed, now)?;
                leaf_key(leaf)
            }
            _ => Err(ChainError::Length(parsed.len())),
        }
    }

    fn parse(&self) -> Result<Vec<X509Certificate<'_>>, ChainError> {
        let mut parsed = Vec::new();
        for (position, der) in self.certificates.iter().enumerate() {
            match X509Certificate::from_der(der) {
                Ok(([], certificate)) => parsed.push(certificate),
                _ => return Err(ChainError::Malformed(position)),
            }
        }
        Ok(parsed)
    }
}

/// Every certificate is signed by the next one; the last one is the trust anchor, whose own validity does not matter.
fn check_path(chain: &[X509Certificate<'_>], now: i64) -> Result<(), ChainError> {
    for (position, (certificate, issuer)) in chain.iter().zip(chain.iter().skip(1)).enumerate() {
        check_signed_by(certificate, issuer).map_err(|()| ChainError::Signature(position))?;
        check_time(certificate, now).map_err(|()| ChainError::Time(position))?;
        if position > 0 {
            check_authority(certificate).map_err(|()| ChainError::NotAnAuthority(position))?;
        }
    }
    Ok(())
}

fn key_of(certificate: &X509Certificate<'_>) -> Result<SigningPublicKey, ()> {
    SigningPublicKey::from_der(certificate.public_key().raw).map_err(|_| ())
}

fn check_signed_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Result<(), ()> {
    if certificate.issuer().as_raw() != issuer.subject().as_raw() {
        return Err(());
    }
    let signature = &certificate.signature_value;
    // The algorithm stands inside and outside of what is signed; the outer one must not be somebody else's choice.
    if certificate.signature_algorithm != certificate.tbs_certificate.signature || signature.unused_bits != 0 {
        return Err(());
    }
    key_of(issuer)?.verify(certificate.tbs_certificate.as_ref(), &signature.data).map_err(|_| ())
}

fn check_time(certificate: &X509Certificate<'_>, now: i64) -> Result<(), ()> {
    let validity = certificate.validity();
    let valid = validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp();
    if valid { Ok(()) } else { Err(()) }
}

/// An issuer below the anchor must be marked as an authority, and allowed to sign certificates if its usage is limited.
fn check_authority(certificate: &X509Certificate<'_>) -> Result<(), ()> {
    let constraints = certificate.basic_constraints().map_err(|_| ())?.ok_or(())?;
    let usage = certificate.key_usage().map_err(|_| ())?;
    let may_sign = usage.is_none_or(|usage| usage.value.key_cert_sign());
    if constraints.value.ca && may_sign { Ok(()) } else { Err(()) }
}

fn leaf_key(leaf: &X509Certificate<'_>) -> Result<SigningPublicKey, ChainError> {
    let usage = leaf.key_usage().map_err(|_| ChainError::Leaf)?;
    let may_sign = usage.is_none_or(|usage| usage.value.digital_signature());
    let self_signed = leaf.subject().as_raw() == leaf.issuer().as_raw();
    if leaf.version() != x509_parser::x509::X509Version::V3 || !may_sign || self_signed {
        return Err(ChainError::Leaf);
    }
    key_of(leaf).map_err(|()| ChainError::Leaf)
}

impl VerifiedChain {
    /// The key that authenticated TLS and signs session keys.
    pub fn leaf_key(&self) -> &SigningPublicKey {
        &self.leaf_key
    }

    /// The X25519 session key in a signed object of the hello, if the leaf signed it.
    pub fn verify_session_key(&self, signed_key: &[u8]) -> Result<X25519PublicKey, Error> {
        let der = verify_signed_key(&self.leaf_key, signed_key)?;
        X25519PublicKey::from_der(der)
    }
}

const ED25519_ALGORITHM: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
const ED448_ALGORITHM: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71];

/// A 44-byte public key signed by a certificate's key, in the layout that peers require: the key stands in an
/// extra SEQUENCE, and that SEQUENCE is what is signed.
pub fn sign_key(key: &SigningPrivateKey, public_key_der: &[u8; 44]) -> Result<Vec<u8>, Error> {
    let object = [&[0x30, 0x2c], public_key_der.as_slice()].concat();
    let signature = key.sign(&object)?;
    let (head, algorithm, bits): (&[u8], _, _) = match key {
        SigningPrivateKey::Ed25519(_) => (&[0x30, 0x78], ED25519_ALGORITHM, [0x03, 0x41, 0x00]),
        SigningPrivateKey::Ed448(_) => (&[0x30, 0x81, 0xaa], ED448_ALGORITHM, [0x03, 0x73, 0x00]),
    };
    Ok([head, &object, &algorithm, &bits, &signature].concat())
}

/// The DER public key inside a signed object, once its signature verifies under `key`.
pub fn verify_signed_key<'a>(key: &SigningPublicKey, signed: &'a [u8]) -> Result<&'a [u8], Error> {
    let (head, algorithm, bits): (&[u8], _, _) = match key {
        SigningPublicKey::Ed25519(_) => (&[0x30, 0x78], ED25519_ALGORITHM, [0x03, 0x41, 0x00]),
        SigningPublicKey::Ed448(_) => (&[0x30, 0x81, 0xaa], ED448_ALGORITHM, [0x03, 0x73, 0x00]),
    };
    let body = signed.strip_prefix(head).ok_or(Error::BadKey)?;
    let (object, rest) = body.split_at_checked(46).ok_or(Error::BadKey)?;
    let rest = rest.strip_prefix(&algorithm).ok_or(Error::BadKey)?;
    let signature = rest.strip_prefix(&bits).ok_or(Error::BadKey)?;
    let public_key = object.strip_prefix(&[0x30, 0x2c]).ok_or(Error::BadKey)?;
    key.verify(object, signature)?;
    Ok(public_key)
}
