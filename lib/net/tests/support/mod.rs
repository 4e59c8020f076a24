//! What the socket tests share: identities, and pairs of connected sockets on loopback.

#![allow(dead_code, reason = "every test binary uses its part")]

pub(crate) mod server;

use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use crypto::certificate::{self, CertificateChain, Fingerprint};
use crypto::dh::X25519PrivateKey;
use crypto::sign::{Ed25519PrivateKey, SigningPrivateKey};
use crypto::{SeededRandom, hash};
use net::identity::{Algorithm, CertificateAuthority, ServerIdentity};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslContext, SslMethod};
use openssl::x509::extension::BasicConstraints;
use openssl::x509::{X509, X509Name};
use smp::handshake::ServerHello;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

pub(crate) fn random(step: &str) -> SeededRandom {
    SeededRandom::new(&[7; 32], step)
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

pub(crate) fn identity(algorithm: Algorithm, name: &str) -> ServerIdentity {
    let mut random = random(name);
    let authority = CertificateAuthority::create(algorithm, now() - 60, &mut random).unwrap();
    authority.identity("127.0.0.1", now() - 60, &mut random).unwrap()
}

/// The two ends of one TCP connection: the client's, then the server's.
pub(crate) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

/// A certificate with a name and key of its own.
pub(crate) struct Certified {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

/// Makes a certificate named `name`, signed by `issuer` or by itself.
pub(crate) fn certify(name: &str, authority: bool, issuer: Option<&Certified>) -> Certified {
    let key = PKey::generate_ed25519().unwrap();
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(issuer.map_or(&subject, |issuer| issuer.certificate.subject_name())).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now() - 3600).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now() + 3600).unwrap()).unwrap();
    if authority {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    }
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::null()).unwrap();
    Certified { certificate: builder.build(), key }
}

/// A server that sends whatever it likes: any chain, then `hello` made from the session ID.
pub(crate) async fn rogue_server(tcp: TcpStream, chain: &[&Certified], hello: impl FnOnce(&[u8]) -> Vec<u8>) {
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_ciphersuites("TLS_CHACHA20_POLY1305_SHA256").unwrap();
    context.set_certificate(&chain[0].certificate).unwrap();
    context.set_private_key(&chain[0].key).unwrap();
    for above in &chain[1..] {
        context.add_extra_chain_cert(above.certificate.clone()).unwrap();
    }
    context.set_alpn_select_callback(|_, offered| Ok(&offered[1..]));
    let mut stream = SslStream::new(Ssl::new(&context.build()).unwrap(), tcp).unwrap();
    if Pin::new(&mut stream).accept().await.is_err() {
        return;
    }
    let mut session_id = [0; 32];
    assert_eq!(stream.ssl().peer_finished(&mut session_id), 32);
    let block = smp::handshake::to_block(&hello(&session_id)).unwrap();
    let _ = stream.write_all(&block).await;
    // The client decides when it has had enough.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// The hello of a server that shows `chain` and signs its session key with the first certificate's key.
pub(crate) fn signed_hello(chain: &[&Certified], session_id: &[u8]) -> ServerHello {
    let seed = chain[0].key.raw_private_key().unwrap().try_into().unwrap();
    let signer = SigningPrivateKey::Ed25519(Ed25519PrivateKey::from_seed(seed));
    let session_key = X25519PrivateKey::generate(&mut random("session")).public().to_der().try_into().unwrap();
    let certificates = chain.iter().map(|certified| certified.certificate.to_der().unwrap()).collect();
    ServerHello {
        versions: smp::version::SUPPORTED,
        session_id: session_id.to_vec(),
        certificates: CertificateChain::new(certificates),
        signed_key: certificate::sign_key(&signer, &session_key).unwrap(),
    }
}

pub(crate) fn fingerprint_of(certified: &Certified) -> Fingerprint {
    hash::sha256(&certified.certificate.to_der().unwrap())
}
