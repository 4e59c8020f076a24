//! Bodies of `SEND` and `MSG`, and notification metadata: `client-message.json`.

use codec::{Decode as _, Encode as _};
use crypto::dh::{X25519PrivateKey, X25519PublicKey};
use crypto::{BoxKey, Error, Nonce};
use serde_json::Value;
use smp::command::MessageFlags;
use smp::delivery::{Delivered, NotificationMetadata, OpenError};
use smp::envelope::{ClientMessage, Envelope, PrivateHeader, PublicHeader};
use smp::id::MessageId;

use crate::support::{assert_bytes, auth_public, dh_private, dh_public, filled, mutated};
use crate::vectors::{Vector, each, hex, named, number, operations};

const FILE: &str = "client-message.json";
const OPERATIONS: [&str; 11] = [
    "pub_header",
    "client_message",
    "decode",
    "client_envelope",
    "client_envelope_open",
    "rcv_msg_body",
    "rcv_msg_body_decode",
    "rcv_msg_open",
    "nmsg_meta",
    "nmsg_meta_decode",
    "nmsg_open",
];

#[test]
fn every_operation_of_the_file_has_a_test() {
    assert_eq!(operations(FILE), OPERATIONS.map(str::to_owned).into());
}

fn public_header(version: u16, key: &Value) -> PublicHeader {
    PublicHeader { version, sender_key: (!key.is_null()).then(|| dh_public(key)) }
}

#[test]
fn headers_and_messages_have_the_bytes_of_the_reference() {
    each(FILE, "pub_header", |vector| {
        let header = public_header(vector.number("/in/version"), vector.at("/in/dh_public"));
        assert_eq!(hex::encode(header.to_bytes()), vector.text("/out/bytes"));
        assert_eq!(PublicHeader::decode_all(&header.to_bytes()), Ok(header));
    });
    each(FILE, "client_message", |vector| {
        let header = match vector.at("/in/priv_header") {
            Value::Null => PrivateHeader::Empty,
            key => PrivateHeader::SenderKey(auth_public(key)),
        };
        let message = ClientMessage { header, content: vector.hex("/in/content") };
        assert_eq!(message.to_bytes(), vector.hex("/out/bytes"));
        assert_eq!(ClientMessage::decode_all(&message.to_bytes()), Ok(message));
    });
}

#[test]
fn malformed_headers_and_messages_are_refused() {
    each(FILE, "decode", |vector| {
        let bytes = vector.hex("/in/bytes");
        let again = match vector.text("/in/type") {
            "PubHeader" => PublicHeader::decode_all(&bytes).map(|header| header.to_bytes()),
            "ClientMessage" => ClientMessage::decode_all(&bytes).map(|message| message.to_bytes()),
            other => panic!("unknown type {other}"),
        };
        if let Some(again) = vector.settle(again) {
            assert_eq!(again, vector.hex("/out/bytes"));
        }
    });
}

#[test]
fn envelopes_have_the_bytes_of_the_reference() {
    each(FILE, "client_envelope", |vector| {
        let sender = dh_private(vector, "/in/sender_e2e/private");
        let secret = sender.agree(&dh_public(vector.at("/in/recipient_e2e/public")));
        let is_confirmation = vector.text("/in/kind") == "confirmation";
        let header = PublicHeader {
            version: vector.number("/in/client_version"),
            sender_key: is_confirmation.then(|| sender.public()),
        };
        let key = BoxKey::agreed(&secret);
        let message = ClientMessage::decode_all(&filled(vector.at("/in/client_message"))).unwrap();
        let envelope = Envelope::seal(header, &key, Nonce(vector.array("/in/nonce")), &message);
        if let Some(envelope) = vector.settle(envelope) {
            assert_eq!(secret.expose().to_vec(), vector.hex("/out/e2e_secret"));
            assert_eq!(envelope.sealed.len(), vector.number::<usize>("/out/padded_len") + 16);
            assert_bytes(&envelope.to_bytes(), vector.at("/out/envelope"));
            assert_eq!(Envelope::decode_all(&envelope.to_bytes()).as_ref(), Ok(&envelope));
            assert_eq!(envelope.open(&key), Ok(message));
        }
    });
}

/// The class of failure as the vectors name it.
fn class(error: OpenError) -> &'static str {
    match error {
        OpenError::Crypto(Error::Decrypt) => "decrypt",
        OpenError::Crypto(Error::Unpad) => "unpad",
        OpenError::Crypto(_) => "another failure",
        OpenError::Malformed(_) => "parse",
    }
}

#[test]
fn altered_envelopes_are_refused() {
    each(FILE, "client_envelope_open", |vector| {
        let base = named(FILE, vector.text("/in/base")).hex("/out/envelope_full");
        let recipient = dh_private(vector, "/in/recipient_private");
        let key = BoxKey::agreed(&recipient.agree(&dh_public(vector.at("/in/sender_public"))));
        let bytes = mutated(base, vector.at("/in/mutation"));
        let opened = Envelope::decode_all(&bytes).map_err(OpenError::from).and_then(|envelope| envelope.open(&key));
        match opened {
            Ok(message) => {
                assert_eq!(vector.error(), None);
                assert_eq!(message.to_bytes(), vector.hex("/out/client_message"));
            }
            Err(error) => assert_eq!(Some(class(error)), vector.error()),
        }
    });
}

fn message_id(vector: &Vector) -> MessageId {
    MessageId::new(vector.hex("/in/msg_id")).unwrap()
}

/// The body given as bytes, as a run of one byte, or as the envelope in another vector.
fn message_body(value: &Value) -> Vec<u8> {
    match value["vector"].as_str() {
        Some(name) => named(FILE, name).hex("/out/envelope_full"),
        None => filled(value),
    }
}

fn delivered(value: &Value) -> Delivered {
    match value.get("quota_ts") {
        Some(time) => Delivered::Quota { met_at: number(time) },
        None => Delivered::Message {
            sent_at: number(&value["ts"]),
            flags: MessageFlags { notify: value["notify"] == true },
            body: message_body(&value["msg"]),
        },
    }
}

fn delivery_key(vector: &Vector) -> BoxKey {
    let recipient = dh_private(vector, "/in/recipient_dh/private");
    let secret = recipient.agree(&dh_public(vector.at("/in/server_dh/public")));
    assert_eq!(secret.expose().to_vec(), vector.hex("/out/delivery_secret"));
    BoxKey::agreed(&secret)
}

#[test]
fn delivered_bodies_have_the_bytes_of_the_reference() {
    each(FILE, "rcv_msg_body", |vector| {
        let (key, id) = (delivery_key(vector), message_id(vector));
        let delivered = delivered(vector.at("/in/body"));
        assert_bytes(&delivered.to_bytes(), vector.at("/out/rcv_body"));
        let sealed = delivered.seal(&key, &id).unwrap();
        assert_bytes(&sealed, vector.at("/out/enc_body"));
        assert_eq!(Delivered::open(&key, &id, &sealed), Ok(delivered));
    });
}

#[test]
fn delivered_bodies_are_read_or_refused_as_the_reference_does() {
    each(FILE, "rcv_msg_body_decode", |vector| {
        if let Some(read) = vector.settle(Delivered::parse(&vector.hex("/in/rcv_body"))) {
            assert_eq!(read, delivered(vector.at("/out")));
        }
    });
    each(FILE, "rcv_msg_open", |vector| {
        let base = named(FILE, vector.text("/in/base"));
        let sealed = mutated(base.hex("/out/enc_body_full"), vector.at("/in/mutation"));
        let error = Delivered::open(&delivery_key(&base), &message_id(vector), &sealed).unwrap_err();
        assert_eq!(Some(class(error)), vector.error());
    });
}

#[test]
fn notification_metadata_has_the_bytes_of_the_reference() {
    each(FILE, "nmsg_meta", |vector| {
        let recipient = X25519PrivateKey::from_bytes(vector.array("/in/recipient_ntf_dh/private"));
        let server = X25519PublicKey::from_bytes(vector.array("/in/server_ntf_dh/public"));
        let secret = recipient.agree(&server);
        assert_eq!(secret.expose().to_vec(), vector.hex("/out/notification_secret"));
        let (key, nonce) = (BoxKey::agreed(&secret), Nonce(vector.array("/in/nonce")));
        let metadata = NotificationMetadata { message_id: message_id(vector), sent_at: vector.number("/in/ts") };
        assert_eq!(metadata.to_bytes(), vector.hex("/out/meta"));
        let sealed = metadata.seal(&key, nonce).unwrap();
        assert_eq!(sealed, vector.hex("/out/enc_meta"));
        assert_eq!(NotificationMetadata::open(&key, nonce, &sealed), Ok(metadata));
    });
    each(FILE, "nmsg_meta_decode", |vector| {
        if let Some(metadata) = vector.settle(NotificationMetadata::parse(&vector.hex("/in/meta"))) {
            assert_eq!(metadata.message_id.as_bytes(), hex(vector.at("/out/msg_id")));
            assert_eq!(metadata.sent_at, vector.number::<i64>("/out/ts"));
        }
    });
    each(FILE, "nmsg_open", |vector| {
        let key = BoxKey::symmetric(&vector.array("/in/notification_secret"));
        let nonce = Nonce(vector.array("/in/nonce"));
        let error = NotificationMetadata::open(&key, nonce, &vector.hex("/in/enc_meta")).unwrap_err();
        assert_eq!(Some(class(error)), vector.error());
    });
}
