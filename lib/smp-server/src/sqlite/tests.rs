//! What comes back from disk is what memory had.

use smp::command::MessageFlags;
use smp::response::MessageKind;

use super::*;
use crate::body::{Body, Budget};
use crate::queue::Message;
use crate::step::testing::{auth_key, blocking, contact, link_data, link_id, linked, message, messaging};

fn in_folder() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("queues.sqlite")).unwrap();
    (folder, store)
}

fn settle(store: &SqliteStore, ticket: Ticket) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.inner().durable(ticket)).unwrap();
}

fn stored(message: &Message) -> Change {
    Change::Stored(message.clone(), Body::new(vec![b'x'; 20], &Budget::new(0)))
}

/// Creates a queue, makes changes in memory and on disk, and compares.
fn compare(mut queue: Queue, data: Option<LinkData>, changes: Vec<Change>) {
    let (_folder, store) = in_folder();
    store.create(queue.clone(), data, None);
    settle(&store, store.change(queue.row, changes.clone(), None));
    changes.iter().for_each(|change| queue.apply(change));
    assert_eq!(store.load().unwrap().queues, [queue.clone()]);
    assert_eq!(store.reload(&[queue.row, 99]).unwrap(), [queue]);
}

#[test]
fn every_change_is_the_same_in_memory_and_on_disk() {
    compare(messaging(), None, vec![]);
    compare(messaging(), None, vec![Change::Secured(auth_key(5)), Change::Used(20_001), Change::Suspended]);
    compare(contact(), None, vec![Change::RecipientKeys(Box::new([auth_key(8), auth_key(9)]))]);
    compare(messaging(), None, vec![Change::Blocked(Some(blocking()))]);
    compare(messaging(), None, vec![Change::Blocked(Some(blocking())), Change::Blocked(None)]);
    compare(contact(), None, vec![Change::LinkSet(link_id(7), link_data(1, 2))]);
    compare(linked(contact()), Some(link_data(1, 1)), vec![Change::LinkSet(link_id(7), link_data(1, 2))]);
    compare(linked(messaging()), Some(link_data(1, 1)), vec![Change::LinkDeleted]);
    let mut first = message(1, MessageKind::Message);
    first.flags = MessageFlags { notify: true };
    let second = message(2, MessageKind::Quota);
    compare(messaging(), None, vec![stored(&first), stored(&second)]);
    compare(messaging(), None, vec![stored(&first), stored(&second), Change::Removed(vec![1])]);
}

#[test]
fn bodies_and_link_data_are_read_when_wanted() {
    let (_folder, store) = in_folder();
    store.create(linked(contact()), Some(link_data(1, 1)), None);
    settle(&store, store.change(1, vec![stored(&message(1, MessageKind::Message))], None));
    assert_eq!(store.body(1).unwrap().unwrap(), vec![b'x'; 20]);
    assert_eq!(store.body(2).unwrap(), None);
    assert_eq!(store.link_data(1).unwrap(), Some(link_data(1, 1)));
    let loaded = store.load().unwrap();
    assert_eq!((loaded.next_queue, loaded.next_message), (2, 2));
}

#[test]
fn a_deleted_queue_leaves_nothing() {
    let (_folder, store) = in_folder();
    store.create(linked(contact()), Some(link_data(1, 1)), None);
    settle(&store, store.change(1, vec![stored(&message(3, MessageKind::Message)), Change::Deleted(vec![3])], None));
    assert!(store.load().unwrap().queues.is_empty());
    for (table, left) in [("queue", 0), ("link_data", 0), ("message", 0), ("body", 1)] {
        assert_eq!(rows(&store, table), left, "{table}");
    }
}

fn rows(store: &SqliteStore, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    store.inner().read(|db| db.query_row(&count, [], |row| row.get(0))).unwrap()
}

fn stores(number: u8, byte: u8) -> Change {
    Change::Stored(message(number, MessageKind::Message), Body::new(vec![byte; 16_000], &Budget::new(0)))
}

#[test]
fn rows_of_bodies_are_used_again_also_after_a_restart_or_a_failure() {
    let (folder, store) = in_folder();
    store.create(messaging(), None, None);
    store.change(1, vec![stores(1, b'a'), stores(2, b'b')], None);
    settle(&store, store.change(1, vec![Change::Removed(vec![1]), stores(3, b'c')], None));
    assert_eq!(rows(&store, "body"), 2);
    assert_eq!((store.body(1).unwrap(), store.body(2).unwrap()), (None, Some(vec![b'b'; 16_000])));
    settle(&store, store.change(1, vec![Change::Removed(vec![2])], None));
    drop(store);

    let store = SqliteStore::open(&folder.path().join("queues.sqlite")).unwrap();
    settle(&store, store.change(1, vec![stores(4, b'd')], None));
    assert_eq!(rows(&store, "body"), 2);

    // A transaction that gave a row up is undone: the row must not be used again.
    let undone = store.change(1, vec![Change::Removed(vec![3]), stores(4, b'x')], None);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(store.inner().durable(undone)).is_err(), "message 4 exists");
    store.recover();
    settle(&store, store.change(1, vec![stores(5, b'e')], None));
    let bodies = [3, 4, 5].map(|row| store.body(row).unwrap().unwrap()[0]);
    assert_eq!(bodies, [b'c', b'd', b'e']);
}

#[test]
fn a_damaged_row_is_an_error_not_a_queue() {
    let (_folder, store) = in_folder();
    settle(&store, store.create(messaging(), None, None));
    store.inner().write(|tx| tx.execute("UPDATE queue SET recipient_keys = x'01ff'", [])).wait().unwrap();
    assert!(store.load().is_err());
}
