//! Transmissions in both directions: `transmissions.json`.

use codec::{Encode as _, Write};
use crypto::authorize::Authorization;
use crypto::dh::X25519PublicKey;
use crypto::sign::Ed25519PrivateKey;
use serde_json::{Value, json};
use smp::block;
use smp::command::Command;
use smp::error::Error;
use smp::id::{CorrId, EntityId};
use smp::response::Response;
use smp::transmission::{ClientTransmission, Refusal, ServerTransmission, Session, encode_command, encode_response};

use crate::support::{auth_private, auth_public, dh_private};
use crate::vectors::{Vector, each, operations};

const FILE: &str = "transmissions.json";
const OPERATIONS: [&str; 14] = [
    "command",
    "command_decode",
    "broker_message",
    "broker_decode",
    "transmission",
    "server_transmission",
    "server_decode_payload",
    "client_decode_payload",
    "batch",
    "batch_subs",
    "encrypted_blocks",
    "plain_block",
    "payload_limit",
    "proxy_flow",
];

#[test]
fn every_operation_of_the_file_has_a_test() {
    assert_eq!(operations(FILE), OPERATIONS.map(str::to_owned).into());
}

fn ids(vector: &Vector) -> (CorrId, EntityId) {
    (CorrId::new(vector.hex("/in/corr_id")).unwrap(), EntityId::new(vector.hex("/in/entity_id")).unwrap())
}

/// In a service session the key covers the service's fingerprint too, and the service signs without it.
/// Our clients are no services, so only here such a transmission is put together.
fn service_transmission(vector: &Vector, server_key: &X25519PublicKey) -> Vec<u8> {
    let (corr_id, entity_id) = ids(vector);
    let key = auth_private(vector.at("/in/auth_key")).unwrap();
    let service = Ed25519PrivateKey::from_seed(vector.array("/in/service/session_key/private"));
    let authorized = vector.hex("/out/authorized");
    let covered = [vector.hex("/in/service/cert_fingerprint"), authorized.clone()].concat();
    let mut out = Vec::new();
    out.put_short(&key.authorize(server_key, corr_id.as_bytes(), &covered).unwrap());
    out.put_maybe(Some(service.sign(&authorized)), |out, signature| out.put_short(&signature));
    corr_id.encode(&mut out);
    entity_id.encode(&mut out);
    out.put(&vector.hex("/in/command"));
    out
}

/// Services sign the commands that create or subscribe.
fn carries_service_signature(vector: &Vector) -> bool {
    let command = vector.hex("/in/command");
    let tag = command.split(|byte| *byte == b' ').next().unwrap();
    vector.has("/in/service") && [b"NEW".as_slice(), b"SUB", b"NSUB"].contains(&tag)
}

#[test]
fn commands_are_authorised_as_the_reference_does() {
    each(FILE, "transmission", |vector| {
        let server_key = dh_private(vector, "/in/server_session_private").public();
        let session_id = vector.hex("/in/session_id");
        let version = vector.number("/in/version");
        let (corr_id, entity_id) = ids(vector);
        let command = Command::decode(version, &vector.hex("/in/command")).unwrap();
        let transmission = if carries_service_signature(vector) {
            service_transmission(vector, &server_key)
        } else {
            let session = Session { version, id: &session_id, server_key: &server_key };
            let key = auth_private(vector.at("/in/auth_key"));
            encode_command(session, &corr_id, &entity_id, &command, key.as_ref()).unwrap()
        };
        assert_eq!(hex::encode(&transmission), vector.text("/out/transmission"));
    });
}

#[test]
fn servers_find_commands_authorised() {
    each(FILE, "transmission", |vector| {
        let session_key = dh_private(vector, "/in/server_session_private");
        let bytes = vector.hex("/out/transmission");
        let received =
            ClientTransmission::parse(vector.number("/in/version"), &vector.hex("/in/session_id"), &bytes).unwrap();
        assert_eq!((received.corr_id.clone(), received.entity_id.clone()), ids(vector));
        assert_eq!(hex::encode(&received.authorized), vector.text("/out/authorized"));
        assert_eq!(received.service.is_some(), carries_service_signature(vector));

        let mut covered = received.authorized.clone();
        if let Some(signature) = &received.service {
            let service = Ed25519PrivateKey::from_seed(vector.array("/in/service/session_key/private")).public();
            assert_eq!(service.verify(&received.authorized, signature), Ok(()));
            covered = [vector.hex("/in/service/cert_fingerprint"), covered].concat();
        }
        assert_eq!(received.authorization().is_some(), vector.has("/in/auth_key"));
        if let Some(authorization) = received.authorization() {
            let key = auth_public(vector.at("/in/auth_key"));
            assert_eq!(key.verify(authorization, &session_key, received.corr_id.as_bytes(), &covered), Ok(()));
        }
    });
}

#[test]
fn responses_are_wrapped_as_the_reference_does() {
    each(FILE, "server_transmission", |vector| {
        let version = vector.number("/in/version");
        let (corr_id, entity_id) = ids(vector);
        let response = Response::decode(version, &vector.hex("/in/message")).unwrap();
        let transmission = encode_response(version, &corr_id, &entity_id, &response);
        assert_eq!(hex::encode(&transmission), vector.text("/out/transmission"));
        let received = ServerTransmission::parse(version, &transmission).unwrap();
        assert_eq!(received.is_event(), corr_id.is_empty());
        assert_eq!(received, ServerTransmission { corr_id, entity_id, response: Ok(response) });
    });
}

fn refused(corr_id: &CorrId, entity_id: &EntityId, error: &Error) -> Value {
    let (corr_id, entity_id) = (hex::encode(corr_id.as_bytes()), hex::encode(entity_id.as_bytes()));
    json!({ "ok": false, "corr_id": corr_id, "entity_id": entity_id, "error": error.to_string() })
}

/// What a server makes of one transmission, in the words of the vectors.
fn server_side(version: u16, session_id: &[u8], bytes: &[u8]) -> Value {
    let received = match ClientTransmission::parse(version, session_id, bytes) {
        Ok(received) => received,
        Err(Refusal { corr_id, entity_id, error }) => return refused(&corr_id, &entity_id, &error),
    };
    let auth = received.authorization().map(|authorization| {
        let kind = match authorization {
            Authorization::Ed25519(_) => "Ed25519 signature",
            Authorization::Ed448(_) => "Ed448 signature",
            Authorization::Authenticator(_) => "authenticator",
        };
        json!({ "kind": kind, "service_signature": received.service.as_ref().map(hex::encode) })
    });
    json!({
        "ok": true,
        "corr_id": hex::encode(received.corr_id.as_bytes()),
        "entity_id": hex::encode(received.entity_id.as_bytes()),
        "authorized": hex::encode(&received.authorized),
        "auth": auth,
    })
}

#[test]
fn servers_answer_payloads_as_the_reference_does() {
    each(FILE, "server_decode_payload", |vector| {
        let (version, session_id) = (vector.number("/in/version"), vector.hex("/in/session_id"));
        let payload = vector.hex("/in/payload");
        let answers: Vec<Value> = match block::transmissions(&payload) {
            Ok(transmissions) => transmissions.iter().map(|bytes| server_side(version, &session_id, bytes)).collect(),
            Err(_) => {
                let Refusal { corr_id, entity_id, error } = Refusal::unreadable();
                vec![refused(&corr_id, &entity_id, &error)]
            }
        };
        assert_eq!(Value::from(answers), *vector.at("/out/transmissions"));
    });
}

/// What a client makes of one transmission, in the words of the vectors.
fn client_side(version: u16, bytes: &[u8]) -> Value {
    let Ok(received) = ServerTransmission::parse(version, bytes) else {
        return refused(&CorrId::default(), &EntityId::default(), &Error::Block);
    };
    match received.response {
        Err(error) => refused(&received.corr_id, &received.entity_id, &error.into()),
        Ok(response) => json!({
            "ok": true,
            "corr_id": hex::encode(received.corr_id.as_bytes()),
            "entity_id": hex::encode(received.entity_id.as_bytes()),
            "message": hex::encode(response.to_bytes(version)),
        }),
    }
}

#[test]
fn clients_read_payloads_as_the_reference_does() {
    each(FILE, "client_decode_payload", |vector| {
        let version = vector.number("/in/version");
        let payload = vector.hex("/in/payload");
        let messages: Vec<Value> = match block::transmissions(&payload) {
            Ok(transmissions) => transmissions.iter().map(|bytes| client_side(version, bytes)).collect(),
            Err(_) => vec![refused(&CorrId::default(), &EntityId::default(), &Error::Block)],
        };
        assert_eq!(Value::from(messages), *vector.at("/out/transmissions"));
    });
}
