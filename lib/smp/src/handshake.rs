//! The SMP handshake: the hellos after TLS, and what each side must check in the other's.
//!
//! The ladder on the client: block → [`ServerHello`] → [`ServerHello::verify`] → [`VerifiedServer`].
//! On the server: block → [`ClientHello`] → [`ClientHello::check`].
//! A server closes silently on a bad hello; the error tells its log why.

use codec::{Decode as _, Encode, Malformed, Reader, VersionRange, Write};
use crypto::ConstantTimeEq as _;
use crypto::certificate::{CertificateChain, Fingerprint};
use crypto::chain::SessionChains;
use crypto::dh::{SharedSecret, X25519PublicKey};
use crypto::pad;

use crate::block::{BLOCK, BlockOpener, BlockSealer};
use crate::error::{HandshakeError, TransportError};
use crate::service::ServiceHello;
use crate::version;

/// Pads a handshake message to a block.
pub fn to_block(message: &[u8]) -> Result<Vec<u8>, TransportError> {
    pad::pad(message, BLOCK).map_err(|_| TransportError::LargeMessage)
}

/// The handshake message in a block.
pub fn from_block(block: &[u8]) -> Result<&[u8], TransportError> {
    pad::unpad(block).map_err(|_| TransportError::LargeMessage)
}

pub(crate) fn parsed<T>(result: Result<T, Malformed>) -> Result<T, TransportError> {
    result.map_err(|_| TransportError::Handshake(HandshakeError::Parse))
}

/// What the server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHello {
    /// The versions it speaks.
    pub versions: VersionRange,
    /// The client's TLS Finished, as the server saw it.
    pub session_id: Vec<u8>,
    /// The server's certificates, leaf first, as in TLS.
    pub certificates: CertificateChain,
    /// The server's session key, signed by the leaf.
    pub signed_key: Vec<u8>,
}

impl Encode for ServerHello {
    fn encode(&self, out: &mut Vec<u8>) {
        self.versions.encode(out);
        out.put_short(&self.session_id);
        out.put_list(self.certificates.certificates(), |out, certificate| out.put_large(certificate));
        out.put_large(&self.signed_key);
    }
}

/// What a client knows before it reads a hello.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// From the server's address.
    pub fingerprint: &'a Fingerprint,
    /// Our TLS Finished.
    pub session_id: &'a [u8],
    /// The server's certificates in TLS, leaf first.
    pub tls_chain: &'a CertificateChain,
    /// The versions we speak.
    pub versions: VersionRange,
    /// Unix seconds.
    pub now: i64,
}

/// A server whose hello passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedServer {
    /// The agreed version.
    pub version: u16,
    /// For authenticators and the session secret.
    pub session_key: X25519PublicKey,
}

impl ServerHello {
    /// Reads a hello. Unknown bytes after the fields are left to later versions.
    pub fn parse(message: &[u8]) -> Result<Self, TransportError> {
        parsed(Self::read(&mut Reader::new(message)))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(ServerHello {
            versions: VersionRange::decode(reader)?,
            session_id: reader.short()?.to_vec(),
            certificates: CertificateChain::new(reader.non_empty(|r| r.large().map(<[u8]>::to_vec))?),
            signed_key: reader.large()?.to_vec(),
        })
    }

    /// Checks that this is the server we asked for, in this TLS session.
    pub fn verify(&self, expected: Expected<'_>) -> Result<VerifiedServer, TransportError> {
        const BAD_AUTH: TransportError = TransportError::Handshake(HandshakeError::BadAuth);
        if self.session_id != expected.session_id {
            return Err(TransportError::Session);
        }
        let version = self.versions.common(expected.versions).ok_or(TransportError::Version)?.max();
        if self.certificates != *expected.tls_chain {
            return Err(BAD_AUTH);
        }
        let chain = self.certificates.verify(expected.fingerprint, expected.now).map_err(|_| BAD_AUTH)?;
        let session_key = chain.verify_session_key(&self.signed_key).map_err(|_| BAD_AUTH)?;
        Ok(VerifiedServer { version, session_key })
    }
}

/// What the client answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The agreed version.
    pub version: u16,
    /// The fingerprint of the server it wants.
    pub key_hash: Vec<u8>,
    /// For the session secret; without it blocks are not encrypted.
    pub client_key: Option<X25519PublicKey>,
    /// The client is a proxy, whose traffic has layers of its own.
    pub proxy: bool,
    /// The client is a service; from version 16 on.
    pub service: Option<ServiceHello>,
}

impl Encode for ClientHello {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(self.version);
        out.put_short(&self.key_hash);
        if let Some(key) = &self.client_key {
            out.put_short(&key.to_der());
        }
        out.put_bool(self.proxy);
        if self.version >= version::SERVICES {
            out.put_maybe(self.service.as_ref(), |out, service| service.encode(out));
        }
    }
}

impl ClientHello {
    /// Reads a hello. Unknown bytes after the fields are left to later versions.
    pub fn parse(message: &[u8]) -> Result<Self, TransportError> {
        parsed(Self::read(&mut Reader::new(message)))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = reader.u16()?;
        Ok(ClientHello {
            version,
            key_hash: reader.short()?.to_vec(),
            client_key: client_key(reader),
            proxy: reader.bool()?,
            service: if version >= version::SERVICES { reader.maybe(ServiceHello::read)? } else { None },
        })
    }

    /// Server side: checks that the client wants this server and agreed to an offered version.
    pub fn check(&self, fingerprint: &Fingerprint, offered: VersionRange) -> Result<(), TransportError> {
        if !bool::from(self.key_hash.as_slice().ct_eq(fingerprint.as_slice())) {
            return Err(TransportError::Handshake(HandshakeError::Identity));
        }
        if offered.contains(self.version) { Ok(()) } else { Err(TransportError::Version) }
    }
}

/// The client's key has no presence flag: it is there exactly when a whole X25519 key can be read.
fn client_key(reader: &mut Reader<'_>) -> Option<X25519PublicKey> {
    let mut ahead = reader.clone();
    let key = X25519PublicKey::from_der(ahead.short().ok()?).ok()?;
    *reader = ahead;
    Some(key)
}

/// Which side of a session we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We said the client hello.
    Client,
    /// We said the server hello.
    Server,
}

/// What makes and reads the blocks after the handshake. Without a secret, or for a proxy, blocks are only padded.
pub fn block_ciphers(
    side: Side,
    session_id: &[u8],
    secret: Option<&SharedSecret>,
    proxy: bool,
) -> (BlockSealer, BlockOpener) {
    let Some(secret) = secret.filter(|_| !proxy) else {
        return (BlockSealer::new(None), BlockOpener::new(None));
    };
    let chains = SessionChains::new(session_id, secret);
    let (send, receive) = match side {
        Side::Client => (chains.client_to_server, chains.server_to_client),
        Side::Server => (chains.server_to_client, chains.client_to_server),
    };
    (BlockSealer::new(Some(send)), BlockOpener::new(Some(receive)))
}
