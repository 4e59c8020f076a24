//! The encodings of the reference, in both directions.

use agent::compressed::{compress, decompress};
use agent::envelope::{AgentEnvelope, EnvelopeContent, Invitation};
use agent::full_link::FullLink;
use agent::message::{
    AddedQueue, AgentMessage, DecryptedMessage, KeyedQueue, MessageBody, MessageHash, SendAddress, UsedQueue,
};
use agent::message_chain::{Integrity, ReceivedChain, SentChain};
use agent::non_empty::NonEmpty;
use agent::padding::Padding;
use agent::ratchet_keys::{ReceiverKeys, SenderKeys};
use agent::receipt::Receipt;
use codec::{Decode, Encode, VersionRange, Write};
use crypto::authorize::AuthPublicKey;
use crypto::dh::X25519PublicKey;
use crypto::hash::sha256;
use crypto::sign::Ed25519PublicKey;
use serde_json::Value;
use smp::address::{KeyHash, ServerAddress};
use smp::id::SenderId;
use smp::queue_address::{QueueAddress, QueueInfo, QueueMode, QueueUri};

use crate::published::{each, hex, number, operations};

pub(crate) const FILE: &str = "agent-envelopes.json";

#[test]
fn every_operation_is_covered() {
    let covered = [
        "agent_envelope",
        "agent_envelope_decode",
        "agent_message",
        "agent_message_decode",
        "compressed_container",
        "confirmation_flow",
        "decompress_limited",
        "hash_chain",
        "padded_lengths",
    ];
    assert_eq!(operations(FILE), covered.map(str::to_owned).into());
}

fn server(value: &Value) -> ServerAddress {
    let hosts = value["hosts"].as_array().unwrap().iter().map(|host| host.as_str().unwrap().parse().unwrap());
    let port = value["port"].as_str().filter(|port| !port.is_empty()).map(|port| port.parse().unwrap());
    let mut hash = vec![];
    hash.put_short(&hex(&value["fingerprint"]));
    ServerAddress::new(hosts.collect(), port, KeyHash::decode_all(&hash).unwrap()).unwrap()
}

fn sender_id(value: &Value) -> SenderId {
    SenderId::new(hex(&value["sender_id"])).unwrap()
}

fn queue_address(value: &Value) -> QueueAddress {
    QueueAddress {
        server: server(&value["server"]),
        sender_id: sender_id(value),
        dh_key: X25519PublicKey::from_bytes(hex(&value["dh_public"]).try_into().unwrap()),
        mode: value["mode"].as_str().map(|mode| match mode {
            "messaging" => QueueMode::Messaging,
            "contact" => QueueMode::Contact,
            other => panic!("unknown mode {other}"),
        }),
    }
}

fn queue_info(value: &Value) -> QueueInfo {
    QueueInfo { version: number(&value["version"]), address: queue_address(value) }
}

fn send_address(value: &Value) -> SendAddress {
    SendAddress { server: server(&value["server"]), sender_id: sender_id(value) }
}

fn hash(value: &Value) -> MessageHash {
    let mut encoded = vec![];
    encoded.put_short(&hex(value));
    MessageHash::decode_all(&encoded).unwrap()
}

fn receipt(value: &Value) -> Receipt {
    let mut encoded = vec![];
    encoded.put_i64(number(&value["msg_id"]));
    hash(&value["msg_hash"]).encode(&mut encoded);
    encoded.put_large(&hex(&value["info"]));
    let receipt = Receipt::decode_all(&encoded).unwrap();
    assert_eq!((receipt.number(), receipt.info()), (number(&value["msg_id"]), hex(&value["info"]).as_slice()));
    receipt
}

fn list<T>(values: &Value, item: impl Fn(&Value) -> T) -> NonEmpty<T> {
    NonEmpty::new(values.as_array().unwrap().iter().map(item).collect()).unwrap()
}

fn added_queue(value: &Value) -> AddedQueue {
    let [min, max] = [0, 1].map(|i| number(&value["queue"]["version_range"][i]));
    let versions = VersionRange::new(min, max).unwrap();
    let replaces = value["replaces"].is_object().then(|| send_address(&value["replaces"]));
    AddedQueue { queue: QueueUri { versions, address: queue_address(&value["queue"]) }, replaces }
}

fn keyed_queue(value: &Value) -> KeyedQueue {
    let raw = hex(&value["sender_key"]["public"]).try_into().unwrap();
    let sender_key = match value["sender_key"]["alg"].as_str().unwrap() {
        "Ed25519" => AuthPublicKey::Ed25519(Ed25519PublicKey::from_bytes(raw)),
        "X25519" => AuthPublicKey::X25519(X25519PublicKey::from_bytes(raw)),
        other => panic!("unknown algorithm {other}"),
    };
    KeyedQueue { queue: queue_info(&value["queue"]), sender_key }
}

fn used_queue(value: &Value) -> UsedQueue {
    UsedQueue { address: send_address(&value["address"]), primary: value["primary"].as_bool().unwrap() }
}

fn body(value: &Value) -> MessageBody {
    match value["type"].as_str().unwrap() {
        "HELLO" => MessageBody::Hello,
        "A_MSG" => MessageBody::Application(hex(&value["body"])),
        "A_RCVD" => MessageBody::Receipts(list(&value["receipts"], receipt)),
        "A_QCONT" => MessageBody::QueueContinues(send_address(&value["address"])),
        "QADD" => MessageBody::AddQueues(list(&value["queues"], added_queue)),
        "QKEY" => MessageBody::QueueKeys(list(&value["queues"], keyed_queue)),
        "QUSE" => MessageBody::UseQueues(list(&value["queues"], used_queue)),
        "QTEST" => MessageBody::TestQueues(list(&value["queues"], send_address)),
        "EREADY" => MessageBody::RatchetReady { last_received: number(&value["last_msg_id"]) },
        other => panic!("unknown message {other}"),
    }
}

pub(crate) fn message(value: &Value) -> DecryptedMessage {
    match value["kind"].as_str().unwrap() {
        "agentConnInfo" => DecryptedMessage::Info(hex(&value["conn_info"])),
        "agentConnInfoReply" => {
            DecryptedMessage::InfoReply { queues: list(&value["queues"], queue_info), info: hex(&value["conn_info"]) }
        }
        "agentRatchetInfo" => DecryptedMessage::RatchetInfo(hex(&value["info"])),
        "agentMessage" => DecryptedMessage::Message(AgentMessage {
            number: number(&value["snd_msg_id"]),
            previous_hash: hash(&value["prev_msg_hash"]),
            body: body(value),
        }),
        other => panic!("unknown kind {other}"),
    }
}

fn envelope(value: &Value) -> AgentEnvelope {
    let content = match value["kind"].as_str().unwrap() {
        "agentConfirmation" => EnvelopeContent::Confirmation {
            keys: value["e2e_params"].as_str().map(|_| SenderKeys::decode_all(&hex(&value["e2e_params"])).unwrap()),
            encrypted: hex(&value["enc_conn_info"]),
        },
        "agentMsgEnvelope" => EnvelopeContent::Message { encrypted: hex(&value["enc_agent_message"]) },
        "agentInvitation" => {
            let link = value["conn_req"].as_str().unwrap().parse().unwrap();
            let FullLink::Invitation(request, offer) = link else { panic!("no invitation") };
            let invitation = Invitation::new(request, offer, hex(&value["conn_info"])).unwrap();
            EnvelopeContent::Invitation(Box::new(invitation))
        }
        "agentRatchetKey" => EnvelopeContent::RatchetKey {
            keys: ReceiverKeys::decode_all(&hex(&value["e2e_params"])).unwrap(),
            info: hex(&value["info"]),
        },
        other => panic!("unknown kind {other}"),
    };
    AgentEnvelope { version: number(&value["version"]), content }
}

#[test]
fn messages_are_encoded_as_in_the_reference() {
    each(FILE, "agent_message", |vector| {
        let message = message(vector.at("/in"));
        let bytes = vector.hex("/out/bytes");
        assert_eq!(hex::encode(message.to_bytes()), hex::encode(&bytes));
        let decoded = DecryptedMessage::decode_all(&bytes).unwrap();
        assert_eq!(decoded.to_bytes(), bytes);
        // An address at a version that knows no modes leaves the mode out, which only decoding shows.
        if !vector.name().contains("_v") {
            assert_eq!(decoded, message);
        }
    });
}

#[test]
fn messages_are_decoded_as_in_the_reference() {
    each(FILE, "agent_message_decode", |vector| {
        let decoded = DecryptedMessage::decode_all(&vector.hex("/in/bytes"));
        if let Some(decoded) = vector.settle(decoded) {
            assert_eq!(decoded, message(vector.at("/out")));
            assert_eq!(decoded.to_bytes(), vector.hex("/out/bytes"));
        }
    });
}

#[test]
fn envelopes_are_encoded_as_in_the_reference() {
    each(FILE, "agent_envelope", |vector| {
        let envelope = envelope(vector.at("/in"));
        let bytes = vector.hex("/out/bytes");
        assert_eq!(hex::encode(envelope.to_bytes()), hex::encode(&bytes));
        assert_eq!(AgentEnvelope::decode_all(&bytes), Ok(envelope));
    });
}

#[test]
fn envelopes_are_decoded_as_in_the_reference() {
    each(FILE, "agent_envelope_decode", |vector| {
        let decoded = AgentEnvelope::decode_all(&vector.hex("/in/bytes"));
        if let Some(decoded) = vector.settle(decoded) {
            assert_eq!(decoded, envelope(vector.at("/out")));
            assert_eq!(decoded.to_bytes(), vector.hex("/out/bytes"));
        }
    });
}

#[test]
fn numbers_and_hashes_chain_as_in_the_reference() {
    each(FILE, "hash_chain", |vector| {
        let messages = vector.at("/out/messages").as_array().unwrap();
        let (first, later) = messages.split_first().unwrap();
        let mut sent = SentChain::default();
        let confirmation = sent.append_unnumbered(hex(&first["bytes"]));
        assert_eq!((confirmation.number, confirmation.hash.as_bytes()), (1, hex(&first["sha256"]).as_slice()));
        let mut received = ReceivedChain::after_confirmation(&confirmation.encoded);
        for value in later {
            let numbered = sent.append(body(&value["message"]), Padding::new(7, false)).unwrap();
            assert_eq!(numbered.number, number::<i64>(&value["number"]));
            assert_eq!(numbered.encoded, hex(&value["bytes"]));
            assert_eq!(numbered.hash.as_bytes(), hex(&value["sha256"]));
            let DecryptedMessage::Message(message) = DecryptedMessage::decode_all(&numbered.encoded).unwrap() else {
                panic!("no numbered message")
            };
            assert_eq!(message.previous_hash, hash(&value["prev_msg_hash"]));
            assert_eq!(received.receive(&message, &numbered.encoded), Integrity::Ok);
        }
        assert_eq!(received.last_number(), sent.last_number());
    });
}

#[test]
fn messages_are_padded_as_in_the_reference() {
    each(FILE, "padded_lengths", |vector| {
        let pq = vector.at("/in/pq_support").as_bool().unwrap();
        let padding = Padding::new(vector.number("/in/agent_version"), pq);
        assert_eq!(padding.confirmation, vector.number::<usize>("/out/conn_info"));
        assert_eq!(padding.message, vector.number::<usize>("/out/agent_message"));
    });
}

#[test]
fn containers_of_the_reference_hold_their_data_and_so_do_ours() {
    each(FILE, "compressed_container", |vector| {
        let data = match vector.at("/in/data").is_string() {
            true => vector.hex("/in/data"),
            false => {
                let length = vector.number("/in/data/len");
                vector.hex("/in/data/repeat").into_iter().cycle().take(length).collect()
            }
        };
        // Compressed bytes depend on the release of zstd, so that the data is compared.
        assert_eq!(decompress(&vector.hex("/out/bytes"), data.len()).unwrap(), data);
        let ours = compress(&data).unwrap();
        assert_eq!(decompress(&ours, data.len()).unwrap(), data);
        assert_eq!(ours[0], vector.hex("/out/bytes")[0]);
    });
}

#[test]
fn containers_expand_to_no_more_than_allowed() {
    each(FILE, "decompress_limited", |vector| {
        let outcome = decompress(&vector.hex("/in/bytes"), vector.number("/in/limit"));
        if let Some(data) = vector.settle(outcome) {
            assert_eq!(data.len(), vector.number::<usize>("/out/len"));
            assert_eq!(sha256(&data), vector.array("/out/sha256"));
        }
    });
}
