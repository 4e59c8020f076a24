//! The TLS profile over real sockets, against our own other side and against the `openssl` program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};

use crypto::certificate::ChainError;
use net::Blame;
use net::identity::{Algorithm, CertificateAuthority, ServerIdentity};
use net::tls::{Acceptor, Connector, TlsError, TlsSession, VerifiedTlsSession};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use support::{identity, now, random, tcp_pair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

async fn both(server: ServerIdentity) -> (VerifiedTlsSession, TlsSession) {
    let fingerprint = *server.fingerprint();
    let (client, acceptor) = (Connector::new().unwrap(), Acceptor::new(server).unwrap());
    let (client_tcp, server_tcp) = tcp_pair().await;
    let (client, server) = tokio::join!(client.connect(client_tcp, &fingerprint, now()), acceptor.accept(server_tcp));
    (client.unwrap(), server.unwrap())
}

/// Our acceptor against a client with other settings.
async fn accept_stranger(client: SslContext) -> (Result<TlsSession, TlsError>, SslStream<TcpStream>, bool) {
    let acceptor = Acceptor::new(identity(Algorithm::Ed25519, "a")).unwrap();
    let (client_tcp, server_tcp) = tcp_pair().await;
    let mut stream = SslStream::new(Ssl::new(&client).unwrap(), client_tcp).unwrap();
    let (connected, accepted) = tokio::join!(Pin::new(&mut stream).connect(), acceptor.accept(server_tcp));
    (accepted, stream, connected.is_ok())
}

/// Our connector against a server with other settings.
async fn connect_to_stranger(server: SslContext) -> TlsError {
    let (client_tcp, server_tcp) = tcp_pair().await;
    let mut stream = SslStream::new(Ssl::new(&server).unwrap(), server_tcp).unwrap();
    let connector = Connector::new().unwrap();
    let (connected, _) = tokio::join!(connector.connect(client_tcp, &[0; 32], now()), Pin::new(&mut stream).accept());
    connected.unwrap_err()
}

fn plain_client(alpn: &[u8]) -> openssl::ssl::SslContextBuilder {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_verify(SslVerifyMode::NONE);
    if !alpn.is_empty() {
        context.set_alpn_protos(alpn).unwrap();
    }
    context
}

fn plain_server(identity: &ServerIdentity, key: &[u8]) -> openssl::ssl::SslContextBuilder {
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_certificate(&X509::from_der(&identity.chain_der()[0]).unwrap()).unwrap();
    context.set_private_key(&openssl::pkey::PKey::private_key_from_pem(key).unwrap()).unwrap();
    context
}

#[tokio::test]
async fn both_sides_have_the_same_session_id_and_every_session_another() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Ed448] {
        let server = identity(algorithm, "a");
        let (client_1, server_1) = both(server.clone()).await;
        let (client_2, server_2) = both(server).await;
        assert_eq!(client_1.session.session_id.len(), 32);
        assert_eq!(client_1.session.session_id, server_1.session_id);
        assert_eq!(client_2.session.session_id, server_2.session_id);
        assert_ne!(client_1.session.session_id, client_2.session.session_id);
    }
}

#[tokio::test]
async fn the_profile_is_the_only_one_that_is_negotiated() {
    let (client, server) = both(identity(Algorithm::Ed25519, "a")).await;
    for ssl in [client.session.stream.ssl(), server.stream.ssl()] {
        assert_eq!(ssl.version_str(), "TLSv1.3");
        assert_eq!(ssl.current_cipher().unwrap().name(), "TLS_CHACHA20_POLY1305_SHA256");
        assert_eq!(ssl.selected_alpn_protocol(), Some(b"smp/1".as_slice()));
        assert!(!ssl.session_reused());
    }
    assert_eq!(server.stream.ssl().servername(openssl::ssl::NameType::HOST_NAME), None);
    let tmp_key = client.session.stream.ssl().peer_tmp_key().unwrap();
    assert_eq!(tmp_key.id(), openssl::pkey::Id::X448);
}

#[tokio::test]
async fn bytes_go_both_ways_and_closing_is_noticed() {
    let (client, mut server) = both(identity(Algorithm::Ed25519, "a")).await;
    let mut client = client.session.stream;
    client.write_all(b"ping").await.unwrap();
    let mut buffer = [0; 4];
    server.stream.read_exact(&mut buffer).await.unwrap();
    server.stream.write_all(&buffer).await.unwrap();
    client.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"ping");
    server.stream.shutdown().await.unwrap();
    assert_eq!(client.read(&mut buffer).await.unwrap(), 0, "close_notify arrives as a clean end");
}

#[tokio::test]
async fn a_client_in_web_port_mode_is_accepted_and_others_are_not() {
    for alpn in [b"\x08http/1.1".as_slice(), b"\x02h2", b"\x05smp/1", b"\x07unknown\x05smp/1"] {
        let (accepted, stream, _) = accept_stranger(plain_client(alpn).build()).await;
        let session = accepted.unwrap();
        assert_eq!(session.stream.ssl().selected_alpn_protocol(), stream.ssl().selected_alpn_protocol());
    }
    let (accepted, _, connected) = accept_stranger(plain_client(b"\x05smp/2\x03foo").build()).await;
    assert!(matches!(accepted, Err(TlsError::Handshake(_))));
    assert!(!connected, "no_application_protocol");
}

#[tokio::test]
async fn a_client_without_alpn_is_closed_after_tls() {
    let (accepted, mut stream, connected) = accept_stranger(plain_client(b"").build()).await;
    assert!(matches!(accepted, Err(TlsError::NoAlpn)));
    assert!(connected);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "closed without a byte");
}

#[tokio::test]
async fn clients_outside_the_profile_are_refused() {
    let alpn = b"\x05smp/1";
    let mut older = plain_client(alpn);
    older.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    let mut other_suite = plain_client(alpn);
    other_suite.set_ciphersuites("TLS_AES_256_GCM_SHA384").unwrap();
    let mut other_group = plain_client(alpn);
    other_group.set_groups_list("P-256").unwrap();
    let mut other_signature = plain_client(alpn);
    other_signature.set_sigalgs_list("ecdsa_secp256r1_sha256").unwrap();
    for client in [older, other_suite, other_group, other_signature] {
        let (accepted, _, connected) = accept_stranger(client.build()).await;
        assert!(matches!(accepted, Err(TlsError::Handshake(_))));
        assert!(!connected);
    }
    // A client that can do X25519 only is asked to retry with it.
    let mut smaller_group = plain_client(alpn);
    smaller_group.set_groups_list("P-256:X25519").unwrap();
    assert!(accept_stranger(smaller_group.build()).await.0.is_ok());
}

#[tokio::test]
async fn servers_outside_the_profile_are_refused() {
    let mut random = random("a");
    let authority = CertificateAuthority::create(Algorithm::Ed25519, now(), &mut random).unwrap();
    let leaf = authority.issue("a", now(), &mut random).unwrap();
    let (certificate, key) = (leaf.certificate_pem().unwrap(), leaf.key_pem().unwrap());
    let identity = ServerIdentity::from_pem(&certificate, &key, &authority.certificate_pem().unwrap(), now()).unwrap();
    let mut older = plain_server(&identity, &key);
    older.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    let mut other_suite = plain_server(&identity, &key);
    other_suite.set_ciphersuites("TLS_AES_128_GCM_SHA256").unwrap();
    let mut other_group = plain_server(&identity, &key);
    other_group.set_groups_list("P-384").unwrap();
    for server in [older, other_suite, other_group] {
        let error = connect_to_stranger(server.build()).await;
        assert!(matches!(error, TlsError::Handshake(_)), "{error}");
        assert_eq!(error.blame(), Blame::Protocol);
    }
    // A leaf alone names nobody.
    let error = connect_to_stranger(plain_server(&identity, &key).build()).await;
    assert!(matches!(error, TlsError::Chain(ChainError::Length(1))), "{error}");
    assert_eq!(error.blame(), Blame::Identity);
}

#[tokio::test]
async fn garbage_is_no_tls() {
    let acceptor = Acceptor::new(identity(Algorithm::Ed25519, "a")).unwrap();
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".repeat(10), vec![0; 1000], vec![0x16; 20_000]] {
        let (mut client, server) = tcp_pair().await;
        let (accepted, _) = tokio::join!(acceptor.accept(server), async {
            let _ = client.write_all(&garbage).await;
            let _ = client.shutdown().await;
        });
        assert!(matches!(accepted, Err(TlsError::Handshake(_))));
    }
}

/// The `openssl` program, if this machine has it.
fn openssl_program() -> Option<Command> {
    let found = Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    found.then(|| Command::new("openssl"))
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_openssl_program_connects_to_us() {
    let Some(mut program) = openssl_program() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = program
        .args(["s_client", "-connect", &address.to_string(), "-tls1_3", "-alpn", "smp/1", "-noservername", "-quiet"])
        .args(["-groups", "X25519", "-nocommands"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = Killed(client);
    let acceptor = Acceptor::new(identity(Algorithm::Ed448, "a")).unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    let mut session = acceptor.accept(tcp).await.unwrap();
    client.0.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
    let mut buffer = [0; 6];
    session.stream.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"hello\n");
}

#[tokio::test]
async fn we_connect_to_the_openssl_program() {
    let Some(mut program) = openssl_program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let files = net::identity::files::IdentityFiles::in_dir(dir.path());
    let identity = files.create(Algorithm::Ed25519, "127.0.0.1", now(), &mut random("program")).unwrap();
    let port = free_port();
    let server = program
        .args(["s_server", "-accept", &port.to_string(), "-tls1_3", "-alpn", "smp/1", "-quiet", "-naccept", "1"])
        .arg("-cert")
        .arg(&files.certificate)
        .arg("-key")
        .arg(&files.key)
        .arg("-cert_chain")
        .arg(&files.ca_certificate)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut server = Killed(server);
    let tcp = connect_when_ready(SocketAddr::from(([127, 0, 0, 1], port))).await;
    let mut client = Connector::new().unwrap().connect(tcp, identity.fingerprint(), now()).await.unwrap();
    server.0.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
    let mut buffer = [0; 6];
    client.session.stream.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"hello\n");
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn connect_when_ready(address: SocketAddr) -> TcpStream {
    for _ in 0..500 {
        if let Ok(tcp) = TcpStream::connect(address).await {
            return tcp;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the openssl program does not listen");
}
