//! What a server is: an offline authority whose certificate's fingerprint stands in the address, and the leaf
//! certificate that it issued for the online machine.
//!
//! The authority's key is needed to create the identity and to issue another leaf, never to run the server.
//! A leaf can be replaced at any time; the address stays. How both are kept in files: [`files`].

mod authority;
pub mod files;

pub use authority::CertificateAuthority;

use crypto::certificate::{self, CertificateChain, ChainError, Fingerprint};
use crypto::dh::X25519PublicKey;
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey, SigningPrivateKey};
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::X509;

/// The signature algorithm of both certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// What servers use unless told otherwise.
    #[default]
    Ed25519,
    /// Larger and slower.
    Ed448,
}

/// Why certificates or keys cannot be a server's identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A PEM text does not hold what it should.
    #[error("{0} is not valid PEM of the expected kind")]
    Malformed(&'static str),
    /// Only Ed25519 and Ed448 keys stand for servers.
    #[error("the key is neither Ed25519 nor Ed448")]
    Algorithm,
    /// The private key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The certificates do not form a chain that clients accept.
    #[error("clients would not accept the certificates: {0}")]
    Chain(#[from] ChainError),
    /// A host name is empty or longer than 64 bytes.
    #[error("a host name in a certificate has 1 to 64 bytes")]
    HostName,
    /// The cryptographic library failed.
    #[error("cryptographic library failure: {0}")]
    Library(#[from] ErrorStack),
}

/// A leaf certificate and its key, as the authority issued them.
#[derive(Debug, Clone)]
pub struct Leaf {
    certificate: X509,
    key: PKey<Private>,
}

/// Everything a running server needs to prove who it is.
#[derive(Debug, Clone)]
pub struct ServerIdentity {
    chain: Vec<X509>,
    chain_der: Vec<Vec<u8>>,
    fingerprint: Fingerprint,
    leaf_key: PKey<Private>,
    signing_key: SigningPrivateKey,
}

impl Leaf {
    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> Result<Vec<u8>, IdentityError> {
        Ok(self.certificate.to_pem()?)
    }

    /// The private key in PEM (PKCS #8).
    pub fn key_pem(&self) -> Result<Vec<u8>, IdentityError> {
        Ok(self.key.private_key_to_pem_pkcs8()?)
    }
}

impl ServerIdentity {
    /// Joins a leaf with the certificates above it, identity first. `now` in Unix seconds.
    pub fn new(leaf: &Leaf, authorities: &[X509], now: i64) -> Result<Self, IdentityError> {
        let chain: Vec<X509> = std::iter::once(&leaf.certificate).chain(authorities).cloned().collect();
        let chain_der = chain.iter().map(|certificate| certificate.to_der()).collect::<Result<Vec<_>, _>>()?;
        let unverified = CertificateChain::new(chain_der.clone());
        let fingerprint = unverified.identity().ok_or(ChainError::Length(chain.len()))?;
        unverified.verify(&fingerprint, now)?;
        if !leaf.certificate.public_key()?.public_eq(&leaf.key) {
            return Err(IdentityError::KeyMismatch);
        }
        let signing_key = signing_key(&leaf.key)?;
        Ok(ServerIdentity { chain, chain_der, fingerprint, leaf_key: leaf.key.clone(), signing_key })
    }

    /// From PEM texts: the leaf certificate, its key, and the certificates above it, identity first.
    pub fn from_pem(certificate: &[u8], key: &[u8], authorities: &[u8], now: i64) -> Result<Self, IdentityError> {
        let certificate = X509::from_pem(certificate).map_err(|_| IdentityError::Malformed("server certificate"))?;
        let key = PKey::private_key_from_pem(key).map_err(|_| IdentityError::Malformed("server key"))?;
        let authorities = X509::stack_from_pem(authorities).map_err(|_| IdentityError::Malformed("CA certificate"))?;
        Self::new(&Leaf { certificate, key }, &authorities, now)
    }

    /// SHA-256 of the identity certificate: what the server's address names.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The DER certificates, leaf first, as TLS and the hello carry them.
    pub fn chain_der(&self) -> &[Vec<u8>] {
        &self.chain_der
    }

    /// Signs the session key of one connection for the hello.
    pub fn sign_session_key(&self, session_key: &X25519PublicKey) -> Result<Vec<u8>, crypto::Error> {
        let der = session_key.to_der().try_into().map_err(|_| crypto::Error::BadKey)?;
        certificate::sign_key(&self.signing_key, &der)
    }

    pub(crate) fn chain(&self) -> &[X509] {
        &self.chain
    }

    pub(crate) fn leaf_key(&self) -> &PKey<Private> {
        &self.leaf_key
    }
}

fn signing_key(key: &PKey<Private>) -> Result<SigningPrivateKey, IdentityError> {
    let seed = key.raw_private_key().map_err(|_| IdentityError::Algorithm)?;
    let ed25519 = |seed| SigningPrivateKey::Ed25519(Ed25519PrivateKey::from_seed(seed));
    let ed448 = |seed| SigningPrivateKey::Ed448(Ed448PrivateKey::from_seed(seed));
    let key = match key.id() {
        Id::ED25519 => seed.try_into().ok().map(ed25519),
        Id::ED448 => seed.try_into().ok().map(ed448),
        _ => None,
    };
    key.ok_or(IdentityError::Algorithm)
}
