//! Blocks, lines 9 to 12.

use codec::Write as _;
use smp::block::{Batch, payloads};
use smp::command::Command;
use smp::error::Error;
use smp::id::{CorrId, EntityId};
use smp::response::Response;
use smp::transmission::{ServerTransmission, encode_response};
use smp_server::random::SystemRandom;

use crate::support::{Server, unsubscribed};

fn block_error() -> ServerTransmission {
    let response = Ok(Response::Err(Error::Block));
    ServerTransmission { corr_id: CorrId::default(), entity_id: EntityId::default(), response }
}

#[tokio::test]
async fn smp_09_an_unreadable_payload_is_answered_and_the_connection_stays_usable() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let ping = peer.encode(&CorrId::from([1; 24]), &EntityId::default(), &Command::Ping, None);
    let mut leftover = payloads([ping.as_slice()]).pop().unwrap();
    leftover.push(0);
    let unparseable = payloads([&[200, 1, 2][..]]).pop().unwrap();
    for payload in [vec![0], Vec::new(), leftover, unparseable, vec![1, 0]] {
        peer.send_payload(&payload).await;
        assert_eq!(peer.receive().await, block_error(), "{payload:?}");
        peer.nothing_more().await;
    }
}

#[tokio::test]
async fn smp_10_an_authorization_of_another_length_is_answered_under_its_correlation_id() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    for length in [1, 63, 65, 79, 81, 113, 115, 255] {
        let mut transmission = Vec::new();
        transmission.put_short(&vec![7; length]);
        transmission.put(b"0");
        transmission.put_short(&[1; 24]);
        transmission.put_short(&[2; 24]);
        transmission.put(b"SUB");
        let answer = peer.exchange(transmission).await;
        assert_eq!(answer, ServerTransmission { corr_id: CorrId::from([1; 24]), ..block_error() }, "{length}");
    }
    peer.nothing_more().await;
}

#[tokio::test]
async fn smp_11_one_block_takes_135_authorised_subscriptions() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = unsubscribed(&mut peer).await;
    let subscriptions = |count: usize| {
        let subscription = || {
            let corr_id = CorrId::random(&mut SystemRandom);
            peer.encode(&corr_id, &queue.recipient_id.clone().into(), &Command::Sub, Some(&queue.key))
        };
        (0..count).map(|_| subscription()).collect::<Vec<_>>()
    };
    assert_eq!(payloads(subscriptions(136).iter().map(Vec::as_slice)).len(), 2);
    let block = payloads(subscriptions(135).iter().map(Vec::as_slice));
    assert_eq!(block.len(), 1);
    peer.send_payload(&block[0]).await;
    for _ in 0..135 {
        assert_eq!(peer.receive().await.response, Ok(Response::Sok(None)));
    }
    peer.nothing_more().await;
}

#[test]
fn smp_12_one_block_takes_255_ends_or_80_notifications() {
    let count = |response: Response| {
        let event = encode_response(18, &CorrId::default(), &EntityId::from([1; 24]), &response);
        let mut batch = Batch::default();
        (0..).take_while(|_| batch.push(&event).unwrap()).count()
    };
    assert_eq!(count(Response::End), 255);
    assert!(count(Response::Nmsg(crypto::Nonce([1; 24]), vec![0; 144])) >= 80);
}
