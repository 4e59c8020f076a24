//! The service part of the handshake: a client that receives for many users shows a long-term certificate.

use codec::{Decode as _, Encode, Malformed, Reader, Write};
use crypto::certificate::{self, CertificateChain, Fingerprint};
use crypto::hash;
use crypto::sign::Ed25519PublicKey;

use crate::error::{HandshakeError, TransportError};
use crate::handshake::parsed;
use crate::id::ServiceId;

/// What a service is for; its sessions may give the commands of this role only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceRole {
    /// Receives messages.
    Messaging,
    /// Receives notifications.
    Notifier,
    /// Forwards for others.
    Proxy,
}

impl ServiceRole {
    fn letter(self) -> u8 {
        match self {
            Self::Messaging => b'M',
            Self::Notifier => b'N',
            Self::Proxy => b'P',
        }
    }

    fn from_letter(letter: u8) -> Result<Self, Malformed> {
        match letter {
            b'M' => Ok(Self::Messaging),
            b'N' => Ok(Self::Notifier),
            b'P' => Ok(Self::Proxy),
            other => Err(Malformed::BadFlag(other)),
        }
    }
}

/// What a service adds to its hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceHello {
    /// What it is for.
    pub role: ServiceRole,
    /// Its certificates, as in TLS.
    pub certificates: CertificateChain,
    /// Its Ed25519 session key, signed by its leaf certificate.
    pub signed_key: Vec<u8>,
}

/// A service whose hello passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedService {
    /// What it is for.
    pub role: ServiceRole,
    /// SHA-256 of its identity certificate.
    pub fingerprint: Fingerprint,
    /// Checks the service signatures of this session.
    pub session_key: Ed25519PublicKey,
}

impl Encode for ServiceHello {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.role.letter());
        out.put_list(self.certificates.certificates(), |out, certificate| out.put_large(certificate));
        out.put_large(&self.signed_key);
    }
}

impl ServiceHello {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ServiceHello {
            role: ServiceRole::from_letter(reader.u8()?)?,
            certificates: CertificateChain::new(reader.non_empty(|r| r.large().map(<[u8]>::to_vec))?),
            signed_key: reader.large()?.to_vec(),
        })
    }

    /// Checks the hello against the certificates shown in TLS, at `now` in Unix seconds.
    pub fn verify(&self, tls_chain: &CertificateChain, now: i64) -> Result<VerifiedService, TransportError> {
        const BAD_AUTH: TransportError = TransportError::Handshake(HandshakeError::BadAuth);
        if self.certificates != *tls_chain {
            return Err(BAD_AUTH);
        }
        let fingerprint = self.fingerprint().ok_or(BAD_AUTH)?;
        let leaf_key = self.certificates.verify_service(now).map_err(|_| BAD_AUTH)?;
        let der = certificate::verify_signed_key(&leaf_key, &self.signed_key).map_err(|_| BAD_AUTH)?;
        let session_key = Ed25519PublicKey::from_der(der).map_err(|_| BAD_AUTH)?;
        Ok(VerifiedService { role: self.role, fingerprint, session_key })
    }

    /// A single certificate is its own identity; in a longer chain the identity stands at position 1.
    fn fingerprint(&self) -> Option<Fingerprint> {
        match self.certificates.certificates() {
            [single] => Some(hash::sha256(single)),
            _ => self.certificates.identity(),
        }
    }
}

/// How a server answers the hello of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceResponse {
    /// The ID that the server keeps for this certificate and role.
    Accepted(ServiceId),
    /// Refused.
    Refused(TransportError),
}

impl Encode for ServiceResponse {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Accepted(id) => {
                out.push(b'R');
                id.encode(out);
            }
            Self::Refused(error) => {
                out.push(b'E');
                out.put(error.to_string().as_bytes());
            }
        }
    }
}

impl ServiceResponse {
    /// Reads a response.
    pub fn parse(message: &[u8]) -> Result<Self, TransportError> {
        let mut reader = Reader::new(message);
        parsed(match reader.u8() {
            Ok(b'R') => ServiceId::decode(&mut reader).map(Self::Accepted),
            Ok(b'E') => {
                TransportError::decode(reader.tail()).map(Self::Refused).ok_or(Malformed::BadValue("transport error"))
            }
            Ok(other) => Err(Malformed::BadFlag(other)),
            Err(malformed) => Err(malformed),
        })
    }
}
