//! What the socket tests share: identities, and pairs of connected sockets on loopback.

#![allow(dead_code, reason = "every test binary uses its part")]

use std::time::{SystemTime, UNIX_EPOCH};

use crypto::SeededRandom;
use net::identity::{Algorithm, CertificateAuthority, ServerIdentity};
use tokio::net::{TcpListener, TcpStream};

pub fn random(step: &str) -> SeededRandom {
    SeededRandom::new(&[7; 32], step)
}

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

pub fn identity(algorithm: Algorithm, name: &str) -> ServerIdentity {
    let mut random = random(name);
    let authority = CertificateAuthority::create(algorithm, now() - 60, &mut random).unwrap();
    authority.identity("127.0.0.1", now() - 60, &mut random).unwrap()
}

/// The two ends of one TCP connection: the client's, then the server's.
pub async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}
