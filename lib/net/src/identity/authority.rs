//! The offline authority: creates itself and issues leaves. Certificates look as those of existing servers do.

use crypto::{Random, random};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef};

use super::{Algorithm, IdentityError, Leaf, ServerIdentity};

const SUBJECT: &str = "SMP server CA";
const ORGANISATION: &str = "SimpleX";
const VALIDITY_SECS: i64 = 999_999 * 86_400;
const VERSION_3: i32 = 2;
const MAX_HOST: usize = 64;

/// The key that an address depends on, and its self-signed certificate. Keep it off the server.
#[derive(Debug, Clone)]
pub struct CertificateAuthority {
    certificate: X509,
    key: PKey<Private>,
}

impl CertificateAuthority {
    /// A new authority, hence a new server address.
    pub fn create(algorithm: Algorithm, now: i64, random: &mut dyn Random) -> Result<Self, IdentityError> {
        let key = generate(algorithm, random)?;
        let subject = authority_name()?;
        let mut builder = draft(&subject, &subject, &key, now, random)?;
        builder.append_extension(SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?)?;
        let key_id = AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(None, None))?;
        builder.append_extension(key_id)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.sign(&key, MessageDigest::null())?;
        Ok(CertificateAuthority { certificate: builder.build(), key })
    }

    /// From PEM texts; only the first certificate counts.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let certificate = X509::from_pem(certificate).map_err(|_| IdentityError::Malformed("CA certificate"))?;
        let key = PKey::private_key_from_pem(key).map_err(|_| IdentityError::Malformed("CA key"))?;
        if !certificate.public_key()?.public_eq(&key) {
            return Err(IdentityError::KeyMismatch);
        }
        Ok(CertificateAuthority { certificate, key })
    }

    /// Issues a leaf with a new key for `host`, a name or an IP address.
    pub fn issue(&self, host: &str, now: i64, random: &mut dyn Random) -> Result<Leaf, IdentityError> {
        let key = generate(algorithm_of(&self.key)?, random)?;
        let subject = host_name(host)?;
        let mut builder = draft(&subject, self.certificate.subject_name(), &key, now, random)?;
        builder.append_extension(BasicConstraints::new().build()?)?;
        builder.append_extension(KeyUsage::new().digital_signature().non_repudiation().key_agreement().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
        builder.append_extension(SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?)?;
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let key_id = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        builder.append_extension(key_id)?;
        builder.sign(&self.key, MessageDigest::null())?;
        Ok(Leaf { certificate: builder.build(), key })
    }

    /// A whole identity in memory: what this authority and a fresh leaf make together.
    pub fn identity(&self, host: &str, now: i64, random: &mut dyn Random) -> Result<ServerIdentity, IdentityError> {
        let leaf = self.issue(host, now, random)?;
        ServerIdentity::new(&leaf, std::slice::from_ref(&self.certificate), now)
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> Result<Vec<u8>, IdentityError> {
        Ok(self.certificate.to_pem()?)
    }

    /// The private key in PEM (PKCS #8).
    pub fn key_pem(&self) -> Result<Vec<u8>, IdentityError> {
        Ok(self.key.private_key_to_pem_pkcs8()?)
    }
}

fn generate(algorithm: Algorithm, random: &mut dyn Random) -> Result<PKey<Private>, ErrorStack> {
    match algorithm {
        Algorithm::Ed25519 => PKey::private_key_from_raw_bytes(&random::array::<32>(random), Id::ED25519),
        Algorithm::Ed448 => PKey::private_key_from_raw_bytes(&random::array::<57>(random), Id::ED448),
    }
}

fn algorithm_of(key: &PKeyRef<Private>) -> Result<Algorithm, IdentityError> {
    match key.id() {
        Id::ED25519 => Ok(Algorithm::Ed25519),
        Id::ED448 => Ok(Algorithm::Ed448),
        _ => Err(IdentityError::Algorithm),
    }
}

/// What both kinds of certificates have in common.
fn draft(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKeyRef<Private>,
    now: i64,
    random: &mut dyn Random,
) -> Result<X509Builder, ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(VERSION_3)?;
    let serial = serial_number(random)?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    let (from, until) = (Asn1Time::from_unix(now)?, Asn1Time::from_unix(now.saturating_add(VALIDITY_SECS))?);
    builder.set_not_before(&from)?;
    builder.set_not_after(&until)?;
    Ok(builder)
}

/// 159 random bits: positive, and at most 20 bytes.
fn serial_number(random: &mut dyn Random) -> Result<Asn1Integer, ErrorStack> {
    let mut serial = random::array::<20>(random);
    if let Some(first) = serial.first_mut() {
        *first &= 0x7f;
    }
    BigNum::from_slice(&serial)?.to_asn1_integer()
}

fn authority_name() -> Result<X509Name, ErrorStack> {
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, SUBJECT)?;
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, ORGANISATION)?;
    Ok(name.build())
}

fn host_name(host: &str) -> Result<X509Name, IdentityError> {
    if host.is_empty() || host.len() > MAX_HOST {
        return Err(IdentityError::HostName);
    }
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, host)?;
    Ok(name.build())
}
