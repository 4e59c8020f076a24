//! Batches and blocks: `transmissions.json`, and how much fits one block.

use codec::{Encode as _, Write};
use crypto::authorize::AuthPrivateKey;
use crypto::dh::X25519PrivateKey;
use crypto::sign::Ed25519PrivateKey;
use crypto::{BoxKey, Nonce, hash};
use smp::block::{self, BLOCK, Batch, BlockOpener, BlockSealer, MAX_SEALED_PAYLOAD, TooLarge};
use smp::command::{Command, MessageFlags};
use smp::delivery::NotificationMetadata;
use smp::handshake::{Side, block_ciphers};
use smp::id::{CorrId, EntityId, MessageId};
use smp::response::Response;
use smp::transmission::{Session, encode_command, encode_response};

use crate::support::{assert_bytes, dh_private, dh_public};
use crate::vectors::{Vector, each, number};

const FILE: &str = "transmissions.json";

/// Transmissions of the vectors: unauthorised, corrIds `c1` to `c255` over and over, `SEND T` with a body of `a` that
/// makes them as long as wanted where the rest is not longer already.
fn transmissions(vector: &Vector) -> Vec<Vec<u8>> {
    let encode = |position: u64| {
        let mut out = vec![0];
        out.put_short(format!("c{}", position % 255 + 1).as_bytes());
        out.put_short(&vector.hex("/in/entity_id"));
        Command::Send(MessageFlags { notify: true }, Vec::new()).encode(18, &mut out);
        out.resize(vector.number::<usize>("/in/transmission_len").max(out.len()), b'a');
        out
    };
    (0..vector.number("/in/count")).map(encode).collect()
}

fn payloads(transmissions: &[Vec<u8>]) -> Vec<Vec<u8>> {
    block::payloads(transmissions.iter().map(Vec::as_slice))
}

/// Counts and lengths of blocks, whatever their order.
fn sizes(blocks: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut sizes: Vec<_> = blocks.collect();
    sizes.sort_unstable();
    sizes
}

/// The reference fills blocks from the last transmission backwards; we fill them from the first on, equally full.
fn assert_same_blocks(vector: &Vector, transmissions: &[Vec<u8>]) {
    let expected = vector.at("/out/blocks").as_array().unwrap();
    let payloads = payloads(transmissions);
    if expected[0].get("error").is_some() {
        assert_eq!(expected[0]["error"], "LARGE_MSG");
        assert_eq!(payloads, Vec::<Vec<u8>>::new());
        return assert_eq!(Batch::default().push(&transmissions[0]), Err(TooLarge));
    }
    assert_eq!(
        sizes(payloads.iter().map(|payload| (payload[0].into(), payload.len() as u64))),
        sizes(expected.iter().map(|block| (number(&block["count"]), number(&block["payload_len"]))))
    );
    let carried: Vec<_> = payloads.iter().flat_map(|payload| block::transmissions(payload).unwrap()).collect();
    assert_eq!(carried, transmissions);
}

#[test]
fn batches_fill_blocks_as_the_reference_does() {
    each(FILE, "batch", |vector| {
        let transmissions = transmissions(vector);
        assert_same_blocks(vector, &transmissions);
        let mut rest = transmissions.as_slice();
        for block in vector.at("/out/blocks").as_array().unwrap() {
            if block.get("error").is_none() {
                let (of_block, later) = rest.split_at(number(&block["count"]));
                let [payload] = payloads(of_block).try_into().unwrap();
                assert_bytes(&hash::sha256(&payload), &block["payload_sha256"]);
                rest = later;
            }
        }
    });
}

/// Subscriptions as a client of version 18 sends them, to queues with IDs of 24 bytes.
fn subscriptions(count: u8) -> Vec<Vec<u8>> {
    let session = Session { version: 18, id: &[9; 32], server_key: &X25519PrivateKey::from_bytes([7; 32]).public() };
    let key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::from_seed([3; 32]));
    (0..count)
        .map(|i| encode_command(session, &[i; 24].into(), &[i; 24].into(), &Command::Sub, Some(&key)).unwrap())
        .collect()
}

#[test]
fn smp_11_135_subscriptions_fit_one_block_and_136_need_two() {
    each(FILE, "batch_subs", |vector| assert_same_blocks(vector, &subscriptions(vector.number("/in/count"))));
    let blocks = |count| payloads(&subscriptions(count)).len();
    assert_eq!((blocks(135), blocks(136)), (1, 2));
}

fn event(id: u8, response: &Response) -> Vec<u8> {
    encode_response(18, &CorrId::default(), &[id; 24].into(), response)
}

fn assert_fit_one_block(transmissions: &[Vec<u8>]) {
    let [payload] = payloads(transmissions).try_into().unwrap();
    assert_eq!(block::transmissions(&payload).unwrap(), transmissions);
    let mut sealed = Vec::new();
    BlockSealer::new(None).seal(&payload, &mut sealed).unwrap();
    assert_eq!(sealed.len(), BLOCK);
    assert!(payload.len() <= MAX_SEALED_PAYLOAD);
}

#[test]
fn smp_12_255_end_events_fit_one_block() {
    assert_fit_one_block(&(0..255).map(|id| event(id, &Response::End)).collect::<Vec<_>>());
}

#[test]
fn smp_12_80_notifications_fit_one_block() {
    let notification = |id: u8| {
        let metadata = NotificationMetadata { message_id: MessageId::from([id; 24]), sent_at: 1_735_689_600 };
        let sealed = metadata.seal(&BoxKey::symmetric(&[1; 32]), Nonce([id; 24])).unwrap();
        event(id, &Response::Nmsg(Nonce([id; 24]), sealed))
    };
    assert_fit_one_block(&(0..80).map(notification).collect::<Vec<_>>());
}

fn ciphers(vector: &Vector, side: Side) -> (BlockSealer, BlockOpener) {
    let client = dh_private(vector, "/in/client_handshake_private");
    let server = dh_private(vector, "/in/server_session_private");
    let secret = match side {
        Side::Client => client.agree(&dh_public(vector.at("/in/server_session_public"))),
        Side::Server => server.agree(&dh_public(vector.at("/in/client_handshake_public"))),
    };
    assert_eq!(secret.expose().to_vec(), vector.hex("/out/session_secret"));
    block_ciphers(side, &vector.hex("/in/session_id"), Some(&secret), false)
}

#[test]
fn blocks_are_encrypted_to_the_bytes_of_the_reference() {
    each(FILE, "encrypted_blocks", |vector| {
        let (sender, recipient) = match vector.name() {
            "blocks_client_to_server" => (Side::Client, Side::Server),
            _ => (Side::Server, Side::Client),
        };
        let (mut sealer, _) = ciphers(vector, sender);
        let (_, mut opener) = ciphers(vector, recipient);
        for position in 0..vector.at("/out/blocks").as_array().unwrap().len() {
            let expected = |field: &str| vector.at(&format!("/out/blocks/{position}/{field}"));
            let payload = crate::vectors::hex(expected("payload"));
            let mut sealed = Vec::new();
            sealer.seal(&payload, &mut sealed).unwrap();
            assert_bytes(&hash::sha256(&sealed), expected("block_sha256"));
            assert_bytes(&sealed[..64], expected("block_first_64"));
            assert_bytes(&sealed[BLOCK - 16..], expected("block_last_16"));
            let mut block: [u8; BLOCK] = sealed.try_into().unwrap();
            assert_eq!(opener.open(&mut block), Ok(payload.as_slice()));
        }
    });
    each(FILE, "plain_block", |vector| {
        let mut block = Vec::new();
        BlockSealer::new(None).seal(&vector.hex("/in/payload"), &mut block).unwrap();
        assert_bytes(&hash::sha256(&block), vector.at("/out/block_sha256"));
    });
}

#[test]
fn payloads_have_the_limits_of_the_reference() {
    each(FILE, "payload_limit", |vector| {
        let secret = X25519PrivateKey::from_bytes([1; 32]).agree(&X25519PrivateKey::from_bytes([2; 32]).public());
        let secret = Some(&secret).filter(|_| *vector.at("/in/encrypted") == true);
        let (mut sealer, _) = block_ciphers(Side::Client, &[5; 32], secret, false);
        let payload = vec![b'x'; vector.number("/in/payload_len")];
        let mut sealed = Vec::new();
        let outcome = sealer.seal(&payload, &mut sealed);
        assert_eq!(sealed.len(), if outcome.is_ok() { BLOCK } else { 0 });
        vector.settle(outcome);
    });
}

#[test]
fn a_refused_payload_does_not_advance_the_chain() {
    let secret = X25519PrivateKey::from_bytes([1; 32]).agree(&X25519PrivateKey::from_bytes([2; 32]).public());
    let (mut sealer, _) = block_ciphers(Side::Client, &[5; 32], Some(&secret), false);
    let (_, mut opener) = block_ciphers(Side::Server, &[5; 32], Some(&secret), false);
    let mut sealed = Vec::new();
    assert_eq!(sealer.seal(&[0; MAX_SEALED_PAYLOAD + 1], &mut sealed), Err(TooLarge));
    sealer.seal(b"first", &mut sealed).unwrap();
    let mut block: [u8; BLOCK] = sealed.try_into().unwrap();
    assert_eq!(opener.open(&mut block), Ok(b"first".as_slice()));
}

#[test]
fn an_unreadable_block_advances_the_chain() {
    let secret = X25519PrivateKey::from_bytes([1; 32]).agree(&X25519PrivateKey::from_bytes([2; 32]).public());
    let (mut sealer, _) = block_ciphers(Side::Client, &[5; 32], Some(&secret), false);
    let (_, mut opener) = block_ciphers(Side::Server, &[5; 32], Some(&secret), false);
    let mut blocks = Vec::new();
    sealer.seal(b"first", &mut blocks).unwrap();
    sealer.seal(b"second", &mut blocks).unwrap();
    blocks[0] ^= 1;
    let [mut first, mut second]: [[u8; BLOCK]; 2] = [0, BLOCK].map(|at| blocks[at..at + BLOCK].try_into().unwrap());
    assert_eq!(opener.open(&mut first), Err(block::BadBlock));
    assert_eq!(opener.open(&mut second), Ok(b"second".as_slice()));
}

/// The layout of a block as the protocol documents it: count, length, then the parts of the transmission.
#[test]
fn transmissions_are_laid_out_as_documented() {
    let server_key = X25519PrivateKey::from_bytes([7; 32]).public();
    let key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::from_seed([3; 32]));
    let (corr_id, recipient_id) = (CorrId::from([0xc0; 24]), EntityId::from([0xd0; 24]));
    let payload = |version, entity_id: &EntityId, command: &Command, key: Option<&AuthPrivateKey>| {
        let session = Session { version, id: &[9; 32], server_key: &server_key };
        let transmission = encode_command(session, &corr_id, entity_id, command, key).unwrap();
        block::payloads([transmission.as_slice()]).remove(0)
    };
    let corr = corr_id.to_bytes();
    let ping = payload(18, &EntityId::default(), &Command::Ping, None);
    assert_eq!(ping, [&[1, 0, 0x1f, 0], corr.as_slice(), &[0], b"PING"].concat());

    let ids = [corr, recipient_id.to_bytes()].concat();
    for (version, length, absent_service) in [(18, 0x77, b"0".as_slice()), (15, 0x76, b"")] {
        let sub = payload(version, &recipient_id, &Command::Sub, Some(&key));
        let signature = &sub[4..68];
        assert_eq!(sub, [&[1, 0, length, 0x40], signature, absent_service, &ids, b"SUB"].concat());
    }
}
