//! The client's side.

use std::io;
use std::time::Duration;

use codec::VersionRange;
use crypto::certificate::Fingerprint;
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use smp::address::{Host, ServerAddress};
use smp::error::{HandshakeError, TransportError};
use smp::handshake::{ClientHello, Expected, ServerHello, Side, VerifiedServer, block_ciphers};
use smp::version;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Failure, receive, send};
use crate::Blame;
use crate::block_stream::{self, PayloadReader, PayloadWriter};
use crate::socket::{self, unix_now};
use crate::tls::{Connector, TlsError, VerifiedTlsSession};

/// How patient and how wide a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectOptions {
    /// For everything from the name look-up to the last hello.
    pub timeout: Duration,
    /// Accepted of servers; within [`version::SUPPORTED`].
    pub versions: VersionRange,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions { timeout: Duration::from_secs(15), versions: version::SUPPORTED }
    }
}

/// A session with the server that the address names.
#[derive(Debug)]
pub struct ClientConnection {
    /// Agreed.
    pub version: u16,
    /// Our TLS Finished: what authorizations are bound to.
    pub session_id: Vec<u8>,
    /// The server's key of this session: for authenticators.
    pub server_key: X25519PublicKey,
    /// Responses and events come in here.
    pub reader: PayloadReader,
    /// Commands go out here.
    pub writer: PayloadWriter,
}

/// Why there is no session with a server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address lacks the fingerprint that a server is recognised by.
    #[error("the address has no fingerprint of 32 bytes")]
    NoFingerprint,
    /// Onion services need a proxy, which is not supported.
    #[error("the address has onion hosts only")]
    OnionOnly,
    /// No host of the address can be reached.
    #[error("{host}: {source}")]
    Unreachable {
        /// The host that was tried last, with its port.
        host: String,
        /// What the system says.
        source: io::Error,
    },
    /// The server did not make it in time.
    #[error("no session within {0:?}")]
    TimedOut(Duration),
    /// The connection broke during the handshake.
    #[error("connection: {0}")]
    Socket(#[from] io::Error),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server closed during the handshake; it does so, too, when it does not like our hello.
    #[error("the server closed the connection during the handshake")]
    Closed,
    /// The server's hello is wrong.
    #[error("hello: {0}")]
    Hello(TransportError),
}

impl ConnectError {
    /// Who is at fault.
    pub fn blame(&self) -> Blame {
        match self {
            Self::NoFingerprint | Self::OnionOnly => Blame::Caller,
            Self::Unreachable { .. } | Self::Socket(_) | Self::Closed => Blame::Unreachable,
            Self::TimedOut(_) => Blame::TimedOut,
            Self::Tls(error) => error.blame(),
            Self::Hello(TransportError::Version) => Blame::Version,
            Self::Hello(TransportError::Session | TransportError::Handshake(HandshakeError::BadAuth)) => {
                Blame::Identity
            }
            Self::Hello(_) => Blame::Protocol,
        }
    }
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Io(error) => ConnectError::Socket(error),
            Failure::Closed => ConnectError::Closed,
            Failure::Hello(error) => ConnectError::Hello(error),
        }
    }
}

/// Connects to the first host of `address` that can be reached. `client_key` must be fresh.
pub async fn connect(
    address: &ServerAddress,
    connector: &Connector,
    options: ConnectOptions,
    client_key: X25519PrivateKey,
) -> Result<ClientConnection, ConnectError> {
    let fingerprint = address.key_hash().certificate().ok_or(ConnectError::NoFingerprint)?;
    let session = async {
        let tcp = dial(address).await?;
        establish(tcp, connector, &fingerprint, options.versions, client_key).await
    };
    timeout(options.timeout, session).await.map_err(|_| ConnectError::TimedOut(options.timeout))?
}

/// Makes a session of a TCP connection that is already open.
pub async fn connect_over(
    tcp: TcpStream,
    fingerprint: &Fingerprint,
    connector: &Connector,
    options: ConnectOptions,
    client_key: X25519PrivateKey,
) -> Result<ClientConnection, ConnectError> {
    let session = establish(tcp, connector, fingerprint, options.versions, client_key);
    timeout(options.timeout, session).await.map_err(|_| ConnectError::TimedOut(options.timeout))?
}

async fn dial(address: &ServerAddress) -> Result<TcpStream, ConnectError> {
    let mut outcome = Err(ConnectError::OnionOnly);
    for host in address.hosts().filter(|host| !matches!(host, Host::Onion(_))) {
        let (name, port) = (host.to_plain(), address.port_or_default());
        match TcpStream::connect((name, port)).await {
            Ok(tcp) => return Ok(tcp),
            Err(source) => outcome = Err(ConnectError::Unreachable { host: format!("{host}:{port}"), source }),
        }
    }
    outcome
}

async fn establish(
    tcp: TcpStream,
    connector: &Connector,
    fingerprint: &Fingerprint,
    versions: VersionRange,
    client_key: X25519PrivateKey,
) -> Result<ClientConnection, ConnectError> {
    socket::tune(&tcp)?;
    let now = unix_now();
    let VerifiedTlsSession { session, certificates, .. } = connector.connect(tcp, fingerprint, now).await?;
    let session_id = session.session_id;
    let (mut reader, mut writer) = block_stream::split(session.stream);
    let expected = Expected { fingerprint, session_id: &session_id, tls_chain: &certificates, versions, now };
    let verify = |message: &[u8]| ServerHello::parse(message)?.verify(expected);
    let VerifiedServer { version, session_key } = receive(&mut reader, verify).await?;
    send(&mut writer, &client_hello(version, fingerprint, client_key.public())).await?;
    let secret = client_key.agree(&session_key);
    let (sealer, opener) = block_ciphers(Side::Client, &session_id, Some(&secret), false);
    let (reader, writer) = (PayloadReader::new(reader, opener), PayloadWriter::new(writer, sealer));
    Ok(ClientConnection { version, session_id, server_key: session_key, reader, writer })
}

fn client_hello(version: u16, fingerprint: &Fingerprint, client_key: X25519PublicKey) -> ClientHello {
    ClientHello { version, key_hash: fingerprint.to_vec(), client_key: Some(client_key), proxy: false, service: None }
}
