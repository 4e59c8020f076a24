//! The server's side.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use codec::VersionRange;
use crypto::certificate::CertificateChain;
use crypto::dh::{SharedSecret, X25519PrivateKey};
use smp::error::{HandshakeError, TransportError};
use smp::handshake::{ClientHello, ServerHello, Side, block_ciphers};
use smp::service::ServiceResponse;
use smp::version;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Failure, receive, send};
use crate::block_stream::{self, BlockReader, BlockWriter, PayloadReader, PayloadWriter};
use crate::socket;
use crate::tls::{Acceptor, TlsError, TlsSession};

/// How patient and how wide a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptOptions {
    /// For TLS.
    pub tls_timeout: Duration,
    /// For the hellos after it.
    pub handshake_timeout: Duration,
    /// Offered to clients; within [`version::SUPPORTED`].
    pub versions: VersionRange,
}

impl Default for AcceptOptions {
    fn default() -> Self {
        AcceptOptions {
            tls_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(120),
            versions: version::SUPPORTED,
        }
    }
}

/// A session with a client.
#[derive(Debug)]
pub struct ServerConnection {
    /// Agreed.
    pub version: u16,
    /// The client's TLS Finished: what authorizations are bound to.
    pub session_id: Vec<u8>,
    /// Our key of this session: checks authenticators.
    pub session_key: X25519PrivateKey,
    /// Agreed with the client's key, if it sent one: opens what a proxy forwards.
    pub secret: Option<SharedSecret>,
    /// Where the client is.
    pub peer: SocketAddr,
    /// Commands come in here.
    pub reader: PayloadReader,
    /// Responses and events go out here.
    pub writer: PayloadWriter,
}

/// Why there is no session with a client. Clients learn only that the connection ended.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The connection broke.
    #[error("connection: {0}")]
    Socket(#[from] io::Error),
    /// TLS took too long.
    #[error("TLS took longer than {0:?}")]
    TlsTimeout(Duration),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client did not send its hello in time.
    #[error("no hello within {0:?}")]
    HandshakeTimeout(Duration),
    /// The client went away before its hello was complete.
    #[error("closed before the hello")]
    Closed,
    /// The hello asks for another server or version, or is none.
    #[error("hello: {0}")]
    Hello(TransportError),
    /// The session key could not be signed.
    #[error("signing the session key: {0}")]
    Signing(crypto::Error),
}

impl From<Failure> for AcceptError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Io(error) => AcceptError::Socket(error),
            Failure::Closed => AcceptError::Closed,
            Failure::Hello(error) => AcceptError::Hello(error),
        }
    }
}

/// Makes a session of an accepted connection. `session_key` must be fresh.
pub async fn accept(
    tcp: TcpStream,
    acceptor: &Acceptor,
    options: AcceptOptions,
    session_key: X25519PrivateKey,
) -> Result<ServerConnection, AcceptError> {
    let peer = tcp.peer_addr()?;
    socket::tune(&tcp)?;
    let tls = timeout(options.tls_timeout, acceptor.accept(tcp));
    let TlsSession { stream, session_id } = tls.await.map_err(|_| AcceptError::TlsTimeout(options.tls_timeout))??;
    let (mut reader, mut writer) = block_stream::split(stream);
    let hello = server_hello(acceptor, options.versions, &session_id, &session_key)?;
    let hellos = timeout(options.handshake_timeout, exchange(&mut reader, &mut writer, &hello, acceptor));
    let client = match hellos.await.map_err(|_| AcceptError::HandshakeTimeout(options.handshake_timeout))? {
        Ok(client) => client,
        Err(failure) => {
            // Whether the client hears the goodbye makes no difference.
            let _ = writer.close().await;
            return Err(failure.into());
        }
    };
    let secret = client.client_key.map(|key| session_key.agree(&key));
    let (sealer, opener) = block_ciphers(Side::Server, &session_id, secret.as_ref(), client.proxy);
    let (reader, writer) = (PayloadReader::new(reader, opener), PayloadWriter::new(writer, sealer));
    Ok(ServerConnection { version: client.version, session_id, session_key, secret, peer, reader, writer })
}

fn server_hello(
    acceptor: &Acceptor,
    versions: VersionRange,
    session_id: &[u8],
    session_key: &X25519PrivateKey,
) -> Result<ServerHello, AcceptError> {
    let identity = acceptor.identity();
    let signed_key = identity.sign_session_key(&session_key.public()).map_err(AcceptError::Signing)?;
    let certificates = CertificateChain::new(identity.chain_der().to_vec());
    Ok(ServerHello { versions, session_id: session_id.to_vec(), certificates, signed_key })
}

/// Our hello, then the client's, checked.
async fn exchange(
    reader: &mut BlockReader,
    writer: &mut BlockWriter,
    hello: &ServerHello,
    acceptor: &Acceptor,
) -> Result<ClientHello, Failure> {
    send(writer, hello).await?;
    let client = receive(reader, ClientHello::parse).await?;
    client.check(acceptor.identity().fingerprint(), hello.versions)?;
    match &client.service {
        None => Ok(client),
        Some(_) => refuse_service(writer).await,
    }
}

/// TLS asked for no client certificate, so the certificates of a service can match none.
async fn refuse_service(writer: &mut BlockWriter) -> Result<ClientHello, Failure> {
    let error = TransportError::Handshake(HandshakeError::BadAuth);
    send(writer, &ServiceResponse::Refused(error)).await?;
    Err(Failure::Hello(error))
}
