//! Hellos, their checks, and the first blocks after them: `handshake.json`.

use codec::{Encode as _, VersionRange};
use crypto::certificate::{Fingerprint, sign_key};
use crypto::dh::SharedSecret;
use crypto::hash;
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey, SigningPrivateKey};
use serde_json::Value;
use smp::block::{BLOCK, BlockOpener, BlockSealer};
use smp::error::{HandshakeError, TransportError};
use smp::handshake::{ClientHello, Expected, ServerHello, Side, VerifiedServer, block_ciphers, from_block, to_block};
use smp::id::ServiceId;
use smp::service::{ServiceHello, ServiceResponse, ServiceRole, VerifiedService};

use crate::support::{array, assert_bytes, chain, dh_private};
use crate::vectors::{Vector, each, hex, number, operations};

const FILE: &str = "handshake.json";
/// Checked where certificates are defined.
const CERTIFICATES: [&str; 3] = ["chain_validate", "signed_key", "signed_key_verify"];
/// Checked here.
const OURS: [&str; 4] = ["handshake", "service_handshake", "client_handshake_check", "server_handshake_check"];
/// 2027-01-01, when the certificates of the vectors are valid unless they are meant to be expired.
const NOW: i64 = 1_798_761_600;

#[test]
fn every_operation_of_the_file_has_a_test() {
    let covered = [OURS.as_slice(), &CERTIFICATES].concat();
    assert_eq!(operations(FILE), covered.into_iter().map(str::to_owned).collect());
}

fn range(vector: &Vector, pointer: &str) -> VersionRange {
    let value = vector.at(pointer);
    VersionRange::new(number(&value[0]), number(&value[1])).unwrap()
}

fn signing_key(value: &Value) -> SigningPrivateKey {
    match value["alg"].as_str().unwrap() {
        "Ed25519" => SigningPrivateKey::Ed25519(Ed25519PrivateKey::from_seed(array(&value["private"]))),
        _ => SigningPrivateKey::Ed448(Ed448PrivateKey::from_seed(array(&value["private"]))),
    }
}

fn server_hello(vector: &Vector, versions: VersionRange) -> ServerHello {
    let session_key = dh_private(vector, "/in/server_session/private").public();
    let der = session_key.to_der().try_into().unwrap();
    ServerHello {
        versions,
        session_id: vector.hex("/in/session_id"),
        certificates: chain(vector.at("/in/cert_chain")),
        signed_key: sign_key(&signing_key(vector.at("/in/leaf_private")), &der).unwrap(),
    }
}

fn client_verifies(vector: &Vector, hello: &ServerHello) -> VerifiedServer {
    let expected = Expected {
        fingerprint: &vector.array("/in/fingerprint"),
        session_id: &vector.hex("/in/session_id"),
        tls_chain: &chain(vector.at("/in/cert_chain")),
        versions: range(vector, "/in/client_version_range"),
        now: NOW,
    };
    hello.verify(expected).unwrap()
}

/// A message as the vectors describe it, on its way through a block.
fn assert_message(message: &[u8], expected: &Value) {
    assert_eq!(hex::encode(message), expected["message"].as_str().unwrap());
    let block = to_block(message).unwrap();
    assert_eq!(block.len(), number::<usize>(&expected["block_len"]));
    assert_bytes(&hash::sha256(&block), &expected["block_sha256"]);
    assert_eq!(from_block(&block), Ok(message));
}

fn assert_first_block(sealer: &mut BlockSealer, opener: &mut BlockOpener, expected: &Value) {
    let payload = hex(&expected["payload"]);
    let mut sealed = Vec::new();
    sealer.seal(&payload, &mut sealed).unwrap();
    assert_bytes(&hash::sha256(&sealed), &expected["block_sha256"]);
    assert_bytes(&sealed[..32], &expected["block_first_32"]);
    let mut block: [u8; BLOCK] = sealed.try_into().unwrap();
    assert_eq!(opener.open(&mut block), Ok(payload.as_slice()));
}

/// The secret, as each side computes it.
fn session_secrets(vector: &Vector, server: &VerifiedServer, client: &ClientHello) -> [Option<SharedSecret>; 2] {
    let session = dh_private(vector, "/in/server_session/private");
    let of_client = vector
        .has("/in/client_handshake")
        .then(|| dh_private(vector, "/in/client_handshake/private").agree(&server.session_key));
    [of_client, client.client_key.map(|key| session.agree(&key))]
}

#[test]
fn handshakes_have_the_bytes_of_the_reference() {
    each(FILE, "handshake", |vector| {
        let offered = range(vector, "/in/server_version_range");
        let hello = server_hello(vector, offered);
        assert_message(&hello.to_bytes(), vector.at("/out/server_hello"));
        let server = client_verifies(vector, &ServerHello::parse(&hello.to_bytes()).unwrap());
        assert_eq!(server.version, vector.number::<u16>("/out/version"));

        let answer = ClientHello {
            version: server.version,
            key_hash: vector.hex("/in/fingerprint"),
            client_key: vector
                .has("/in/client_handshake")
                .then(|| dh_private(vector, "/in/client_handshake/private").public()),
            proxy: *vector.at("/in/proxy_server") == true,
            service: None,
        };
        assert_message(&answer.to_bytes(), vector.at("/out/client_hello"));
        let received = ClientHello::parse(&answer.to_bytes()).unwrap();
        assert_eq!(received, answer);
        assert_eq!(received.check(&vector.array("/in/fingerprint"), offered), Ok(()));

        let secrets = session_secrets(vector, &server, &received);
        for secret in &secrets {
            let secret = secret.as_ref().map(|secret| hex::encode(secret.expose()));
            assert_eq!(secret.as_deref(), vector.at("/out/session_secret").as_str());
        }
        let [of_client, of_server] = secrets;
        let id = vector.hex("/in/session_id");
        let (mut up, mut client_opener) = block_ciphers(Side::Client, &id, of_client.as_ref(), answer.proxy);
        let (mut down, mut server_opener) = block_ciphers(Side::Server, &id, of_server.as_ref(), received.proxy);
        assert_first_block(&mut up, &mut server_opener, vector.at("/out/client_first_block"));
        assert_first_block(&mut down, &mut client_opener, vector.at("/out/server_first_block"));
    });
}

/// A message where the vector gives one; otherwise the block that starts with the bytes it gives.
fn received(vector: &Vector, field: &str) -> Result<Vec<u8>, TransportError> {
    if vector.has(field) {
        return Ok(vector.hex(field));
    }
    let mut block = vector.hex(&format!("{field}_block_first_64"));
    block.resize(BLOCK, b'#');
    from_block(&block).map(<[u8]>::to_vec)
}

/// Where our client refuses what the reference accepts, and why.
const STRICTER: [(&str, TransportError, &str); 3] = [
    (
        "hs_client_no_chain_and_key",
        TransportError::Handshake(HandshakeError::Parse),
        "a server of our versions always shows its chain and key; without them nothing ties the session to it",
    ),
    (
        "hs_client_truncated_key",
        TransportError::Handshake(HandshakeError::Parse),
        "the reference takes an unreadable key for an absent one",
    ),
    (
        "hs_client_hello_chain_differs_from_tls",
        TransportError::Handshake(HandshakeError::BadAuth),
        "the chain that vouches for the session key must be the one that TLS authenticated",
    ),
];

fn client_checks(vector: &Vector) -> Result<VerifiedServer, TransportError> {
    let hello = ServerHello::parse(&received(vector, "/in/server_hello")?)?;
    hello.verify(Expected {
        fingerprint: &vector.array("/in/fingerprint"),
        session_id: &vector.hex("/in/session_id"),
        tls_chain: &chain(vector.at("/in/tls_cert_chain")),
        versions: range(vector, "/in/client_version_range"),
        now: NOW,
    })
}

#[test]
fn clients_check_hellos_as_the_reference_does_or_more_strictly() {
    let mut stricter = 0;
    each(FILE, "client_handshake_check", |vector| {
        let outcome = client_checks(vector);
        if let Some((_, error, reason)) = STRICTER.iter().find(|(name, ..)| *name == vector.name()) {
            assert!(vector.lenient());
            stricter += 1;
            return assert_eq!(outcome, Err(*error), "{reason}");
        }
        match outcome {
            Ok(server) => {
                assert_eq!(vector.error(), None);
                assert_eq!(server.version, vector.number::<u16>("/out/version"));
            }
            Err(error) => assert_eq!(Some(error.to_string().as_str()), vector.error()),
        }
    });
    assert_eq!(stricter, STRICTER.len());
}

fn role(letter: &str) -> ServiceRole {
    match letter {
        "M" => ServiceRole::Messaging,
        "N" => ServiceRole::Notifier,
        "P" => ServiceRole::Proxy,
        other => panic!("unknown role {other}"),
    }
}

/// A server's view of a client: its hello and, if it is a service, what is known of it.
fn server_checks(vector: &Vector) -> Result<(ClientHello, Option<VerifiedService>), TransportError> {
    let hello = ClientHello::parse(&received(vector, "/in/client_hello")?)?;
    let fingerprint: Fingerprint = vector.array("/in/fingerprint");
    hello.check(&fingerprint, range(vector, "/in/server_version_range"))?;
    let tls_chain = chain(vector.at("/in/tls_client_cert_chain"));
    let service = hello.service.as_ref().map(|service| service.verify(&tls_chain, NOW)).transpose()?;
    Ok((hello, service))
}

/// The third message: nothing unless the hello was that of a service, whether or not it passed the checks.
fn answer_to_service(vector: &Vector, refused: Option<TransportError>) -> Vec<Vec<u8>> {
    let is_service = ClientHello::parse(&received(vector, "/in/client_hello").unwrap_or_default())
        .is_ok_and(|hello| hello.service.is_some());
    let response = refused.map_or_else(
        || ServiceResponse::Accepted(ServiceId::new(vector.hex("/out/service/service_id")).unwrap()),
        ServiceResponse::Refused,
    );
    assert_eq!(ServiceResponse::parse(&response.to_bytes()).as_ref(), Ok(&response));
    if is_service { vec![response.to_bytes()] } else { Vec::new() }
}

#[test]
fn servers_check_hellos_as_the_reference_does() {
    each(FILE, "server_handshake_check", |vector| {
        let sent: Vec<Vec<u8>> = vector.at("/out/sent_after_hello").as_array().unwrap().iter().map(hex).collect();
        // The vector's server knows this service under another role; that is decided by its store, not by the hello.
        let unwanted = vector.name() == "hs_server_service_refused";
        let outcome = server_checks(vector).and_then(|checked| {
            if unwanted { Err(TransportError::Handshake(HandshakeError::BadService)) } else { Ok(checked) }
        });
        match outcome {
            Err(error) => {
                assert_eq!(Some(error.to_string().as_str()), vector.error());
                assert_eq!(answer_to_service(vector, Some(error)), sent);
            }
            Ok((hello, service)) => {
                assert_eq!(vector.error(), None);
                assert_eq!(hello.version, vector.number::<u16>("/out/version"));
                assert_eq!(hello.client_key.is_some() && !hello.proxy, *vector.at("/out/block_encryption"));
                assert_eq!(service.is_some(), vector.has("/out/service"));
                if let Some(service) = service {
                    assert_eq!(service.fingerprint.to_vec(), vector.hex("/out/service/cert_fingerprint"));
                    assert_eq!(service.session_key.as_bytes().to_vec(), vector.hex("/out/service/session_key"));
                    assert_eq!(service.role, role(vector.text("/out/service/role")));
                    assert_eq!(answer_to_service(vector, None), sent);
                }
            }
        }
    });
}

fn service_hello(vector: &Vector) -> ServiceHello {
    let session_key = Ed25519PrivateKey::from_seed(vector.array("/in/service_session/private")).public();
    let der = session_key.to_der().try_into().unwrap();
    ServiceHello {
        role: role(vector.text("/in/role")),
        certificates: chain(vector.at("/in/service_cert_chain")),
        signed_key: sign_key(&signing_key(vector.at("/in/service_leaf_private")), &der).unwrap(),
    }
}

#[test]
fn services_shake_hands_with_the_bytes_of_the_reference() {
    each(FILE, "service_handshake", |vector| {
        let hello = server_hello(vector, VersionRange::new(15, 18).unwrap());
        assert_message(&hello.to_bytes(), vector.at("/out/server_hello"));
        let server = client_verifies(vector, &hello);
        let service = service_hello(vector);
        let answer = ClientHello {
            version: server.version,
            key_hash: vector.hex("/in/fingerprint"),
            client_key: Some(dh_private(vector, "/in/client_handshake/private").public()),
            proxy: false,
            service: Some(service.clone()),
        };
        assert_message(&answer.to_bytes(), vector.at("/out/client_hello"));
        let received = ClientHello::parse(&answer.to_bytes()).unwrap();
        assert_eq!(received.service.as_ref(), Some(&service).filter(|_| server.version >= 16));
        if let Some(received) = &received.service {
            assert!(received.verify(&service.certificates, NOW).is_ok());
            let response = match vector.error() {
                Some("HANDSHAKE BAD_SERVICE") => {
                    ServiceResponse::Refused(TransportError::Handshake(HandshakeError::BadService))
                }
                Some(other) => panic!("unknown error {other}"),
                None => ServiceResponse::Accepted(ServiceId::new(vector.hex("/out/service_id")).unwrap()),
            };
            assert_message(&response.to_bytes(), vector.at("/out/service_response"));
            assert_eq!(ServiceResponse::parse(&response.to_bytes()), Ok(response));
        } else {
            assert!(!vector.has("/out/service_response"));
        }
    });
}
