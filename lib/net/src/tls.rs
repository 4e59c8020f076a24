//! The TLS profile of SMP, and the session ID that binds everything above to the TLS connection below.
//!
//! TLS 1.3 only, one cipher suite, X448 or X25519, Ed448 or Ed25519; no tickets, resumption or early data. Servers are
//! not checked by name or by a certificate store: the client leaves the chain to [`crypto::certificate`], which knows
//! the fingerprint from the address. OpenSSL is used because the session ID is the client's Finished message, which
//! other libraries do not show.

use std::pin::Pin;
use std::sync::Arc;

use crypto::certificate::{CertificateChain, ChainError, Fingerprint, VerifiedChain};
use openssl::error::ErrorStack;
use openssl::ssl::{
    AlpnError, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef, SslSessionCacheMode,
    SslVerifyMode, SslVersion,
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::Blame;
use crate::identity::ServerIdentity;

const CIPHER_SUITE: &str = "TLS_CHACHA20_POLY1305_SHA256";
const GROUPS: &str = "X448:X25519";
const SIGNATURES: &str = "ed448:ed25519";

/// What our client offers.
const SMP_ALPN: &[u8] = b"smp/1";
/// What servers accept: clients in web-port mode offer only `http/1.1` and speak SMP all the same.
const KNOWN_ALPN: [&[u8]; 3] = [SMP_ALPN, b"h2", b"http/1.1"];

/// SHA-256 gives a Finished message of 32 bytes.
const FINISHED: usize = 32;

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The handshake failed: not TLS, nothing in common, or the connection was cut.
    #[error("TLS handshake: {0}")]
    Handshake(#[from] openssl::ssl::Error),
    /// The client named no application protocol; peers take that for a version of SMP that is not served.
    #[error("the client offered no ALPN")]
    NoAlpn,
    /// The server is not the one that the address names.
    #[error("{0}")]
    Chain(#[from] ChainError),
    /// The cryptographic library failed.
    #[error("cryptographic library failure: {0}")]
    Library(#[from] ErrorStack),
}

impl TlsError {
    /// Who is at fault, seen from the client.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Handshake(error) if error.io_error().is_some() => Blame::Unreachable,
            Self::Handshake(_) | Self::NoAlpn => Blame::Protocol,
            Self::Chain(_) => Blame::Identity,
            Self::Library(_) => Blame::Bug,
        }
    }
}

/// A TLS connection that is ready for the SMP handshake.
#[derive(Debug)]
pub struct TlsSession {
    /// The encrypted stream.
    pub stream: SslStream<TcpStream>,
    /// The client's Finished message: equal on both sides, different for every connection.
    pub session_id: Vec<u8>,
}

/// A TLS connection to the server that the address names.
#[derive(Debug)]
pub struct VerifiedTlsSession {
    /// The connection.
    pub session: TlsSession,
    /// The certificates that TLS showed.
    pub certificates: CertificateChain,
    /// The proof that they belong to the server.
    pub chain: VerifiedChain,
}

/// Accepts TLS connections as one server identity. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    context: SslContext,
    identity: Arc<ServerIdentity>,
}

/// Opens TLS connections to servers. Cheap to clone.
#[derive(Clone)]
pub struct Connector(SslContext);

impl Acceptor {
    /// An acceptor for the given identity.
    pub fn new(identity: ServerIdentity) -> Result<Self, ErrorStack> {
        let mut context = profile(SslMethod::tls_server())?;
        let mut chain = identity.chain().iter();
        if let Some(leaf) = chain.next() {
            context.set_certificate(leaf)?;
        }
        for certificate in chain {
            context.add_extra_chain_cert(certificate.clone())?;
        }
        context.set_private_key(identity.leaf_key())?;
        context.check_private_key()?;
        context.set_alpn_select_callback(|_, offered| select_alpn(offered).ok_or(AlpnError::ALERT_FATAL));
        Ok(Acceptor { context: context.build(), identity: Arc::new(identity) })
    }

    /// As whom it accepts.
    pub fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    /// Performs the server's side of the handshake.
    pub async fn accept(&self, tcp: TcpStream) -> Result<TlsSession, TlsError> {
        let mut stream = SslStream::new(Ssl::new(&self.context)?, tcp)?;
        Pin::new(&mut stream).accept().await?;
        if stream.ssl().selected_alpn_protocol().is_none() {
            close(stream).await;
            return Err(TlsError::NoAlpn);
        }
        let session_id = finished(|out| stream.ssl().peer_finished(out));
        Ok(TlsSession { stream, session_id })
    }
}

impl Connector {
    /// A connector; it serves for all servers.
    pub fn new() -> Result<Self, ErrorStack> {
        let mut context = profile(SslMethod::tls_client())?;
        context.set_alpn_protos(&alpn_list(SMP_ALPN))?;
        Ok(Connector(context.build()))
    }

    /// Performs the client's side of the handshake with the server that has `fingerprint`, at `now` in Unix seconds.
    ///
    /// No server name is sent: servers that share their port with a web site tell SMP by its absence.
    pub async fn connect(
        &self,
        tcp: TcpStream,
        fingerprint: &Fingerprint,
        now: i64,
    ) -> Result<VerifiedTlsSession, TlsError> {
        let mut stream = SslStream::new(Ssl::new(&self.0)?, tcp)?;
        Pin::new(&mut stream).connect().await?;
        let certificates = peer_certificates(stream.ssl())?;
        let chain = certificates.verify(fingerprint, now)?;
        let session_id = finished(|out| stream.ssl().finished(out));
        Ok(VerifiedTlsSession { session: TlsSession { stream, session_id }, certificates, chain })
    }
}

/// What both sides insist on.
fn profile(method: SslMethod) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(method)?;
    context.set_min_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_ciphersuites(CIPHER_SUITE)?;
    context.set_groups_list(GROUPS)?;
    context.set_sigalgs_list(SIGNATURES)?;
    context.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION);
    context.set_num_tickets(0)?;
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_verify(SslVerifyMode::NONE);
    // A record takes one read from the socket instead of one for its header and one or more for the rest.
    context.set_read_ahead(true);
    // Idle connections give their record buffers back; the others are what asynchronous streams need.
    context.set_mode(
        SslMode::RELEASE_BUFFERS
            | SslMode::AUTO_RETRY
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER,
    );
    Ok(context)
}

/// The first name in the client's list that we know.
fn select_alpn(offered: &[u8]) -> Option<&[u8]> {
    let mut rest = offered;
    while let Some((length, after)) = rest.split_first() {
        let (name, next) = after.split_at_checked(usize::from(*length))?;
        if KNOWN_ALPN.contains(&name) {
            return Some(name);
        }
        rest = next;
    }
    None
}

fn alpn_list(name: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    [&[length], name].concat()
}

fn peer_certificates(ssl: &SslRef) -> Result<CertificateChain, ErrorStack> {
    let chain = ssl.peer_cert_chain().into_iter().flatten();
    chain.map(|certificate| certificate.to_der()).collect::<Result<_, _>>().map(CertificateChain::new)
}

fn finished(read: impl FnOnce(&mut [u8]) -> usize) -> Vec<u8> {
    let mut out = vec![0; FINISHED];
    let length = read(&mut out);
    out.truncate(length);
    out
}

/// Says goodbye; whether the peer hears it makes no difference.
async fn close(mut stream: SslStream<TcpStream>) {
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_name_in_the_clients_order_is_selected() {
        assert_eq!(select_alpn(b"\x05smp/1"), Some(b"smp/1".as_slice()));
        assert_eq!(select_alpn(b"\x03abc\x08http/1.1\x05smp/1"), Some(b"http/1.1".as_slice()));
        assert_eq!(select_alpn(b"\x02h2\x05smp/1"), Some(b"h2".as_slice()));
        assert_eq!(select_alpn(b"\x05smp/2"), None);
        assert_eq!(select_alpn(b"\x09smp/1"), None);
        assert_eq!(select_alpn(b""), None);
    }
}
