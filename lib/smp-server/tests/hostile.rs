//! Clients that misbehave: the right error or a closed connection, bounded memory, and service for the others.
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

use crypto::{Random as _, SeededRandom};
use net::tls::Connector;
use smp::block::{BLOCK, transmissions};
use smp::command::Command;
use smp::error::Error;
use smp::handshake::{ClientHello, to_block};
use smp::id::EntityId;
use smp::response::Response;
use smp::transmission::ServerTransmission;
use smp_server::config::{Config, Inactivity, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use support::{Server, config, in_time, messaging, unsubscribed};

/// The server still does its work for others.
async fn serves(server: &Server) {
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    assert_eq!(queue.send(&mut peer, b"hello").await, Response::Ok);
    assert_eq!(queue.pushed(&mut peer).await.body(), b"hello");
}

async fn read_to_end(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut received = Vec::new();
    // A reset is as good an end as any.
    let _ = in_time(stream.read_to_end(&mut received)).await;
    received
}

/// A client that has done TLS and the hellos by hand and now sends blocks as they are.
async fn bare(server: &Server) -> SslStream<TcpStream> {
    let mut stream = after_tls(server).await;
    let hello = ClientHello {
        version: 18,
        key_hash: server.identity.fingerprint().to_vec(),
        client_key: None,
        proxy: false,
        service: None,
    };
    stream.write_all(&to_block(&codec::Encode::to_bytes(&hello)).unwrap()).await.unwrap();
    stream
}

/// TLS is done and the server's hello read.
async fn after_tls(server: &Server) -> SslStream<TcpStream> {
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let connector = Connector::new().unwrap();
    let tls = connector.connect(tcp, server.identity.fingerprint(), i64::try_from(now).unwrap()).await.unwrap();
    let mut stream = tls.session.stream;
    let mut hello = vec![0; BLOCK];
    in_time(stream.read_exact(&mut hello)).await.unwrap();
    stream
}

/// What the server answers to one block of a client without block encryption.
async fn answer(stream: &mut SslStream<TcpStream>, block: &[u8]) -> Vec<ServerTransmission> {
    stream.write_all(block).await.unwrap();
    receive(stream).await
}

async fn receive(stream: &mut SslStream<TcpStream>) -> Vec<ServerTransmission> {
    let mut block = vec![0; BLOCK];
    in_time(stream.read_exact(&mut block)).await.unwrap();
    let payload = crypto::pad::unpad(&block).unwrap();
    transmissions(payload).unwrap().into_iter().map(|bytes| ServerTransmission::parse(18, bytes).unwrap()).collect()
}

#[tokio::test]
async fn ten_thousand_random_blocks_each_get_their_error() {
    let server = Server::start().await;
    let mut stream = bare(&server).await;
    let mut random = SeededRandom::new(&[3; 32], "blocks");
    let mut block = vec![0; BLOCK];
    random.fill(&mut block);
    for round in 0..10_000_u32 {
        // Fresh randomness where it matters: the length, the count and the first transmissions.
        random.fill(&mut block[..64]);
        if round % 2 == 0 {
            // The block unpads and its payload begins like one.
            block[..6].copy_from_slice(&[0x3f, 0xf0, 1, 0x3f, 0xed, 0]);
        }
        for answer in answer(&mut stream, &block).await {
            assert!(matches!(answer.response, Ok(Response::Err(Error::Block | Error::Command(_)))), "{answer:?}");
        }
    }
    serves(&server).await;
}

#[tokio::test]
async fn a_block_that_does_not_unpad_leaves_the_connection_usable() {
    let server = Server::start().await;
    let mut stream = bare(&server).await;
    let unreadable = answer(&mut stream, &[0xff; BLOCK]).await;
    assert_eq!(unreadable[0].response, Ok(Response::Err(Error::Block)));
    let ping = [&[0, 11, 1, 0, 8, 0, 1, b'x', 0][..], b"PING"].concat();
    let mut block = vec![b'#'; BLOCK];
    block[..ping.len()].copy_from_slice(&ping);
    block[1] = u8::try_from(ping.len() - 2).unwrap();
    block[4] = u8::try_from(ping.len() - 5).unwrap();
    assert_eq!(answer(&mut stream, &block).await[0].response, Ok(Response::Pong));
}

#[tokio::test]
async fn what_is_not_tls_is_cut_off() {
    let server = Server::start().await;
    let mut random = SeededRandom::new(&[4; 32], "garbage");
    for length in [0, 1, 100, 20_000] {
        let mut tcp = TcpStream::connect(server.address).await.unwrap();
        let mut garbage = vec![0; length];
        random.fill(&mut garbage);
        // The server may cut the connection while we write.
        let _ = tcp.write_all(&garbage).await;
        let _ = tcp.shutdown().await;
        assert!(read_to_end(tcp).await.len() < 100, "at most an alert");
    }
    serves(&server).await;
}

#[tokio::test]
async fn a_hello_that_is_wrong_or_cut_off_ends_the_connection_without_a_word() {
    let server = Server::start().await;
    let hello = |version, key_hash: &[u8]| ClientHello {
        version,
        key_hash: key_hash.to_vec(),
        client_key: None,
        proxy: false,
        service: None,
    };
    let fingerprint = server.identity.fingerprint().as_slice();
    for hello in [hello(14, fingerprint), hello(19, fingerprint), hello(18, &[0; 32])] {
        let mut stream = after_tls(&server).await;
        stream.write_all(&to_block(&codec::Encode::to_bytes(&hello)).unwrap()).await.unwrap();
        assert_eq!(read_to_end(stream).await, b"");
    }
    for block in [vec![0xff; BLOCK], vec![0; BLOCK], vec![0; BLOCK - 1]] {
        let mut stream = after_tls(&server).await;
        stream.write_all(&block).await.unwrap();
        std::pin::Pin::new(&mut stream).shutdown().await.unwrap();
        assert_eq!(read_to_end(stream).await, b"");
    }
    serves(&server).await;
}

#[tokio::test]
async fn who_dawdles_in_the_handshake_is_cut_off() {
    let short = Duration::from_millis(50);
    let server = Server::start_with(Config { tls_timeout: short, ..config() }).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(read_to_end(silent).await, b"");

    let server = Server::start_with(Config { handshake_timeout: short, ..config() }).await;
    let mut one_byte_of_hello = after_tls(&server).await;
    // The server may have cut the connection already.
    let _ = one_byte_of_hello.write_all(&[0]).await;
    assert_eq!(read_to_end(one_byte_of_hello).await, b"");
}

#[tokio::test]
async fn a_block_cut_off_in_the_middle_ends_the_connection() {
    let server = Server::start().await;
    let mut stream = bare(&server).await;
    stream.write_all(&[0; 1000]).await.unwrap();
    std::pin::Pin::new(&mut stream).shutdown().await.unwrap();
    assert_eq!(read_to_end(stream).await, b"");
    serves(&server).await;
}

#[tokio::test]
async fn connections_beyond_the_limits_are_refused_until_others_end() {
    for limits in
        [Limits { connections: 2, ..Limits::default() }, Limits { connections_per_address: 2, ..Limits::default() }]
    {
        let server = Server::start_with(Config { limits, ..config() }).await;
        let (mut first, mut second) = (server.connect().await, server.connect().await);
        let refused = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(read_to_end(refused).await, b"");
        first.nothing_more().await;
        second.nothing_more().await;
        first.connection.writer.close().await.unwrap();
        first.closed().await;
        drop(first);
        // The place is given back when the server has noticed.
        let place = async {
            loop {
                let mut tcp = TcpStream::connect(server.address).await.unwrap();
                // A refused connection is closed at once, an accepted one waits for TLS.
                if tokio::time::timeout(Duration::from_millis(50), tcp.read(&mut [0])).await.is_err() {
                    return;
                }
            }
        };
        in_time(place).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_from_and_costs_the_others_nothing() {
    let limits = Limits { blocks_in_flight: 2, ..Limits::default() };
    let server = Server::start_with(Config { limits, write_timeout: Duration::from_secs(1), ..config() }).await;
    let mut deaf = server.connect().await;
    let ping = deaf.encode(&smp::id::CorrId::from([1; 24]), &EntityId::default(), &Command::Ping, None);
    let flood = async {
        // Far more than socket buffers hold: sooner or later the server stops reading, then gives up on the client.
        loop {
            let payload = smp::block::payloads([ping.as_slice()]).pop().unwrap();
            deaf.connection.writer.queue(&payload).unwrap();
            if deaf.connection.writer.flush().await.is_err() {
                return;
            }
        }
    };
    in_time(async { tokio::join!(flood, serves(&server)) }).await;
    serves(&server).await;
}

#[tokio::test]
async fn silent_connections_without_a_subscription_are_closed() {
    let inactivity = Inactivity { ttl: Duration::from_secs(100), interval: Duration::from_millis(10) };
    let server = Server::start_with(Config { inactivity: Some(inactivity), ..config() }).await;
    let (mut idle, mut subscribed) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut subscribed).await;
    server.advance(99);
    idle.nothing_more().await;
    server.advance(99);
    idle.nothing_more().await;
    server.advance(101);
    idle.closed().await;
    subscribed.nothing_more().await;
    // Without its queue it is like any other.
    assert_eq!(queue.does(&mut subscribed, Command::Del).await, Response::Ok);
    server.advance(101);
    subscribed.closed().await;
}

#[tokio::test]
async fn stopping_finishes_what_was_begun_and_says_goodbye() {
    let mut server = Server::start().await;
    let (mut peer, mut idle) = (server.connect().await, server.connect().await);
    let queue = unsubscribed(&mut peer).await;
    let mut sent = Vec::new();
    for number in 0..10 {
        sent.push(peer.submit(None, queue.sender_id.clone(), support::send(&[number])).await);
    }
    // The last is answered before the server stops, so all are.
    for sent in sent {
        assert_eq!(peer.response(sent).await, Response::Ok);
    }
    server.stop().await;
    peer.closed().await;
    idle.closed().await;
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn hundreds_of_idle_connections_are_cheap() {
    let server = Server::start().await;
    let mut peers = Vec::new();
    for _ in 0..200 {
        peers.push(server.connect().await);
    }
    serves(&server).await;
    for peer in &mut peers {
        peer.nothing_more().await;
    }
}
