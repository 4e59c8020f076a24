//! What holds for every message: it is read as it was written, and nothing else is.

use agent::compressed::{compress, decompress};
use agent::envelope::{AgentEnvelope, EnvelopeContent};
use agent::message::{AddedQueue, AgentMessage, DecryptedMessage, MessageBody, MessageHash, SendAddress, UsedQueue};
use agent::message_chain::{ReceivedChain, SentChain};
use agent::non_empty::NonEmpty;
use agent::padding::Padding;
use agent::receipt::Receipt;
use codec::{Decode, Encode, VersionRange};
use crypto::dh::X25519PublicKey;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use smp::queue_address::{QueueAddress, QueueInfo, QueueMode, QueueUri};

fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..80)
}

fn send_address() -> impl Strategy<Value = SendAddress> {
    (any::<[u8; 24]>(), option::of(1u16..)).prop_map(|(id, port)| {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let server = format!("smp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@smp.example.org,abc234.onion{port}");
        SendAddress { server: server.parse().unwrap(), sender_id: id.into() }
    })
}

fn queue_address() -> impl Strategy<Value = QueueAddress> {
    (send_address(), any::<[u8; 32]>()).prop_map(|(address, key)| QueueAddress {
        server: address.server,
        sender_id: address.sender_id,
        dh_key: X25519PublicKey::from_bytes(key),
        mode: Some(QueueMode::Messaging),
    })
}

fn list<T: std::fmt::Debug>(item: impl Strategy<Value = T>) -> impl Strategy<Value = NonEmpty<T>> {
    vec(item, 1..4).prop_map(|items| NonEmpty::new(items).unwrap())
}

fn hash() -> impl Strategy<Value = MessageHash> {
    option::of(some_bytes()).prop_map(|bytes| bytes.map_or(MessageHash::default(), |bytes| MessageHash::of(&bytes)))
}

fn receipt() -> impl Strategy<Value = Receipt> {
    (any::<i64>(), hash(), some_bytes(), some_bytes()).prop_map(|(number, previous_hash, encoded, info)| {
        let message = AgentMessage { number, previous_hash, body: MessageBody::Application(vec![]) };
        Receipt::for_message(&message, &encoded, 7, info).unwrap()
    })
}

fn added_queue() -> impl Strategy<Value = AddedQueue> {
    let versions = VersionRange::new(1, 4).unwrap();
    (queue_address(), option::of(send_address()))
        .prop_map(move |(address, replaces)| AddedQueue { queue: QueueUri { versions, address }, replaces })
}

fn body() -> impl Strategy<Value = MessageBody> {
    let used = || (send_address(), any::<bool>()).prop_map(|(address, primary)| UsedQueue { address, primary });
    prop_oneof![
        Just(MessageBody::Hello),
        some_bytes().prop_map(MessageBody::Application),
        list(receipt()).prop_map(MessageBody::Receipts),
        send_address().prop_map(MessageBody::QueueContinues),
        list(added_queue()).prop_map(MessageBody::AddQueues),
        list(used()).prop_map(MessageBody::UseQueues),
        list(send_address()).prop_map(MessageBody::TestQueues),
        any::<i64>().prop_map(|last_received| MessageBody::RatchetReady { last_received }),
    ]
}

fn message() -> impl Strategy<Value = DecryptedMessage> {
    let queue = || queue_address().prop_map(|address| QueueInfo { version: 4, address });
    prop_oneof![
        some_bytes().prop_map(DecryptedMessage::Info),
        (list(queue()), some_bytes()).prop_map(|(queues, info)| DecryptedMessage::InfoReply { queues, info }),
        some_bytes().prop_map(DecryptedMessage::RatchetInfo),
        (any::<i64>(), hash(), body()).prop_map(|(number, previous_hash, body)| {
            DecryptedMessage::Message(AgentMessage { number, previous_hash, body })
        }),
    ]
}

/// Whether what follows the fields belongs to the message.
fn has_tail(message: &DecryptedMessage) -> bool {
    match message {
        DecryptedMessage::Message(message) => matches!(message.body, MessageBody::Application(_)),
        _ => true,
    }
}

proptest! {
    #[test]
    fn messages_round_trip_and_tolerate_nothing_else(message in message()) {
        let bytes = message.to_bytes();
        prop_assert_eq!(&DecryptedMessage::decode_all(&bytes).unwrap(), &message);
        if !has_tail(&message) {
            prop_assert!(DecryptedMessage::decode_all(&bytes[..bytes.len() - 1]).is_err());
            prop_assert!(DecryptedMessage::decode_all(&[bytes.as_slice(), b"x"].concat()).is_err());
        }
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        for kind in [&b""[..], b"M\0\0\0\0\0\0\0\x01\0", b"D"] {
            let _ = DecryptedMessage::decode_all(&[kind, &bytes].concat());
        }
        for kind in [&b""[..], b"\0\x07C", b"\0\x07I", b"\0\x07R"] {
            let _ = AgentEnvelope::decode_all(&[kind, &bytes].concat());
        }
        for kind in [&b""[..], b"0", b"1"] {
            let _ = decompress(&[kind, &bytes].concat(), 1_000);
        }
    }

    #[test]
    fn envelopes_of_messages_round_trip(version: u16, encrypted in some_bytes()) {
        let envelope = AgentEnvelope { version, content: EnvelopeContent::Message { encrypted } };
        prop_assert_eq!(AgentEnvelope::decode_all(&envelope.to_bytes()), Ok(envelope));
    }

    #[test]
    fn stored_chains_go_on_where_they_were(bodies in vec(some_bytes(), 1..6)) {
        let mut sent = SentChain::default();
        for body in bodies {
            let numbered = sent.append(MessageBody::Application(body), Padding::new(7, true)).unwrap();
            sent = SentChain::decode_all(&sent.to_bytes()).unwrap();
            prop_assert_eq!(sent.last_number(), numbered.number);
            let received = ReceivedChain::after_confirmation(&numbered.encoded);
            prop_assert_eq!(ReceivedChain::decode_all(&received.to_bytes()), Ok(received));
        }
    }

    #[test]
    fn containers_hold_what_was_put_in(data in vec(any::<u8>(), 0..2_000)) {
        let container = compress(&data).unwrap();
        prop_assert_eq!(decompress(&container, 2_000), Ok(data));
        prop_assert!(decompress(&[container.as_slice(), &[0]].concat(), 2_000).is_err());
    }
}
