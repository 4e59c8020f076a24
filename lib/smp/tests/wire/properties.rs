//! What holds for every message: it is read back as it was written, and never from fewer or from more bytes.
//!
//! Bytes that were cut or have grown are refused, with two exceptions. What ends in a body of unknown length, or in a
//! part that may be missing, can be read as another message. What later versions may extend is read as if nothing
//! followed; the hellos, the answer to a service and notification metadata are of this kind.

use std::fmt::Debug;

use codec::{Decode as _, Encode as _};
use crypto::dh::X25519PrivateKey;
use proptest::collection::vec;
use proptest::prelude::*;
use smp::block::{self, BLOCK, BlockOpener, BlockSealer, MAX_PLAIN_PAYLOAD, MAX_SEALED_PAYLOAD};
use smp::command::Command;
use smp::delivery::{Delivered, NotificationMetadata};
use smp::envelope::{ClientMessage, Envelope, PublicHeader};
use smp::error::{BrokerError, Error, NetworkError, ProxyError, TransportError};
use smp::handshake::{ClientHello, ServerHello, Side, block_ciphers, from_block};
use smp::id::{CorrId, EntityId};
use smp::proxy;
use smp::response::Response;
use smp::service::ServiceResponse;
use smp::transmission::{ClientTransmission, Received, ServerTransmission, Session, encode_command, encode_response};

use crate::arbitrary::*;

/// What follows the last field.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// Nothing.
    Fixed,
    /// A body or an optional part: fewer or more bytes may be another message.
    Open,
    /// Fields of later versions.
    Extensible,
}

/// Checks what a reader makes of `bytes`, of each of their beginnings, and of them with one more byte.
fn assert_exact<T: PartialEq + Debug>(value: &T, bytes: &[u8], end: End, read: impl Fn(&[u8]) -> Option<T>) {
    assert_eq!(read(bytes).as_ref(), Some(value));
    for length in 0..bytes.len() {
        let cut = read(&bytes[..length]);
        assert!(cut.is_none() || end == End::Open, "{length} of {} bytes are read as {cut:?}", bytes.len());
        assert_ne!(cut.as_ref(), Some(value));
    }
    let grown = read(&[bytes, &[0]].concat());
    match end {
        End::Fixed => assert_eq!(grown, None),
        End::Open => assert_ne!(grown.as_ref(), Some(value)),
        End::Extensible => assert_eq!(grown.as_ref(), Some(value)),
    }
}

fn end_of_command(command: &Command) -> End {
    match command {
        // `SUBS` and `NSUBS` begin with other commands.
        Command::Send(..) | Command::Pfwd(_) | Command::Rfwd(_) | Command::Subs | Command::Nsubs => End::Open,
        _ => End::Fixed,
    }
}

fn end_of_response(response: &Response) -> End {
    match response {
        Response::Msg(..) | Response::Rres(_) | Response::Pres(_) => End::Open,
        // Begins with `END`.
        Response::Ends(_) => End::Open,
        Response::Err(error) => end_of_error(error),
        _ => End::Fixed,
    }
}

fn end_of_error(error: &Error) -> End {
    match error {
        Error::Store(_) => End::Open,
        // Begins with `BLOCK`, and the notice may be missing.
        Error::Blocked(_) => End::Open,
        Error::Proxy(error) => match &**error {
            ProxyError::Protocol(error) => end_of_error(error),
            _ => End::Fixed,
        },
        _ => End::Fixed,
    }
}

fn versioned<T: Debug, S: Strategy<Value = T>>(message: fn(u16) -> S) -> impl Strategy<Value = (u16, T)> {
    version().prop_flat_map(move |version| (Just(version), message(version)))
}

proptest! {
    #[test]
    fn commands((version, command) in versioned(command)) {
        let bytes = command.to_bytes(version);
        assert_exact(&command, &bytes, end_of_command(&command), |bytes| Command::decode(version, bytes).ok());
    }

    #[test]
    fn responses((version, response) in versioned(response)) {
        let bytes = response.to_bytes(version);
        assert_exact(&response, &bytes, end_of_response(&response), |bytes| Response::decode(version, bytes).ok());
    }

    #[test]
    fn errors((version, error) in versioned(error)) {
        let mut bytes = Vec::new();
        error.encode(version, &mut bytes);
        assert_exact(&error, &bytes, end_of_error(&error), Error::decode);
    }

    #[test]
    fn transport_errors(error in transport_error()) {
        assert_exact(&error, error.to_string().as_bytes(), End::Fixed, TransportError::decode);
    }

    #[test]
    fn server_hellos(hello in server_hello()) {
        assert_exact(&hello, &hello.to_bytes(), End::Extensible, |bytes| ServerHello::parse(bytes).ok());
    }

    #[test]
    fn client_hellos(hello in client_hello()) {
        assert_exact(&hello, &hello.to_bytes(), End::Extensible, |bytes| ClientHello::parse(bytes).ok());
    }

    #[test]
    fn answers_to_services(response in service_response()) {
        let end = match response {
            ServiceResponse::Accepted(_) => End::Extensible,
            ServiceResponse::Refused(_) => End::Fixed,
        };
        assert_exact(&response, &response.to_bytes(), end, |bytes| ServiceResponse::parse(bytes).ok());
    }

    #[test]
    fn public_headers(header in public_header()) {
        assert_exact(&header, &header.to_bytes(), End::Fixed, |bytes| PublicHeader::decode_all(bytes).ok());
    }

    #[test]
    fn client_messages(message in client_message()) {
        assert_exact(&message, &message.to_bytes(), End::Open, |bytes| ClientMessage::decode_all(bytes).ok());
    }

    #[test]
    fn envelopes(envelope in envelope()) {
        assert_exact(&envelope, &envelope.to_bytes(), End::Open, |bytes| Envelope::decode_all(bytes).ok());
    }

    #[test]
    fn delivered_bodies(delivered in delivered()) {
        let end = match delivered {
            Delivered::Message { .. } => End::Open,
            Delivered::Quota { .. } => End::Fixed,
        };
        assert_exact(&delivered, &delivered.to_bytes(), end, |bytes| Delivered::parse(bytes).ok());
    }

    #[test]
    fn notification_metadata(metadata in metadata()) {
        let read = |bytes: &[u8]| NotificationMetadata::parse(bytes).ok();
        assert_exact(&metadata, &metadata.to_bytes(), End::Extensible, read);
    }

    #[test]
    fn sealed_messages_open_with_their_key_only(
        (delivered, metadata, message, header) in (delivered(), metadata(), client_message(), public_header()),
        (id, nonce, key, other) in (message_id(), nonce(), box_key(), box_key()),
    ) {
        let sealed = delivered.seal(&key, &id).unwrap();
        prop_assert!(Delivered::open(&other, &id, &sealed).is_err());
        prop_assert_eq!(Delivered::open(&key, &id, &sealed), Ok(delivered));
        if let Ok(sealed) = metadata.seal(&key, nonce) {
            prop_assert!(NotificationMetadata::open(&other, nonce, &sealed).is_err());
            prop_assert_eq!(NotificationMetadata::open(&key, nonce, &sealed), Ok(metadata));
        }
        let envelope = Envelope::seal(header, &key, nonce, &message).unwrap();
        prop_assert!(envelope.open(&other).is_err());
        prop_assert_eq!(envelope.open(&key), Ok(message));
    }

    #[test]
    fn authorised_commands_arrive_as_they_were_given(
        (version, command) in versioned(command),
        (corr_id, entity_id, session_id) in (corr_id(), entity_id(), bytes()),
        (key, server_key) in (proptest::option::of(auth_private()), any::<[u8; 32]>()),
    ) {
        let server_key = X25519PrivateKey::from_bytes(server_key);
        let session = Session { version, id: &session_id, server_key: &server_key.public() };
        let bytes = encode_command(session, &corr_id, &entity_id, &command, key.as_ref()).unwrap();
        let allowed = command.check_credentials(key.is_some(), !entity_id.is_empty());
        match ClientTransmission::parse(version, &session_id, &bytes) {
            Ok(received) => {
                prop_assert_eq!(allowed, Ok(()));
                prop_assert_eq!(received.authorization().is_some(), key.is_some());
                if let (Some(authorization), Some(key)) = (received.authorization(), &key) {
                    let verified = key.public().unwrap().verify(authorization, &server_key, corr_id.as_bytes(), &received.authorized);
                    prop_assert_eq!(verified, Ok(()));
                }
                prop_assert_eq!((received.corr_id, received.entity_id, received.command), (corr_id, entity_id, command));
            }
            Err(refusal) => {
                prop_assert_eq!((refusal.corr_id, refusal.entity_id), (corr_id, entity_id));
                prop_assert_eq!(Err(refusal.error), allowed.map_err(Error::from));
            }
        }
    }

    #[test]
    fn responses_arrive_as_they_were_given((version, response) in versioned(response), corr_id in corr_id(), entity_id in entity_id()) {
        let bytes = encode_response(version, &corr_id, &entity_id, &response);
        let allowed = response.check_entity(!entity_id.is_empty());
        let received = ServerTransmission { corr_id, entity_id, response: allowed.map(|()| response) };
        prop_assert_eq!(ServerTransmission::parse(version, &bytes), Ok(received));
    }

    #[test]
    fn batches_carry_everything_in_order(transmissions in vec(vec(any::<u8>(), 0..2000), 0..60)) {
        let payloads = block::payloads(transmissions.iter().map(Vec::as_slice));
        let mut carried = Vec::new();
        for payload in &payloads {
            prop_assert!(payload.len() <= MAX_SEALED_PAYLOAD);
            carried.extend(block::transmissions(payload).unwrap().into_iter().map(<[u8]>::to_vec));
        }
        prop_assert_eq!(carried, transmissions);
    }

    #[test]
    fn payloads_are_read_exactly(transmissions in vec(bytes(), 1..5)) {
        let payload = block::payloads(transmissions.iter().map(Vec::as_slice)).remove(0);
        let read = |bytes: &[u8]| Some(block::transmissions(bytes).ok()?.into_iter().map(<[u8]>::to_vec).collect());
        assert_exact(&transmissions, &payload, End::Fixed, read);
    }

    #[test]
    fn blocks_reach_the_other_side(secret in secret(), session_id in bytes(), payloads in vec((any::<bool>(), vec(any::<u8>(), 0..50)), 1..6)) {
        let (mut client_seals, mut client_opens) = block_ciphers(Side::Client, &session_id, Some(&secret), false);
        let (mut server_seals, mut server_opens) = block_ciphers(Side::Server, &session_id, Some(&secret), false);
        for (from_client, payload) in payloads {
            let (sealer, opener) = match from_client {
                true => (&mut client_seals, &mut server_opens),
                false => (&mut server_seals, &mut client_opens),
            };
            let mut sealed = Vec::new();
            sealer.seal(&payload, &mut sealed).unwrap();
            let mut block: [u8; BLOCK] = sealed.try_into().unwrap();
            prop_assert_eq!(opener.open(&mut block), Ok(payload.as_slice()));
        }
    }

    #[test]
    fn plain_blocks_reach_the_other_side(payload in vec(any::<u8>(), 0..100), long in any::<bool>()) {
        let payload = if long { vec![7; MAX_PLAIN_PAYLOAD] } else { payload };
        let mut sealed = Vec::new();
        BlockSealer::new(None).seal(&payload, &mut sealed).unwrap();
        prop_assert_eq!(from_block(&sealed), Ok(payload.as_slice()));
        let mut block: [u8; BLOCK] = sealed.try_into().unwrap();
        prop_assert_eq!(BlockOpener::new(None).open(&mut block), Ok(payload.as_slice()));
    }

    #[test]
    fn proxied_payloads_pass_both_layers(
        (client, session) in (box_key(), box_key()),
        (pfwd_id, rfwd_id) in (corr_id(), corr_id()),
        forwarded in forwarded(),
        payload in bytes(),
    ) {
        let sealed = proxy::seal_command(&client, &pfwd_id, &payload).unwrap();
        prop_assert_eq!(proxy::open_command(&client, &pfwd_id, &sealed), Ok(payload.clone()));
        let sealed = proxy::seal_forward(&session, &rfwd_id, &pfwd_id, &forwarded);
        prop_assert_eq!(proxy::open_forward(&session, &rfwd_id, &sealed), Ok((pfwd_id.clone(), forwarded)));
        let sealed = proxy::seal_response(&client, &pfwd_id, &payload).unwrap();
        prop_assert_eq!(proxy::open_response(&client, &pfwd_id, &sealed), Ok(payload));
        let returned = proxy::seal_return(&session, &rfwd_id, &pfwd_id, &sealed);
        prop_assert_eq!(proxy::open_return(&session, &rfwd_id, &returned), Ok((pfwd_id, sealed)));
    }

    #[test]
    fn nothing_that_is_received_makes_a_reader_panic(noise in vec(any::<u8>(), 0..300), tag in prop::sample::select(TAGS.to_vec())) {
        let tagged = [tag, b" ", &noise].concat();
        for bytes in [&noise, &tagged] {
            for version in [15, 16, 17, 18] {
                let _ = (Command::decode(version, bytes), Response::decode(version, bytes));
                let _ = (Received::parse(version, bytes), ServerTransmission::parse(version, bytes));
                let _ = ClientTransmission::parse(version, b"session", bytes);
            }
            let _ = (Error::decode(bytes), TransportError::decode(bytes), block::transmissions(bytes));
            let _ = (ServerHello::parse(bytes), ClientHello::parse(bytes), ServiceResponse::parse(bytes));
            let _ = (Envelope::decode_all(bytes), ClientMessage::decode_all(bytes), PublicHeader::decode_all(bytes));
            let _ = (Delivered::parse(bytes), NotificationMetadata::parse(bytes), from_block(bytes));
        }
    }

    #[test]
    fn a_command_with_a_changed_byte_is_refused_or_another_command(
        (version, command) in versioned(command),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let mut bytes = command.to_bytes(version);
        let position = at.index(bytes.len());
        bytes[position] ^= flip;
        if let Ok(other) = Command::decode(version, &bytes) {
            prop_assert_ne!(&other, &command);
            prop_assert_eq!(Command::decode(version, &other.to_bytes(version)), Ok(other));
        }
    }

    #[test]
    fn details_of_network_failures_are_read_but_not_sent(detail in "\\PC{0,60}") {
        let word = |tag: &str| {
            let length = [u8::try_from(detail.len()).unwrap()];
            [b"PROXY BROKER NETWORK ", tag.as_bytes(), b" ", &length, detail.as_bytes()].concat()
        };
        for (tag, failure) in [
            ("CONNECT", NetworkError::Connect(detail.clone())),
            ("TLS", NetworkError::Tls(detail.clone())),
            ("SUBSCRIBE", NetworkError::Subscribe(detail.clone())),
        ] {
            let error = Error::Proxy(Box::new(ProxyError::Broker(BrokerError::Network(Some(failure)))));
            assert_exact(&error, &word(tag), End::Open, Error::decode);
            let mut sent = Vec::new();
            error.encode(18, &mut sent);
            prop_assert_eq!(sent, b"PROXY BROKER NETWORK");
        }
    }

    #[test]
    fn long_details_are_cut_between_characters(detail in "\\PC{200,300}") {
        let error = Error::Proxy(Box::new(ProxyError::Broker(BrokerError::Unexpected(detail.clone()))));
        let mut sent = Vec::new();
        error.encode(18, &mut sent);
        let Some(Error::Proxy(read)) = Error::decode(&sent) else { panic!("not read") };
        let ProxyError::Broker(BrokerError::Unexpected(cut)) = *read else { panic!("read as {read:?}") };
        prop_assert!(detail.starts_with(&cut) && cut.len() <= 255);
        prop_assert!(cut == detail || cut.len() > 251);
    }
}

const TAGS: &[&[u8]] = &[
    b"NEW",
    b"SUB",
    b"KEY",
    b"RKEY",
    b"LSET",
    b"NKEY",
    b"ACK",
    b"SKEY",
    b"SEND",
    b"LKEY",
    b"PRXY",
    b"PFWD",
    b"RFWD",
    b"IDS",
    b"LNK",
    b"SOK",
    b"SOKS",
    b"MSG",
    b"NID",
    b"NMSG",
    b"PKEY",
    b"RRES",
    b"PRES",
    b"ENDS",
    b"INFO",
    b"ERR",
    b"ERR BLOCKED",
    b"ERR PROXY PROTOCOL",
    b"ERR PROXY BROKER",
    b"ERR STORE",
    b"PROXY BROKER NETWORK",
    b"QUOTA",
];

#[test]
fn an_error_passes_four_proxies_and_no_more() {
    let nested = |proxies: usize| [b"PROXY PROTOCOL ".repeat(proxies).as_slice(), b"AUTH"].concat();
    for proxies in 0..=4 {
        let error = Error::decode(&nested(proxies)).unwrap();
        assert_eq!(error.to_string().as_bytes(), nested(proxies));
    }
    for proxies in [5, 6, 1000] {
        assert_eq!(Error::decode(&nested(proxies)), None);
        let response = [b"ERR ".as_slice(), &nested(proxies)].concat();
        assert!(Response::decode(18, &response).is_err());
    }
}

#[test]
fn a_transmission_of_nothing_names_nothing() {
    let received = Received::parse(18, &[0, 0, 0]).unwrap();
    assert_eq!((received.corr_id, received.entity_id), (CorrId::default(), EntityId::default()));
    assert_eq!(received.command, b"");
}
