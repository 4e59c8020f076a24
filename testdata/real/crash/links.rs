//! Somebody who makes queues, puts links on them, changes the links, and deletes some of the queues.

use net::client::{Client, ClientError};
use smp::command::LinkData;
use smp::error::Error;
use smp::id::LinkId;

use super::load::{Load, unless_killed};
use crate::client::{Queue, random};

/// A queue that was created, and what its owner was told of it.
pub(super) struct Kept {
    queue: Queue,
    link: LinkId,
    /// Versions of the link data that were sent, and the last one of them that was accepted.
    sent: u8,
    accepted: u8,
    deletion: Deletion,
}

enum Deletion {
    None,
    Sent,
    Accepted,
}

/// Works until the last server.
pub(super) async fn keep(load: Load) -> Vec<Kept> {
    let mut kept = Vec::new();
    loop {
        let session = load.session().await;
        if session.is_last {
            return kept;
        }
        while add(&session.client, &load, &mut kept).await.is_some() {}
    }
}

/// One queue with its whole life; `None` if the server was killed meanwhile.
async fn add(client: &Client, load: &Load, kept: &mut Vec<Kept>) -> Option<()> {
    let queue = unless_killed(Queue::create_contact(client).await)?;
    load.answered();
    let link = LinkId::random(&mut random());
    kept.push(Kept { queue, link, sent: 0, accepted: 0, deletion: Deletion::None });
    let is_deleted = kept.len().is_multiple_of(2);
    let new = kept.last_mut()?;
    for version in 1..=3 {
        new.sent = version;
        let (id, key) = (&new.queue.recipient_id, &new.queue.recipient_key);
        unless_killed(client.set_link(id, &new.link, data(version), key).await)?;
        new.accepted = version;
        load.answered();
    }
    if is_deleted {
        new.deletion = Deletion::Sent;
        unless_killed(new.queue.delete(client).await)?;
        new.deletion = Deletion::Accepted;
        load.answered();
    }
    Some(())
}

/// Asks the server about everything that its owner was told.
pub(super) async fn check(client: &Client, kept: &[Kept]) {
    for Kept { queue, link, sent, accepted, deletion } in kept {
        let (exists, found) = (queue.subscribe(client).await, client.get_link(link).await);
        let is_there = exists.is_ok();
        let refused = ClientError::Refused(Error::Auth);
        assert!(is_there || exists == Err(refused.clone()), "{exists:?}");
        match deletion {
            Deletion::None => assert!(is_there, "a queue is lost"),
            Deletion::Sent => {}
            Deletion::Accepted => assert!(!is_there, "a deleted queue is back"),
        }
        match found {
            Ok(content) => {
                assert!(is_there, "a link without its queue");
                assert!((*accepted..=*sent).any(|version| data(version) == content.data), "an old link");
                assert_eq!(content.sender_id, queue.sender_id);
            }
            Err(error) => {
                assert_eq!(error, refused);
                assert!(!is_there || *accepted == 0, "a link is lost");
            }
        }
    }
    let deleted = kept.iter().filter(|kept| matches!(kept.deletion, Deletion::Accepted)).count();
    assert!(deleted > 0 && kept.len() > deleted);
    println!("{} queues with links, {deleted} of them deleted", kept.len());
}

/// The fixed part stays the same, as the protocol wants.
fn data(version: u8) -> LinkData {
    LinkData { fixed: vec![b'f'; 200], user: vec![version; 3000] }
}
