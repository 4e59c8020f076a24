//! Links, lines 55 to 61, and lines 22 to 25 of the agent protocol's checklist.

use smp::command::{Command, QueueRequest};
use smp::error::{CommandError, Error};
use smp::id::{CorrId, LinkId, SenderId};
use smp::response::Response;
use smp_server::random::SystemRandom;

use crate::support::{
    AUTH, Peer, Queue, Server, contact, contact_link, create_as, ed25519, invitation, link_data, messaging,
    random_bytes,
};

fn fresh() -> CorrId {
    CorrId::random(&mut SystemRandom)
}

async fn lget(peer: &mut Peer, link_id: &LinkId) -> Response {
    peer.command(None, link_id.clone(), Command::Lget).await
}

async fn lkey(peer: &mut Peer, link_id: &LinkId, key: &crypto::authorize::AuthPrivateKey) -> Response {
    peer.command(Some(key), link_id.clone(), Command::Lkey(key.public().unwrap())).await
}

fn lnk(queue: &Queue, fixed: u8, user: u8) -> Response {
    Response::Lnk(queue.sender_id.clone(), link_data(fixed, user))
}

#[tokio::test]
async fn smp_55_an_invitation_has_the_sender_id_that_its_correlation_id_determines() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let request = |sender_id| Some(QueueRequest::Messaging(Some((sender_id, link_data(1, 1)))));
    let foreign = SenderId::random(&mut SystemRandom);
    let refused = create_as(&mut peer, ed25519(), request(foreign), fresh(), true).await;
    assert_eq!(refused.err(), Some(Error::Command(CommandError::Prohibited)));
    let corr_id = fresh();
    let derived = SenderId::from_corr_id(&corr_id);
    let queue = create_as(&mut peer, ed25519(), request(derived.clone()), corr_id.clone(), true).await.unwrap();
    assert_eq!(queue.sender_id, derived);
    assert_eq!(queue.link_id.unwrap().as_bytes().len(), 24);
    let again = create_as(&mut peer, ed25519(), request(derived), corr_id, true).await;
    assert_eq!(again.err(), Some(Error::Auth), "the ID is taken");
}

#[tokio::test]
async fn smp_56_a_contact_link_has_the_link_id_that_its_owner_chose() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let link_id = LinkId::from(random_bytes());
    let request = |sender_id| Some(QueueRequest::Contact(Some((link_id.clone(), sender_id, link_data(1, 1)))));
    let foreign = SenderId::random(&mut SystemRandom);
    let refused = create_as(&mut peer, ed25519(), request(foreign), fresh(), true).await;
    assert_eq!(refused.err(), Some(Error::Command(CommandError::Prohibited)));
    let corr_id = fresh();
    let derived = SenderId::from_corr_id(&corr_id);
    let queue = create_as(&mut peer, ed25519(), request(derived.clone()), corr_id, true).await.unwrap();
    assert_eq!((queue.sender_id, queue.link_id), (derived, Some(link_id.clone())));
    let corr_id = fresh();
    let taken = request(SenderId::from_corr_id(&corr_id));
    assert_eq!(create_as(&mut peer, ed25519(), taken, corr_id, true).await.err(), Some(Error::Auth));
}

/// The answer to the first may have been lost; other servers answer the second with `AUTH`.
#[tokio::test]
async fn a_repeated_creation_gives_its_author_the_same_queue() {
    let server = Server::start().await;
    let (mut peer, mut sender) = (server.connect().await, server.connect().await);
    let (key, corr_id, link_id) = (ed25519(), fresh(), LinkId::from(random_bytes()));
    let sender_id = SenderId::from_corr_id(&corr_id);
    let request = || Some(QueueRequest::Contact(Some((link_id.clone(), sender_id.clone(), link_data(1, 1)))));
    let first = create_as(&mut peer, key.clone(), request(), corr_id.clone(), true).await.unwrap();
    let second = create_as(&mut peer, key.clone(), request(), corr_id.clone(), true).await.unwrap();
    assert_eq!((&second.recipient_id, &second.link_id), (&first.recipient_id, &first.link_id));
    assert_eq!(second.send(&mut sender, b"hello").await, Response::Ok);
    assert_eq!(second.pushed(&mut peer).await.body(), b"hello");
    let late = create_as(&mut peer, key, request(), corr_id, true).await;
    assert_eq!(late.err(), Some(Error::Auth), "the queue has been used");
}

#[tokio::test]
async fn smp_57_an_invitation_is_read_by_who_secures_its_queue() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = invitation(&mut peer, link_data(1, 1)).await;
    let link_id = queue.link_id.clone().unwrap();
    let (key, other) = (ed25519(), ed25519());
    assert_eq!(lget(&mut peer, &link_id).await, AUTH);
    let unsigned = Command::Lkey(key.public().unwrap());
    assert_eq!(peer.command(Some(&other), link_id.clone(), unsigned.clone()).await, AUTH);
    assert_eq!(peer.command(Some(&key), queue.recipient_id.clone(), unsigned).await, AUTH);
    assert_eq!(lkey(&mut peer, &link_id, &key).await, lnk(&queue, 1, 1));
    assert_eq!(lkey(&mut peer, &link_id, &key).await, lnk(&queue, 1, 1));
    assert_eq!(lkey(&mut peer, &link_id, &other).await, AUTH);
    assert_eq!(queue.send_as(&mut peer, Some(&key), b"secured").await, Response::Ok);
}

#[tokio::test]
async fn smp_58_an_invitation_changes_only_until_it_is_secured() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = invitation(&mut peer, link_data(1, 1)).await;
    let link_id = queue.link_id.clone().unwrap();
    assert_eq!(queue.does(&mut peer, Command::Lset(link_id.clone(), link_data(1, 2))).await, Response::Ok);
    let key = ed25519();
    assert_eq!(lkey(&mut peer, &link_id, &key).await, lnk(&queue, 1, 2));
    assert_eq!(queue.does(&mut peer, Command::Lset(link_id.clone(), link_data(1, 3))).await, AUTH);
    assert_eq!(queue.does(&mut peer, Command::Ldel).await, Response::Ok);
    assert_eq!(lkey(&mut peer, &link_id, &key).await, AUTH);
}

#[tokio::test]
async fn smp_59_a_contact_link_is_read_by_anybody() {
    let server = Server::start().await;
    let (mut owner, mut reader) = (server.connect().await, server.connect().await);
    let queue = contact_link(&mut owner, link_data(1, 1)).await;
    let link_id = queue.link_id.clone().unwrap();
    assert_eq!(lkey(&mut reader, &link_id, &ed25519()).await, AUTH);
    assert_eq!(lget(&mut reader, &link_id).await, lnk(&queue, 1, 1));
    assert_eq!(lget(&mut reader, &link_id).await, lnk(&queue, 1, 1));
    assert_eq!(reader.command(None, queue.recipient_id.clone(), Command::Lget).await, AUTH);
}

#[tokio::test]
async fn smp_60_a_contact_link_keeps_its_id_and_fixed_data() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = contact_link(&mut peer, link_data(1, 1)).await;
    let link_id = queue.link_id.clone().unwrap();
    assert_eq!(queue.does(&mut peer, Command::Lset(link_id.clone(), link_data(1, 2))).await, Response::Ok);
    assert_eq!(lget(&mut peer, &link_id).await, lnk(&queue, 1, 2));
    let other = LinkId::from(random_bytes());
    assert_eq!(queue.does(&mut peer, Command::Lset(other, link_data(1, 3))).await, AUTH);
    assert_eq!(queue.does(&mut peer, Command::Lset(link_id.clone(), link_data(2, 3))).await, AUTH);
    assert_eq!(lget(&mut peer, &link_id).await, lnk(&queue, 1, 2));
}

#[tokio::test]
async fn smp_61_a_deleted_link_is_unknown() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = contact_link(&mut peer, link_data(1, 1)).await;
    let link_id = queue.link_id.clone().unwrap();
    assert_eq!(queue.does(&mut peer, Command::Ldel).await, Response::Ok);
    assert_eq!(queue.does(&mut peer, Command::Ldel).await, Response::Ok);
    assert_eq!(lget(&mut peer, &link_id).await, AUTH);
}

#[tokio::test]
async fn a_link_id_belongs_to_one_queue_until_it_is_given_up() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let (owner, other) = (contact_link(&mut peer, link_data(1, 1)).await, contact(&mut peer).await);
    let link_id = owner.link_id.clone().unwrap();
    assert_eq!(other.does(&mut peer, Command::Lset(link_id.clone(), link_data(3, 3))).await, AUTH);
    assert_eq!(lget(&mut peer, &link_id).await, lnk(&owner, 1, 1));
    assert_eq!(owner.does(&mut peer, Command::Del).await, Response::Ok);
    assert_eq!(lget(&mut peer, &link_id).await, AUTH);
    assert_eq!(other.does(&mut peer, Command::Lset(link_id.clone(), link_data(3, 3))).await, Response::Ok);
    assert_eq!(lget(&mut peer, &link_id).await, lnk(&other, 3, 3));
}

#[tokio::test]
async fn agent_22_an_invitation_is_for_its_first_reader_until_somebody_joined() {
    let server = Server::start().await;
    let (mut owner, mut reader, mut late) = (server.connect().await, server.connect().await, server.connect().await);
    let queue = invitation(&mut owner, link_data(1, 1)).await;
    let link_id = queue.link_id.clone().unwrap();
    let (first, second) = (ed25519(), ed25519());
    assert_eq!(lkey(&mut reader, &link_id, &first).await, lnk(&queue, 1, 1));
    assert_eq!(lkey(&mut late, &link_id, &second).await, AUTH);
    assert_eq!(lkey(&mut reader, &link_id, &first).await, lnk(&queue, 1, 1));
    assert_eq!(queue.send_as(&mut reader, Some(&first), b"joined").await, Response::Ok);
    for (peer, key) in [(&mut reader, &first), (&mut late, &second)] {
        assert_eq!(lkey(peer, &link_id, key).await, AUTH);
    }
}

#[tokio::test]
async fn agent_23_a_contact_link_is_read_repeatedly_before_and_after_a_restart() {
    let server = Server::start().await;
    let queue = contact_link(&mut server.connect().await, link_data(1, 1)).await;
    let link_id = queue.link_id.clone().unwrap();
    for _ in 0..2 {
        assert_eq!(lget(&mut server.connect().await, &link_id).await, lnk(&queue, 1, 1));
    }
    let server = server.restart().await;
    for _ in 0..2 {
        assert_eq!(lget(&mut server.connect().await, &link_id).await, lnk(&queue, 1, 1));
    }
}

#[tokio::test]
async fn agent_24_a_link_added_later_can_be_read_and_updated() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let without_mode = create_as(&mut peer, ed25519(), None, fresh(), true).await.unwrap();
    for queue in [contact(&mut peer).await, without_mode] {
        let link_id = LinkId::from(random_bytes());
        for user in [1, 2] {
            let lset = Command::Lset(link_id.clone(), link_data(1, user));
            assert_eq!(queue.does(&mut peer, lset).await, Response::Ok);
            assert_eq!(lget(&mut peer, &link_id).await, lnk(&queue, 1, user));
        }
    }
    let queue = messaging(&mut peer).await;
    let link_id = LinkId::from(random_bytes());
    assert_eq!(queue.does(&mut peer, Command::Lset(link_id.clone(), link_data(1, 1))).await, Response::Ok);
    assert_eq!(lkey(&mut peer, &link_id, &ed25519()).await, lnk(&queue, 1, 1));
}

#[tokio::test]
async fn agent_25_deleting_the_link_refuses_readers() {
    let server = Server::start().await;
    let (mut owner, mut reader) = (server.connect().await, server.connect().await);
    let queue = contact_link(&mut owner, link_data(1, 1)).await;
    assert_eq!(queue.does(&mut owner, Command::Ldel).await, Response::Ok);
    assert_eq!(lget(&mut reader, &queue.link_id.clone().unwrap()).await, AUTH);
}
