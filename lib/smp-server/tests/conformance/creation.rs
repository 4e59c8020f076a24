//! Creation and securing, lines 24 to 35.

use smp::command::{BasicAuth, Command, NewQueue, NotifierKeys, QueueRequest};
use smp::error::Error;
use smp::id::{CorrId, EntityId};
use smp::queue_address::QueueMode;
use smp::response::{QueueIds, Response};
use smp_server::config::Config;
use smp_server::random::SystemRandom;
use smp_server::step::new::Admission;

use crate::support::{
    AUTH, Peer, Server, all_kinds, config, contact, create_as, ed448, ed25519, messaging, new_queue, send, x25519,
};

async fn ids(peer: &mut Peer, request: Option<QueueRequest>) -> QueueIds {
    let key = ed25519();
    let (new, _) = new_queue(&key, request);
    match peer.command(Some(&key), EntityId::default(), Command::New(Box::new(new))).await {
        Response::Ids(ids) => *ids,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn smp_24_new_creates_a_queue_of_the_mode_asked_for() {
    let server = Server::start().await;
    for version in 15..=18 {
        let mut peer = server.connect_at(version).await;
        for (request, mode) in [
            (Some(QueueRequest::Messaging(None)), Some(QueueMode::Messaging)),
            (Some(QueueRequest::Contact(None)), Some(QueueMode::Contact)),
            (None, None),
        ] {
            let ids = ids(&mut peer, request).await;
            assert_eq!((ids.mode, &ids.link_id, &ids.service_id, &ids.notifier), (mode, &None, &None, &None));
            assert_eq!((ids.recipient_id.as_bytes().len(), ids.sender_id.as_bytes().len()), (24, 24));
        }
    }
}

#[tokio::test]
async fn smp_25_creation_wants_to_be_allowed_and_the_password_if_there_is_one() {
    let password = |text: &str| BasicAuth::new(text);
    for (admission, given, allowed) in [
        (Admission { closed: true, password: None }, None, false),
        (Admission { closed: true, password: password("right") }, password("right"), false),
        (Admission { closed: false, password: password("right") }, None, false),
        (Admission { closed: false, password: password("right") }, password("wrong"), false),
        (Admission { closed: false, password: password("right") }, password("right"), true),
        (Admission::default(), password("any"), true),
    ] {
        let server = Server::start_with(Config { admission, ..config() }).await;
        let mut peer = server.connect().await;
        let key = ed25519();
        let (new, _) = new_queue(&key, None);
        let command = Command::New(Box::new(NewQueue { basic_auth: given, ..new }));
        let response = peer.command(Some(&key), EntityId::default(), command).await;
        assert_eq!(matches!(response, Response::Ids(_)), allowed, "{response:?}");
        assert_eq!(response == AUTH, !allowed);
    }
}

#[tokio::test]
async fn smp_26_recipient_keys_of_every_kind_work() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    for key in all_kinds() {
        let corr_id = CorrId::random(&mut SystemRandom);
        let queue = create_as(&mut peer, key, Some(QueueRequest::Messaging(None)), corr_id, true).await.unwrap();
        assert_eq!(queue.does(&mut peer, Command::Sub).await, Response::Sok(None));
        assert_eq!(queue.does(&mut peer, Command::Del).await, Response::Ok);
    }
}

#[tokio::test]
async fn a_queue_is_created_only_by_who_has_its_key() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let (new, _) = new_queue(&ed25519(), None);
    let response = peer.command(Some(&ed25519()), EntityId::default(), Command::New(Box::new(new))).await;
    assert_eq!(response, AUTH);
}

#[tokio::test]
async fn smp_27_an_unauthorised_message_to_an_unsecured_queue_is_pushed_to_its_subscriber() {
    let server = Server::start().await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut recipient).await;
    assert_eq!(queue.send(&mut sender, b"hello").await, Response::Ok);
    let message = queue.pushed(&mut recipient).await;
    assert_eq!(message.body(), b"hello");
    let smp::delivery::Delivered::Message { sent_at, flags, .. } = message.content else { panic!() };
    assert_eq!((sent_at, flags.notify), (crate::support::START, true));
}

#[tokio::test]
async fn smp_28_an_authorised_message_to_an_unsecured_queue_is_refused() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    for key in all_kinds() {
        assert_eq!(queue.send_as(&mut peer, Some(&key), b"hello").await, AUTH);
    }
}

#[tokio::test]
async fn smp_29_key_secures_once_and_only_for_the_recipient() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    let key = |key: &crypto::authorize::AuthPrivateKey| Command::Key(key.public().unwrap());
    let (sender, other) = (ed25519(), ed25519());
    assert_eq!(peer.command(Some(&other), queue.recipient_id.clone(), key(&sender)).await, AUTH);
    assert_eq!(peer.command(Some(&queue.key), queue.sender_id.clone(), key(&sender)).await, AUTH);
    assert_eq!(queue.does(&mut peer, key(&sender)).await, Response::Ok);
    assert_eq!(queue.does(&mut peer, key(&sender)).await, Response::Ok);
    assert_eq!(queue.does(&mut peer, key(&other)).await, AUTH);
}

#[tokio::test]
async fn smp_30_after_securing_only_the_sender_can_send() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    for sender in all_kinds() {
        let queue = messaging(&mut peer).await;
        assert_eq!(queue.does(&mut peer, Command::Key(sender.public().unwrap())).await, Response::Ok);
        assert_eq!(queue.send_as(&mut peer, Some(&sender), b"hello").await, Response::Ok);
        assert_eq!(queue.pushed(&mut peer).await.body(), b"hello");
        assert_eq!(queue.send(&mut peer, b"hello").await, AUTH);
        for stranger in all_kinds() {
            assert_eq!(queue.send_as(&mut peer, Some(&stranger), b"hello").await, AUTH);
        }
    }
}

#[tokio::test]
async fn smp_31_skey_secures_a_messaging_queue_with_the_key_that_signs() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    let (sender, other) = (ed25519(), x25519());
    let skey = Command::Skey(sender.public().unwrap());
    assert_eq!(peer.command(Some(&other), queue.sender_id.clone(), skey.clone()).await, AUTH);
    assert_eq!(peer.command(Some(&sender), queue.recipient_id.clone(), skey.clone()).await, AUTH);
    assert_eq!(peer.command(Some(&sender), queue.sender_id.clone(), skey.clone()).await, Response::Ok);
    assert_eq!(peer.command(Some(&sender), queue.sender_id.clone(), skey).await, Response::Ok);
    let late = Command::Skey(other.public().unwrap());
    assert_eq!(peer.command(Some(&other), queue.sender_id.clone(), late).await, AUTH);
    assert_eq!(queue.send_as(&mut peer, Some(&sender), b"hello").await, Response::Ok);
}

#[tokio::test]
async fn smp_32_skey_does_not_secure_a_contact_queue() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = contact(&mut peer).await;
    let sender = ed25519();
    let skey = Command::Skey(sender.public().unwrap());
    assert_eq!(peer.command(Some(&sender), queue.sender_id.clone(), skey).await, AUTH);
}

#[tokio::test]
async fn smp_33_the_longest_body_is_16048_bytes() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = messaging(&mut peer).await;
    let body: Vec<u8> = (0..16_048).map(|n| (n % 251) as u8).collect();
    assert_eq!(queue.send(&mut peer, &body).await, Response::Ok);
    assert_eq!(queue.pushed(&mut peer).await.body(), body);
    assert_eq!(queue.send(&mut peer, &[0; 16_049]).await, Response::Err(Error::LargeMessage));
    // With the longest authorization, too.
    let sender = ed448();
    assert_eq!(queue.does(&mut peer, Command::Key(sender.public().unwrap())).await, Response::Ok);
    assert_eq!(queue.send_as(&mut peer, Some(&sender), &body).await, Response::Ok);
}

#[tokio::test]
async fn smp_34_rkey_replaces_the_recipient_keys_of_a_contact_queue() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = contact(&mut peer).await;
    let (first, second) = (ed448(), x25519());
    let rkey = |keys: &[&crypto::authorize::AuthPrivateKey]| {
        Command::Rkey(keys.iter().map(|key| key.public().unwrap()).collect())
    };
    let id = || queue.recipient_id.clone();
    assert_eq!(peer.command(Some(&queue.key), id(), rkey(&[&first, &second])).await, Response::Ok);
    assert_eq!(peer.command(Some(&queue.key), id(), Command::Que).await, AUTH, "the first key removed itself");
    for key in [&first, &second] {
        assert_eq!(peer.command(Some(key), id(), Command::Sub).await, Response::Sok(None));
    }
    assert_eq!(peer.command(Some(&first), id(), rkey(&[&second])).await, Response::Ok);
    assert_eq!(peer.command(Some(&first), id(), Command::Sub).await, AUTH);
    assert_eq!(peer.command(Some(&second), id(), Command::Sub).await, Response::Sok(None));

    let messaging = messaging(&mut peer).await;
    assert_eq!(messaging.does(&mut peer, rkey(&[&first])).await, AUTH);
}

/// Notifications come later: the queue is created all the same, and the client learns that it has no notifier.
#[tokio::test]
async fn smp_35_notifier_credentials_in_new_do_not_hinder_creation() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let key = ed25519();
    let (new, dh) = new_queue(&key, Some(QueueRequest::Messaging(None)));
    let notifier = NotifierKeys { auth_key: ed25519().public().unwrap(), dh_key: dh.public() };
    let command = Command::New(Box::new(NewQueue { notifier: Some(notifier), ..new }));
    let Response::Ids(ids) = peer.command(Some(&key), EntityId::default(), command).await else { panic!() };
    assert_eq!(ids.notifier, None);
    assert_eq!(peer.command(None, ids.sender_id, send(b"hello")).await, Response::Ok);
}
