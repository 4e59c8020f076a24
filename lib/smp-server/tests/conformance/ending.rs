//! Suspension, deletion, quota, expiry, restart and blocking, lines 47 to 54.

use std::time::Duration;

use smp::command::Command;
use smp::delivery::Delivered;
use smp::error::{BlockingInfo, BlockingReason, ClientNotice, Error};
use smp::id::{EntityId, MessageId};
use smp::response::{MessageKind, Response};
use smp_server::config::{Config, Expiry};

use crate::support::{
    AUTH, Queue, START, Server, config, ed25519, invitation, link_data, messaging, send, unsubscribed,
};

const QUOTA: Response = Response::Err(Error::Quota);

#[tokio::test]
async fn smp_47_off_stops_the_sender_but_not_the_recipient() {
    let server = Server::start().await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = unsubscribed(&mut recipient).await;
    assert_eq!(queue.send(&mut sender, b"one").await, Response::Ok);
    assert_eq!(queue.does(&mut recipient, Command::Off).await, Response::Ok);
    assert_eq!(queue.does(&mut recipient, Command::Off).await, Response::Ok);
    assert_eq!(queue.send(&mut sender, b"two").await, AUTH);
    assert_eq!(queue.send_as(&mut sender, Some(&ed25519()), b"two").await, AUTH);
    assert_eq!(queue.does(&mut recipient, Command::Sub).await, Response::Sok(None));
    assert_eq!(queue.pushed(&mut recipient).await.body(), b"one");
}

#[tokio::test]
async fn smp_48_off_and_del_are_for_the_recipient() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    for command in [Command::Off, Command::Del] {
        assert_eq!(peer.command(Some(&ed25519()), queue.recipient_id.clone(), command.clone()).await, AUTH);
        assert_eq!(peer.command(Some(&queue.key), queue.sender_id.clone(), command).await, AUTH);
    }
    assert_eq!(queue.send(&mut peer, b"still there").await, Response::Ok);
}

#[tokio::test]
async fn smp_49_a_deleted_queue_is_unknown() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    assert_eq!(queue.send(&mut peer, b"one").await, Response::Ok);
    let message = queue.pushed(&mut peer).await;
    assert_eq!(queue.does(&mut peer, Command::Del).await, Response::Ok);
    assert_eq!(queue.send(&mut peer, b"two").await, AUTH);
    for command in [Command::Sub, Command::Ack(message.id), Command::Off, Command::Del] {
        assert_eq!(queue.does(&mut peer, command).await, AUTH);
    }
}

#[tokio::test]
async fn smp_50_a_full_queue_takes_one_quota_message_and_must_be_emptied() {
    let server = Server::start_with(Config { quota: 2, ..config() }).await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut recipient).await;
    for (body, expected) in [(b"one", Response::Ok), (b"two", Response::Ok), (b"3rd", QUOTA), (b"4th", QUOTA)] {
        assert_eq!(queue.send(&mut sender, body).await, expected);
    }
    let first = queue.pushed(&mut recipient).await;
    let second = queue.open(queue.ack(&mut recipient, &first.id).await);
    assert_eq!((first.body(), second.body()), (&b"one"[..], &b"two"[..]));
    assert_eq!(queue.send(&mut sender, b"after one ACK").await, QUOTA);
    let quota = queue.open(queue.ack(&mut recipient, &second.id).await);
    assert_eq!(quota.content, Delivered::Quota { met_at: START });
    assert_eq!(queue.send(&mut sender, b"before the last ACK").await, QUOTA);
    assert_eq!(queue.ack(&mut recipient, &quota.id).await, Response::Ok);
    assert_eq!(queue.send(&mut sender, b"five").await, Response::Ok);
    assert_eq!(queue.pushed(&mut recipient).await.body(), b"five");
}

fn expiry(interval: Duration, on_start: bool, on_send: bool) -> Config {
    Config { expiry: Expiry { ttl: Duration::from_secs(10), interval, on_start, on_send }, ..config() }
}

#[tokio::test]
async fn smp_51_sending_removes_what_has_expired() {
    let server = Server::start_with(expiry(Duration::ZERO, false, true)).await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = unsubscribed(&mut recipient).await;
    assert_eq!(queue.send(&mut sender, b"old").await, Response::Ok);
    server.advance(11);
    assert_eq!(queue.send(&mut sender, b"new").await, Response::Ok);
    assert_eq!(queue.does(&mut recipient, Command::Sub).await, Response::Sok(None));
    let message = queue.pushed(&mut recipient).await;
    assert_eq!(message.body(), b"new");
    assert_eq!(queue.ack(&mut recipient, &message.id).await, Response::Ok);
}

#[tokio::test]
async fn smp_52_what_has_expired_is_removed_from_time_to_time() {
    let server = Server::start_with(expiry(Duration::from_millis(10), false, false)).await;
    let mut peer = server.connect().await;
    let (queue, young) = (unsubscribed(&mut peer).await, unsubscribed(&mut peer).await);
    assert_eq!(queue.send(&mut peer, b"old").await, Response::Ok);
    server.advance(5);
    assert_eq!(young.send(&mut peer, b"young").await, Response::Ok);
    server.advance(6);
    while size(&queue, &mut peer).await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(queue.does(&mut peer, Command::Sub).await, Response::Sok(None));
    peer.nothing_more().await;
    assert_eq!(size(&young, &mut peer).await, 1);
}

async fn size(queue: &Queue, peer: &mut crate::support::Peer) -> u64 {
    match queue.does(peer, Command::Que).await {
        Response::Info(info) => info.size,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn expired_messages_are_removed_at_start_and_the_waiting_subscriber_gets_the_next() {
    let server = Server::start_with(expiry(Duration::from_millis(10), true, false)).await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut recipient).await;
    assert_eq!(queue.send(&mut sender, b"old").await, Response::Ok);
    let old = queue.pushed(&mut recipient).await;
    server.advance(8);
    assert_eq!(queue.send(&mut sender, b"new").await, Response::Ok);
    server.advance(3);
    while size(&queue, &mut sender).await > 1 {
        tokio::task::yield_now().await;
    }
    recipient.nothing_more().await;
    assert_eq!(queue.open(queue.ack(&mut recipient, &old.id).await).body(), b"new");

    server.advance(8);
    let server = server.restart_with(expiry(Duration::ZERO, true, false)).await;
    assert_eq!(size(&queue, &mut server.connect().await).await, 0);
}

#[tokio::test]
async fn smp_53_everything_survives_a_restart() {
    let small = || Config { quota: 2, ..config() };
    let server = Server::start_with(small()).await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let (full, secured, off, deleted) = (
        unsubscribed(&mut recipient).await,
        messaging(&mut recipient).await,
        unsubscribed(&mut recipient).await,
        unsubscribed(&mut recipient).await,
    );
    for body in [b"one", b"two", b"3rd"] {
        full.send(&mut sender, body).await;
    }
    let key = ed25519();
    assert_eq!(secured.does(&mut recipient, Command::Key(key.public().unwrap())).await, Response::Ok);
    assert_eq!(secured.send_as(&mut sender, Some(&key), b"delivered").await, Response::Ok);
    let delivered = secured.pushed(&mut recipient).await;
    assert_eq!(off.does(&mut recipient, Command::Off).await, Response::Ok);
    assert_eq!(deleted.does(&mut recipient, Command::Del).await, Response::Ok);

    let server = server.restart_with(small()).await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    assert_eq!(deleted.does(&mut recipient, Command::Sub).await, AUTH);
    assert_eq!(off.send(&mut sender, b"no").await, AUTH);
    assert_eq!(secured.send(&mut sender, b"no").await, AUTH);
    assert_eq!(secured.does(&mut recipient, Command::Sub).await, Response::Sok(None));
    assert_eq!(secured.pushed(&mut recipient).await, delivered);
    assert_eq!(full.send(&mut sender, b"still full").await, QUOTA);
    assert_eq!(full.does(&mut recipient, Command::Sub).await, Response::Sok(None));
    let first = full.pushed(&mut recipient).await;
    let second = full.open(full.ack(&mut recipient, &first.id).await);
    let quota = full.open(full.ack(&mut recipient, &second.id).await);
    assert_eq!((first.body(), second.body()), (&b"one"[..], &b"two"[..]));
    assert_eq!(quota.content, Delivered::Quota { met_at: START });
    assert_eq!(full.ack(&mut recipient, &quota.id).await, Response::Ok);
    assert_eq!(full.send(&mut sender, b"again").await, Response::Ok);
    let Response::Info(info) = full.does(&mut recipient, Command::Que).await else { panic!() };
    assert_eq!(info.head.unwrap().kind, MessageKind::Message);
}

#[tokio::test]
async fn smp_54_a_blocked_queue_says_why_to_those_who_may_know() {
    let server = Server::start().await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let mut old = server.connect_at(17).await;
    let queue = invitation(&mut recipient, link_data(1, 1)).await;
    let info = BlockingInfo { reason: BlockingReason::Content, notice: Some(ClientNotice { ttl: Some(86_400) }) };
    let blocked = || Response::Err(Error::Blocked(info));
    assert!(server.state.block(queue.sender_id.as_bytes(), Some(info)).is_some());
    assert_eq!(recipient.event().await, (EntityId::from(queue.recipient_id.clone()), blocked()));

    let key = ed25519();
    let skey = Command::Skey(key.public().unwrap());
    assert_eq!(sender.command(Some(&key), queue.sender_id.clone(), skey.clone()).await, blocked());
    let without_notice = Response::Err(Error::Blocked(BlockingInfo { notice: None, ..info }));
    assert_eq!(old.command(Some(&key), queue.sender_id.clone(), skey).await, without_notice);
    let lkey = Command::Lkey(key.public().unwrap());
    assert_eq!(sender.command(Some(&key), queue.link_id.clone().unwrap(), lkey).await, blocked());
    assert_eq!(queue.send(&mut sender, b"hello").await, blocked());
    let commands = [
        Command::Sub,
        Command::Get,
        Command::Ack(MessageId::from([1; 24])),
        Command::Key(key.public().unwrap()),
        Command::Ldel,
        Command::Que,
    ];
    for command in commands {
        assert_eq!(queue.does(&mut recipient, command).await, blocked());
    }
    assert_eq!(sender.command(Some(&key), queue.recipient_id.clone(), Command::Sub).await, AUTH);

    let server = server.restart().await;
    let mut recipient = server.connect().await;
    assert_eq!(queue.does(&mut recipient, Command::Sub).await, blocked());
    assert_eq!(queue.does(&mut recipient, Command::Off).await, Response::Ok);
    assert_eq!(queue.does(&mut recipient, Command::Sub).await, blocked());
    assert!(server.state.block(queue.recipient_id.as_bytes(), None).is_some());
    assert_eq!(queue.does(&mut recipient, Command::Sub).await, Response::Sok(None));
    assert_eq!(recipient.command(None, queue.sender_id.clone(), send(b"off all the same")).await, AUTH);
    assert_eq!(queue.does(&mut recipient, Command::Del).await, Response::Ok);
}
