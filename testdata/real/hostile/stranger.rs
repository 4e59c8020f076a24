//! A client that keeps to the protocol only as far as it likes.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use codec::Encode as _;
use crypto::certificate::CertificateChain;
use crypto::dh::X25519PrivateKey;
use net::handshake::{ConnectOptions, connect_over};
use net::tls::Connector;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod};
use smp::block::{BLOCK, BlockOpener, BlockSealer};
use smp::handshake::{ClientHello, Expected, ServerHello, Side, block_ciphers, from_block, to_block};
use smp::version::SUPPORTED;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_openssl::SslStream;

use crate::client::random;
use crate::server::{Server, soon};

pub(super) type Tls = SslStream<TcpStream>;

pub(super) async fn tcp(server: &Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.address.port().unwrap())).await.unwrap()
}

/// From an address that ordinary clients do not use.
pub(super) async fn tcp_from_elsewhere(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into()).unwrap();
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, server.address.port().unwrap()));
    socket.connect(server).await.unwrap()
}

/// Whether the server takes a connection.
pub(super) async fn is_served(server: &Server, tcp: TcpStream) -> bool {
    let fingerprint = server.address.key_hash().certificate().unwrap();
    let (connector, key) = (Connector::new().unwrap(), X25519PrivateKey::generate(&mut random()));
    connect_over(tcp, &fingerprint, &connector, ConnectOptions::default(), key).await.is_ok()
}

/// TLS as the server wants it.
pub(super) struct Stranger {
    pub(super) stream: Tls,
    session_id: Vec<u8>,
    certificates: CertificateChain,
}

/// A session whose blocks are made by hand.
pub(super) struct Session {
    pub(super) stream: Tls,
    pub(super) sealer: BlockSealer,
    pub(super) opener: BlockOpener,
}

impl Stranger {
    pub(super) async fn meet(server: &Server, tcp: TcpStream) -> Self {
        let fingerprint = server.address.key_hash().certificate().unwrap();
        let connector = Connector::new().unwrap();
        let verified = soon("TLS", connector.connect(tcp, &fingerprint, now())).await.unwrap();
        let session = verified.session;
        Stranger { stream: session.stream, session_id: session.session_id, certificates: verified.certificates }
    }

    /// What the server says first.
    pub(super) async fn hello(&mut self) -> ServerHello {
        let mut block = vec![0; BLOCK];
        soon("the server's hello", self.stream.read_exact(&mut block)).await.unwrap();
        ServerHello::parse(from_block(&block).unwrap()).unwrap()
    }

    /// Goes on as an ordinary client does.
    pub(super) async fn greet(mut self, server: &Server) -> Session {
        let hello = self.hello().await;
        let fingerprint = server.address.key_hash().certificate().unwrap();
        let (session_id, tls_chain) = (&self.session_id, &self.certificates);
        let expected = Expected { fingerprint: &fingerprint, session_id, tls_chain, versions: SUPPORTED, now: now() };
        let verified = hello.verify(expected).unwrap();
        let key = X25519PrivateKey::generate(&mut random());
        self.stream.write_all(&block(&client_hello(server, verified.version, Some(&key)))).await.unwrap();
        let secret = key.agree(&verified.session_key);
        let (sealer, opener) = block_ciphers(Side::Client, &self.session_id, Some(&secret), false);
        Session { stream: self.stream, sealer, opener }
    }
}

pub(super) fn client_hello(server: &Server, version: u16, key: Option<&X25519PrivateKey>) -> ClientHello {
    let key_hash = server.address.key_hash().as_bytes().to_vec();
    ClientHello { version, key_hash, client_key: key.map(X25519PrivateKey::public), proxy: false, service: None }
}

pub(super) fn block(hello: &ClientHello) -> Vec<u8> {
    let mut bytes = Vec::new();
    hello.encode(&mut bytes);
    to_block(&bytes).unwrap()
}

/// TLS with settings of one's own. What the server made of it comes out when it is read from.
pub(super) async fn tls_with(server: &Server, set: impl FnOnce(&mut SslContextBuilder)) -> Option<Tls> {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    set(&mut context);
    let mut stream = SslStream::new(Ssl::new(&context.build()).unwrap(), tcp(server).await).unwrap();
    soon("TLS", Pin::new(&mut stream).connect()).await.ok().map(|()| stream)
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}
