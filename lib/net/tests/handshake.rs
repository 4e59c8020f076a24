//! The SMP handshake over real sockets: what each side accepts, and how it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use codec::{Encode as _, VersionRange};
use crypto::certificate::{ChainError, Fingerprint};
use crypto::dh::X25519PrivateKey;
use net::Blame;
use net::handshake::{
    AcceptError, AcceptOptions, ClientConnection, ConnectError, ConnectOptions, ServerConnection, accept, connect,
    connect_over,
};
use net::identity::Algorithm;
use net::tls::{Acceptor, Connector, TlsError};
use smp::block::BLOCK;
use smp::error::{HandshakeError, TransportError};
use smp::handshake::{ClientHello, Expected, ServerHello, Side, VerifiedServer, block_ciphers};
use smp::service::{ServiceHello, ServiceResponse, ServiceRole};
use support::{Certified, certify, fingerprint_of, identity, now, random, rogue_server, signed_hello, tcp_pair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

fn acceptor() -> Acceptor {
    Acceptor::new(identity(Algorithm::Ed25519, "a")).unwrap()
}

fn key(name: &str) -> X25519PrivateKey {
    X25519PrivateKey::generate(&mut random(name))
}

/// A client that has done TLS and read the server's hello, and now does as a test pleases.
struct RawClient {
    stream: SslStream<TcpStream>,
    session_id: Vec<u8>,
    hello: ServerHello,
    server: VerifiedServer,
    fingerprint: Fingerprint,
}

impl RawClient {
    async fn connect(tcp: TcpStream, fingerprint: Fingerprint) -> Self {
        let tls = Connector::new().unwrap().connect(tcp, &fingerprint, now()).await.unwrap();
        let (mut stream, session_id) = (tls.session.stream, tls.session.session_id);
        let mut block = vec![0; BLOCK];
        stream.read_exact(&mut block).await.unwrap();
        let hello = ServerHello::parse(smp::handshake::from_block(&block).unwrap()).unwrap();
        let server = hello
            .verify(Expected {
                fingerprint: &fingerprint,
                session_id: &session_id,
                tls_chain: &tls.certificates,
                versions: smp::version::SUPPORTED,
                now: now(),
            })
            .unwrap();
        RawClient { stream, session_id, hello, server, fingerprint }
    }

    fn hello(&self) -> ClientHello {
        ClientHello {
            version: 18,
            key_hash: self.fingerprint.to_vec(),
            client_key: Some(key("client").public()),
            proxy: false,
            service: None,
        }
    }

    async fn send(&mut self, message: &[u8]) {
        self.stream.write_all(&smp::handshake::to_block(message).unwrap()).await.unwrap();
    }

    /// Everything until the server closes.
    async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes).await;
        bytes
    }
}

fn encoded(hello: &ClientHello) -> Vec<u8> {
    let mut bytes = Vec::new();
    hello.encode(&mut bytes);
    bytes
}

/// Lets a raw client meet our server; `hello` makes its message.
async fn meet(hello: impl FnOnce(&RawClient) -> Vec<u8>) -> (RawClient, Result<ServerConnection, AcceptError>) {
    let acceptor = acceptor();
    let (client_tcp, server_tcp) = tcp_pair().await;
    tokio::join!(
        async {
            let mut client = RawClient::connect(client_tcp, *acceptor.identity().fingerprint()).await;
            let message = hello(&client);
            client.send(&message).await;
            client
        },
        accept(server_tcp, &acceptor, AcceptOptions::default(), key("server"))
    )
}

async fn connected_pair() -> (ClientConnection, ServerConnection) {
    let acceptor = acceptor();
    let (client_tcp, server_tcp) = tcp_pair().await;
    let connector = Connector::new().unwrap();
    let fingerprint = *acceptor.identity().fingerprint();
    let (client, server) = tokio::join!(
        connect_over(client_tcp, &fingerprint, &connector, ConnectOptions::default(), key("client")),
        accept(server_tcp, &acceptor, AcceptOptions::default(), key("server"))
    );
    (client.unwrap(), server.unwrap())
}

#[tokio::test]
async fn smp_01_the_first_block_is_a_hello_with_the_clients_finished() {
    let (client, server) = meet(|client| encoded(&client.hello())).await;
    assert_eq!((client.hello.versions.min(), client.hello.versions.max()), (15, 18));
    assert_eq!(client.hello.session_id, client.session_id);
    let server = server.unwrap();
    assert_eq!(server.session_id, client.session_id);
    assert_eq!(server.version, 18);
    assert_eq!(server.session_key.public(), client.server.session_key);
    assert_eq!(server.secret.unwrap(), key("client").agree(&client.server.session_key));
}

#[tokio::test]
async fn smp_02_a_client_that_wants_another_server_is_closed_without_a_byte() {
    let (mut client, server) = meet(|client| encoded(&ClientHello { key_hash: vec![7; 32], ..client.hello() })).await;
    assert_eq!(client.read_to_end().await, b"");
    let identity = TransportError::Handshake(HandshakeError::Identity);
    assert!(matches!(server, Err(AcceptError::Hello(error)) if error == identity));
}

#[tokio::test]
async fn smp_03_a_client_of_another_version_is_closed_without_a_byte() {
    for version in [14, 19] {
        let (mut client, server) = meet(|client| encoded(&ClientHello { version, ..client.hello() })).await;
        assert_eq!(client.read_to_end().await, b"");
        assert!(matches!(server, Err(AcceptError::Hello(TransportError::Version))));
    }
}

#[tokio::test]
async fn smp_04_bytes_after_the_hello_are_left_to_later_versions() {
    let (_client, server) = meet(|client| [encoded(&client.hello()), b"more".to_vec()].concat()).await;
    assert_eq!(server.unwrap().version, 18);
}

#[tokio::test]
async fn smp_05_without_a_client_key_blocks_are_only_padded() {
    let (mut client, server) = meet(|client| encoded(&ClientHello { client_key: None, ..client.hello() })).await;
    let mut server = server.unwrap();
    assert!(server.secret.is_none());
    plain_both_ways(&mut client, &mut server).await;
}

#[tokio::test]
async fn smp_06_with_a_client_key_blocks_are_encrypted_each_way_with_its_own_chain() {
    let (mut client, server) = meet(|client| encoded(&client.hello())).await;
    let mut server = server.unwrap();
    let secret = key("client").agree(&client.server.session_key);
    let (mut sealer, mut opener) = block_ciphers(Side::Client, &client.session_id, Some(&secret), false);
    for text in [b"first".as_slice(), b"second"] {
        server.writer.queue(text).unwrap();
        server.writer.flush().await.unwrap();
        let mut block = Box::new([0; BLOCK]);
        client.stream.read_exact(block.as_mut_slice()).await.unwrap();
        assert!(!block.windows(text.len()).any(|window| window == text));
        assert_eq!(opener.open(&mut block).unwrap(), text);

        let mut block = Vec::new();
        sealer.seal(text, &mut block).unwrap();
        client.stream.write_all(&block).await.unwrap();
        assert_eq!(server.reader.read().await.unwrap().unwrap().unwrap(), text);
    }
}

#[tokio::test]
async fn smp_07_a_proxys_blocks_are_only_padded_but_a_secret_is_agreed() {
    let (mut client, server) = meet(|client| encoded(&ClientHello { proxy: true, ..client.hello() })).await;
    let mut server = server.unwrap();
    assert!(server.secret.is_some());
    plain_both_ways(&mut client, &mut server).await;
}

async fn plain_both_ways(client: &mut RawClient, server: &mut ServerConnection) {
    server.writer.queue(b"to client").unwrap();
    server.writer.flush().await.unwrap();
    let mut block = vec![0; BLOCK];
    client.stream.read_exact(&mut block).await.unwrap();
    assert_eq!(smp::handshake::from_block(&block).unwrap(), b"to client");
    client.send(b"to server").await;
    assert_eq!(server.reader.read().await.unwrap().unwrap().unwrap(), b"to server");
}

/// How our client fares with a server that shows `chain`, when the address names `identity`.
async fn meet_chain(chain: &[&Certified], identity: &Certified) -> Result<ClientConnection, ConnectError> {
    let (client_tcp, server_tcp) = tcp_pair().await;
    let hello = |session_id: &[u8]| {
        let mut bytes = Vec::new();
        signed_hello(chain, session_id).encode(&mut bytes);
        bytes
    };
    let connector = Connector::new().unwrap();
    let fingerprint = fingerprint_of(identity);
    let client = connect_over(client_tcp, &fingerprint, &connector, ConnectOptions::default(), key("client"));
    tokio::select! {
        outcome = client => outcome,
        () = rogue_server(server_tcp, chain, hello) => panic!("the client decides"),
    }
}

fn chain_error(outcome: Result<ClientConnection, ConnectError>) -> ChainError {
    match outcome {
        Err(error @ ConnectError::Tls(TlsError::Chain(chain))) => {
            assert_eq!(error.blame(), Blame::Identity);
            chain
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn smp_08_chains_of_two_to_four_certificates_with_the_identity_second_are_accepted() {
    let root = certify("root", true, None);
    let network = certify("network", true, Some(&root));
    for anchor in [None, Some(&root), Some(&network)] {
        let identity = certify("identity", true, anchor);
        let leaf = certify("leaf", false, Some(&identity));
        let chain: Vec<&Certified> = match anchor {
            None => vec![&leaf, &identity],
            Some(anchor) if std::ptr::eq(anchor, &root) => vec![&leaf, &identity, &root],
            Some(_) => vec![&leaf, &identity, &network, &root],
        };
        let connection = meet_chain(&chain, &identity).await.unwrap();
        assert_eq!(connection.version, 18);
    }
}

#[tokio::test]
async fn smp_08_other_chains_are_rejected() {
    let (identity, other) = (certify("identity", true, None), certify("identity", true, None));
    let leaf = certify("leaf", false, Some(&identity));
    assert_eq!(chain_error(meet_chain(&[&leaf], &identity).await), ChainError::Length(1));
    let five = [&leaf, &identity, &identity, &identity, &identity];
    assert_eq!(chain_error(meet_chain(&five, &identity).await), ChainError::Length(5));
    assert_eq!(chain_error(meet_chain(&[&leaf, &identity], &other).await), ChainError::Fingerprint);
    assert_eq!(chain_error(meet_chain(&[&leaf, &other], &other).await), ChainError::Signature(0));
    let own = certify("leaf", false, None);
    assert!(matches!(chain_error(meet_chain(&[&own, &own], &own).await), ChainError::Leaf | ChainError::Signature(0)));
    let powerless = certify("powerless", false, Some(&other));
    let under = certify("leaf", false, Some(&powerless));
    let chain = [&under, &powerless, &other];
    assert_eq!(chain_error(meet_chain(&chain, &powerless).await), ChainError::NotAnAuthority(1));
}

#[tokio::test]
async fn smp_08_somebody_elses_identity_between_own_certificates_is_rejected() {
    let identity = certify("identity", true, None);
    for name in ["attacker", "identity"] {
        let authority = certify(name, true, None);
        let leaf = certify("leaf", false, Some(&authority));
        let attack = [&leaf, &identity, &authority];
        assert_eq!(chain_error(meet_chain(&attack, &identity).await), ChainError::Signature(0));
    }
}

/// How our client fares with a server whose TLS is right and whose hello a test made wrong.
async fn meet_hello(change: impl FnOnce(&mut ServerHello)) -> ConnectError {
    let identity = certify("identity", true, None);
    let leaf = certify("leaf", false, Some(&identity));
    let chain = [&leaf, &identity];
    let (client_tcp, server_tcp) = tcp_pair().await;
    let hello = |session_id: &[u8]| {
        let mut hello = signed_hello(&chain, session_id);
        change(&mut hello);
        let mut bytes = Vec::new();
        hello.encode(&mut bytes);
        bytes
    };
    let connector = Connector::new().unwrap();
    let fingerprint = fingerprint_of(&identity);
    let client = connect_over(client_tcp, &fingerprint, &connector, ConnectOptions::default(), key("client"));
    tokio::select! {
        outcome = client => outcome.unwrap_err(),
        () = rogue_server(server_tcp, &chain, hello) => panic!("the client decides"),
    }
}

#[tokio::test]
async fn a_hello_that_does_not_fit_its_tls_session_is_rejected() {
    let hello_error = |error: ConnectError| match error {
        ConnectError::Hello(transport) => (transport, error.blame()),
        other => panic!("{other:?}"),
    };
    let bad_auth = (TransportError::Handshake(HandshakeError::BadAuth), Blame::Identity);
    let other_session = meet_hello(|hello| hello.session_id[0] ^= 1).await;
    assert_eq!(hello_error(other_session), (TransportError::Session, Blame::Identity));
    let other_chain = meet_hello(|hello| {
        let mut certificates = hello.certificates.certificates().to_vec();
        certificates.swap(0, 1);
        hello.certificates = crypto::certificate::CertificateChain::new(certificates);
    });
    assert_eq!(hello_error(other_chain.await), bad_auth);
    let other_signature = meet_hello(|hello| *hello.signed_key.last_mut().unwrap() ^= 1).await;
    assert_eq!(hello_error(other_signature), bad_auth);
    for (min, max) in [(6, 14), (19, 20)] {
        let other_version = meet_hello(|hello| hello.versions = VersionRange::new(min, max).unwrap()).await;
        assert_eq!(hello_error(other_version), (TransportError::Version, Blame::Version));
    }
    let wider = meet_hello(|hello| {
        hello.versions = VersionRange::new(6, 30).unwrap();
        hello.session_id.clear();
    });
    assert_eq!(hello_error(wider.await).0, TransportError::Session);
}

#[tokio::test]
async fn a_service_is_refused_because_no_certificate_was_asked_for() {
    let (mut client, server) = meet(|client| {
        let certificates = client.hello.certificates.clone();
        let service =
            ServiceHello { role: ServiceRole::Messaging, certificates, signed_key: client.hello.signed_key.clone() };
        encoded(&ClientHello { service: Some(service), ..client.hello() })
    })
    .await;
    let bad_auth = TransportError::Handshake(HandshakeError::BadAuth);
    assert!(matches!(server, Err(AcceptError::Hello(error)) if error == bad_auth));
    let answer = client.read_to_end().await;
    assert_eq!(answer.len(), BLOCK, "one block, then the end");
    let response = ServiceResponse::parse(smp::handshake::from_block(&answer).unwrap()).unwrap();
    assert_eq!(response, ServiceResponse::Refused(bad_auth));
}

#[tokio::test]
async fn garbage_instead_of_a_hello_is_closed_without_a_byte() {
    for garbage in [vec![0xff; 16_000], vec![], b"\0\x12\x20".to_vec()] {
        let (mut client, server) = meet(|_| garbage).await;
        assert_eq!(client.read_to_end().await, b"");
        let parse = TransportError::Handshake(HandshakeError::Parse);
        assert!(matches!(server, Err(AcceptError::Hello(error)) if error == parse));
    }
}

#[tokio::test]
async fn a_client_that_never_speaks_tls_or_smp_runs_into_the_right_timeout() {
    let acceptor = acceptor();
    let short = Duration::from_millis(50);
    let options = AcceptOptions { tls_timeout: short, ..AcceptOptions::default() };
    let (_client, server) = tcp_pair().await;
    let outcome = accept(server, &acceptor, options, key("server")).await;
    assert!(matches!(outcome, Err(AcceptError::TlsTimeout(after)) if after == short));

    let options = AcceptOptions { handshake_timeout: short, ..AcceptOptions::default() };
    let (client, server) = tcp_pair().await;
    let (outcome, _client) = tokio::join!(
        accept(server, &acceptor, options, key("server")),
        RawClient::connect(client, *acceptor.identity().fingerprint())
    );
    assert!(matches!(outcome, Err(AcceptError::HandshakeTimeout(after)) if after == short));
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_hello_is_noticed() {
    let acceptor = acceptor();
    let (client, server) = tcp_pair().await;
    let (outcome, ()) = tokio::join!(accept(server, &acceptor, AcceptOptions::default(), key("server")), async {
        let mut client = RawClient::connect(client, *acceptor.identity().fingerprint()).await;
        client.stream.write_all(&[0; 100]).await.unwrap();
        client.stream.shutdown().await.unwrap();
    });
    assert!(matches!(outcome, Err(AcceptError::Closed)));
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_timeout() {
    let (client, _server) = tcp_pair().await;
    let options = ConnectOptions { timeout: Duration::from_millis(50), ..ConnectOptions::default() };
    let outcome = connect_over(client, &[0; 32], &Connector::new().unwrap(), options, key("client")).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut(_)));
    assert_eq!(error.blame(), Blame::TimedOut);
}

#[tokio::test]
async fn an_address_is_dialled_host_by_host() {
    let acceptor = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fingerprint = codec::text::base64url(acceptor.identity().fingerprint());
    let connector = Connector::new().unwrap();
    let options = ConnectOptions::default();
    // Nothing listens on 127.0.0.2; onion hosts are passed over.
    let address = format!("smp://{fingerprint}@abc.onion,127.0.0.2,127.0.0.1:{port}").parse().unwrap();
    let (client, server) = tokio::join!(connect(&address, &connector, options, key("client")), async {
        let (tcp, _) = listener.accept().await.unwrap();
        accept(tcp, &acceptor, AcceptOptions::default(), key("server")).await
    });
    assert_eq!(client.unwrap().session_id, server.unwrap().session_id);

    drop(listener);
    let gone = connect(&address, &connector, options, key("client")).await.unwrap_err();
    assert!(matches!(&gone, ConnectError::Unreachable { host, .. } if *host == format!("127.0.0.1:{port}")), "{gone}");
    assert_eq!(gone.blame(), Blame::Unreachable);
    let onion = format!("smp://{fingerprint}@abc.onion").parse().unwrap();
    let onion = connect(&onion, &connector, options, key("client")).await.unwrap_err();
    assert!(matches!(onion, ConnectError::OnionOnly));
    let nobody = "smp://AAAA@127.0.0.1".parse().unwrap();
    let nobody = connect(&nobody, &connector, options, key("client")).await.unwrap_err();
    assert!(matches!(nobody, ConnectError::NoFingerprint));
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_block_ends_the_session() {
    let (mut client, server) = meet(|client| encoded(&client.hello())).await;
    let mut server = server.unwrap();
    client.stream.write_all(&[1; BLOCK / 2]).await.unwrap();
    client.stream.shutdown().await.unwrap();
    assert!(server.reader.read().await.unwrap().is_none());
}

#[tokio::test]
async fn a_block_that_does_not_decrypt_leaves_the_connection_usable() {
    let (mut client, server) = meet(|client| encoded(&client.hello())).await;
    let mut server = server.unwrap();
    let secret = key("client").agree(&client.server.session_key);
    let (mut sealer, _) = block_ciphers(Side::Client, &client.session_id, Some(&secret), false);
    let mut blocks = Vec::new();
    sealer.seal(b"lost", &mut blocks).unwrap();
    sealer.seal(b"next", &mut blocks).unwrap();
    blocks[100] ^= 1;
    client.stream.write_all(&blocks).await.unwrap();
    assert!(server.reader.read().await.unwrap().unwrap().is_err());
    assert_eq!(server.reader.read().await.unwrap().unwrap().unwrap(), b"next");
}

#[tokio::test]
async fn cancelled_reads_and_flushes_lose_nothing() {
    let (mut client, mut server) = connected_pair().await;
    let payloads: Vec<Vec<u8>> = (0..200_u8).map(|i| vec![i; 1000]).collect();
    for payload in &payloads {
        client.writer.queue(payload).unwrap();
    }
    // 200 blocks exceed what the sockets buffer, so early flushes cannot finish.
    let sender = async {
        while client.writer.queued() > 0 {
            let _ = tokio::time::timeout(Duration::from_micros(200), client.writer.flush()).await;
        }
    };
    let receiver = async {
        let mut received = Vec::new();
        while received.len() < payloads.len() {
            let read = tokio::time::timeout(Duration::from_micros(200), server.reader.read()).await;
            if let Ok(payload) = read {
                received.push(payload.unwrap().unwrap().unwrap().to_vec());
            }
        }
        received
    };
    let ((), received) = tokio::join!(sender, receiver);
    assert_eq!(received, payloads);
}

#[tokio::test]
async fn both_directions_are_independent() {
    let (mut client, mut server) = connected_pair().await;
    // Neither side reads until its own writing would block; one half must not keep the other from its work.
    let pump = async |writer: &mut net::block_stream::PayloadWriter, reader: &mut net::block_stream::PayloadReader| {
        let write = async {
            for _ in 0..200 {
                writer.queue(&[1; 10_000]).unwrap();
                writer.flush().await.unwrap();
            }
        };
        let read = async {
            for _ in 0..200 {
                reader.read().await.unwrap().unwrap().unwrap();
            }
        };
        tokio::join!(write, read);
    };
    tokio::join!(pump(&mut client.writer, &mut client.reader), pump(&mut server.writer, &mut server.reader));
}
