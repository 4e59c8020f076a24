//! A store that fails: `ERR STORE` for what was lost, nothing acknowledged is lost, and service goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use smp::command::{Command, QueueRequest};
use smp::error::Error;
use smp::id::{CorrId, EntityId};
use smp::response::Response;
use smp_server::random::SystemRandom;

use support::{
    AUTH, Peer, Queue, Server, contact_link, create_as, ed25519, in_time, link_data, messaging, send, unsubscribed,
};

/// Makes every write of one kind fail, as a disk would.
async fn break_writes(server: &Server, operation: &str, table: &str) {
    let trigger =
        format!("CREATE TRIGGER broken BEFORE {operation} ON {table} BEGIN SELECT RAISE(ABORT, 'broken disk'); END");
    server.store.inner().write(move |tx| tx.execute_batch(&trigger)).await.unwrap();
}

/// Waits until the server has recovered from what happened, then lets writes succeed again.
async fn mend(server: &Server) {
    let mended = async {
        loop {
            let mend = server.store.inner().write(|tx| tx.execute_batch("DROP TRIGGER IF EXISTS broken"));
            if mend.await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    in_time(mended).await;
}

/// Repeats a command until the server has recovered.
async fn once_recovered(queue: &Queue, peer: &mut Peer, command: Command) -> Response {
    let answered = async {
        loop {
            let response = queue.does(peer, command.clone()).await;
            if !is_store_error(&response) {
                return response;
            }
        }
    };
    in_time(answered).await
}

fn is_store_error(response: &Response) -> bool {
    matches!(response, Response::Err(Error::Store(_)))
}

#[tokio::test]
async fn a_lost_message_is_not_acknowledged_and_the_others_are_delivered() {
    let server = Server::start().await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = unsubscribed(&mut recipient).await;
    assert_eq!(queue.send(&mut sender, b"kept").await, Response::Ok);
    break_writes(&server, "INSERT", "message").await;
    assert!(is_store_error(&queue.send(&mut sender, b"lost").await));
    mend(&server).await;
    assert_eq!(once_recovered(&queue, &mut recipient, Command::Sub).await, Response::Sok(None));
    let kept = queue.pushed(&mut recipient).await;
    assert_eq!(kept.body(), b"kept");
    assert_eq!(queue.send(&mut sender, b"again").await, Response::Ok);
    assert_eq!(queue.open(queue.ack(&mut recipient, &kept.id).await).body(), b"again");
}

#[tokio::test]
async fn what_rests_on_a_lost_write_fails_with_it() {
    let server = Server::start().await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut recipient).await;
    break_writes(&server, "UPDATE", "queue").await;
    let (lost, kept) = (ed25519(), ed25519());
    let key = |key: &crypto::authorize::AuthPrivateKey| Command::Key(key.public().unwrap());
    // The second command changes nothing, but what it confirms is not on disk.
    let first = recipient.submit(Some(&queue.key), queue.recipient_id.clone(), key(&lost)).await;
    let second = recipient.submit(Some(&queue.key), queue.recipient_id.clone(), key(&lost)).await;
    assert!(is_store_error(&recipient.response(first).await));
    assert!(is_store_error(&recipient.response(second).await));
    mend(&server).await;
    assert_eq!(once_recovered(&queue, &mut recipient, key(&kept)).await, Response::Ok);
    assert_eq!(queue.send_as(&mut sender, Some(&lost), b"no").await, AUTH);
    assert_eq!(queue.send_as(&mut sender, Some(&kept), b"yes").await, Response::Ok);
    assert_eq!(queue.pushed(&mut recipient).await.body(), b"yes");
}

#[tokio::test]
async fn a_message_whose_ack_was_lost_is_delivered_again() {
    let server = Server::start().await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut recipient).await;
    assert_eq!(queue.send(&mut sender, b"one").await, Response::Ok);
    let message = queue.pushed(&mut recipient).await;
    break_writes(&server, "DELETE", "message").await;
    assert!(is_store_error(&queue.ack(&mut recipient, &message.id).await));
    assert_eq!(queue.pushed(&mut recipient).await, message);
    mend(&server).await;
    let again = Command::Ack(message.id.clone());
    assert_eq!(once_recovered(&queue, &mut recipient, again).await, Response::Ok);
}

#[tokio::test]
async fn a_queue_that_could_not_be_deleted_is_still_there() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = contact_link(&mut peer, link_data(1, 1)).await;
    let link_id = queue.link_id.clone().unwrap();
    break_writes(&server, "DELETE", "queue").await;
    assert!(is_store_error(&queue.does(&mut peer, Command::Del).await));
    mend(&server).await;
    assert_eq!(once_recovered(&queue, &mut peer, Command::Sub).await, Response::Sok(None));
    let data = Response::Lnk(queue.sender_id.clone(), link_data(1, 1));
    assert_eq!(peer.command(None, link_id.clone(), Command::Lget).await, data);
    assert_eq!(queue.does(&mut peer, Command::Del).await, Response::Ok);
    assert_eq!(peer.command(None, link_id, Command::Lget).await, AUTH);
}

#[tokio::test]
async fn a_queue_that_could_not_be_created_does_not_exist_and_its_ids_are_free() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let corr_id = CorrId::random(&mut SystemRandom);
    let sender_id = smp::id::SenderId::from_corr_id(&corr_id);
    let request = || Some(QueueRequest::Messaging(Some((sender_id.clone(), link_data(1, 1)))));
    break_writes(&server, "INSERT", "link_data").await;
    let refused = create_as(&mut peer, ed25519(), request(), corr_id.clone(), true).await;
    assert!(matches!(refused.err(), Some(Error::Store(_))));
    mend(&server).await;
    let created = in_time(async {
        loop {
            match create_as(&mut peer, ed25519(), request(), corr_id.clone(), true).await {
                Err(Error::Store(_)) => {}
                other => return other,
            }
        }
    });
    assert_eq!(created.await.unwrap().sender_id, sender_id);
    assert_eq!(server.state.queues(), 1);
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_on_a_full_disk() {
    const LIMIT: u32 = 40;
    let server = Server::start().await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = unsubscribed(&mut recipient).await;
    let limit = |pages: u32| server.store.inner().write(move |tx| tx.pragma_update(None, "max_page_count", pages));
    limit(LIMIT).await.unwrap();
    // Several messages are under way at a time, so that a failure hits a batch.
    let mut acknowledged = Vec::new();
    for round in 0..20_u8 {
        let mut sent = Vec::new();
        for number in 0..5_u8 {
            let body = [vec![round, number], vec![7; 15_000]].concat();
            let submitted = sender.submit(None, queue.sender_id.clone(), send(&body)).await;
            sent.push((body, submitted));
        }
        for (body, submitted) in sent {
            match sender.response(submitted).await {
                Response::Ok => acknowledged.push(body),
                error => assert!(is_store_error(&error), "{error:?}"),
            }
        }
    }
    assert!((1..60).contains(&acknowledged.len()), "{}", acknowledged.len());
    assert_eq!(sender.command(None, EntityId::default(), Command::Ping).await, Response::Pong);

    while limit(100_000).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(once_recovered(&queue, &mut recipient, Command::Sub).await, Response::Sok(None));
    let mut message = queue.pushed(&mut recipient).await;
    let mut bodies = vec![message.body().to_vec()];
    loop {
        match queue.ack(&mut recipient, &message.id).await {
            Response::Ok => break,
            response => message = queue.open(response),
        }
        bodies.push(message.body().to_vec());
    }
    assert_eq!(bodies, acknowledged);

    // What memory believes is what a restart finds.
    let server = server.restart().await;
    let mut recipient = server.connect().await;
    assert_eq!(queue.does(&mut recipient, Command::Sub).await, Response::Sok(None));
    recipient.nothing_more().await;
}
