//! What agents rely on when they keep their connections in a store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use agent::connection::keep::{Batch, ConnectionId, Keep, Record, Revision};
use agent::connection::{Change, RecordKey};
use proptest::prelude::*;
use store::connections::Connections;
use zeroize::Zeroizing;

fn id(name: &str) -> ConnectionId {
    ConnectionId::new(name.as_bytes()).unwrap()
}

fn put(key: RecordKey, value: &[u8]) -> Change {
    Change { key, value: Some(Zeroizing::new(value.to_vec())) }
}

fn remove(key: RecordKey) -> Change {
    Change { key, value: None }
}

fn record(key: RecordKey, value: &[u8]) -> Record {
    (key, Zeroizing::new(value.to_vec()))
}

fn changed(name: &str, changes: Vec<Change>) -> Batch {
    vec![(id(name), Revision::Change(changes))]
}

fn in_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connections.sqlite");
    (folder, path)
}

fn open(path: &Path) -> Connections {
    Connections::open(path).unwrap()
}

async fn load(connections: &Connections, name: &str) -> Vec<Record> {
    connections.load(vec![id(name)]).await.unwrap().remove(0)
}

async fn names(connections: &Connections) -> Vec<ConnectionId> {
    let mut names = connections.list().await.unwrap();
    names.sort();
    names
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again_and_what_was_forgotten_is_not() {
    let (_folder, path) = in_folder();
    let connections = open(&path);
    let first =
        vec![put(RecordKey::Core, b"core"), put(RecordKey::Outgoing(7), b"seven"), put(RecordKey::Turn, b"turn")];
    connections.commit(changed("a", first)).await.unwrap();
    connections.commit(changed("b", vec![put(RecordKey::Core, b"other")])).await.unwrap();
    let second =
        vec![put(RecordKey::Core, b"later"), remove(RecordKey::Outgoing(7)), put(RecordKey::Outgoing(8), b"eight")];
    connections.commit(changed("a", second)).await.unwrap();
    drop(connections);
    let connections = open(&path);
    let expected =
        [record(RecordKey::Core, b"later"), record(RecordKey::Turn, b"turn"), record(RecordKey::Outgoing(8), b"eight")];
    assert_eq!(load(&connections, "a").await, expected);
    assert_eq!(load(&connections, "b").await, [record(RecordKey::Core, b"other")]);
    assert_eq!(names(&connections).await, [id("a"), id("b")]);
    connections.commit(vec![(id("a"), Revision::Forget)]).await.unwrap();
    drop(connections);
    let connections = open(&path);
    assert_eq!(load(&connections, "a").await, []);
    assert_eq!(load(&connections, "b").await, [record(RecordKey::Core, b"other")]);
    assert_eq!(names(&connections).await, [id("b")]);
}

/// The number of a message has more bits than an ID of a row has for it.
#[tokio::test]
async fn numbers_of_any_size_come_back_in_order() {
    let (_folder, path) = in_folder();
    let connections = open(&path);
    let numbers = [i64::from(u32::MAX) - 1, i64::from(u32::MAX), i64::from(u32::MAX) + 1, i64::MAX - 5];
    let changes = numbers.iter().rev().map(|number| put(RecordKey::Outgoing(*number), &number.to_be_bytes()));
    connections.commit(changed("a", changes.collect())).await.unwrap();
    let loaded = load(&connections, "a").await;
    let expected: Vec<_> =
        numbers.iter().map(|number| record(RecordKey::Outgoing(*number), &number.to_be_bytes())).collect();
    assert_eq!(loaded, expected);
}

#[tokio::test]
async fn commits_take_effect_in_the_order_of_calls_even_if_nobody_waits() {
    let (_folder, path) = in_folder();
    let connections = open(&path);
    let mut last = None;
    for value in 0..100u8 {
        last = Some(connections.commit(changed("a", vec![put(RecordKey::Core, &[value])])));
    }
    last.unwrap().await.unwrap();
    assert_eq!(load(&connections, "a").await, [record(RecordKey::Core, &[99])]);
}

#[tokio::test]
async fn after_a_failure_nothing_is_kept_until_recovery_and_names_are_those_of_the_file() {
    let (_folder, path) = in_folder();
    let connections = open(&path);
    connections.commit(changed("old", vec![put(RecordKey::Core, b"old")])).await.unwrap();
    let broken = connections.inner().write(|tx| tx.execute("no SQL at all", []));
    let created = connections.commit(changed("new", vec![put(RecordKey::Core, b"lost")]));
    let forgotten = connections.commit(vec![(id("old"), Revision::Forget)]);
    assert!(broken.await.is_err());
    assert!(created.await.is_err());
    assert!(forgotten.await.is_err());
    assert!(connections.commit(changed("old", vec![put(RecordKey::Core, b"lost")])).await.is_err());
    connections.recover();
    assert_eq!(names(&connections).await, [id("old")]);
    assert_eq!(load(&connections, "old").await, [record(RecordKey::Core, b"old")]);
    connections.commit(changed("new", vec![put(RecordKey::Core, b"new")])).await.unwrap();
    drop(connections);
    let connections = open(&path);
    assert_eq!(names(&connections).await, [id("new"), id("old")]);
    assert_eq!(load(&connections, "new").await, [record(RecordKey::Core, b"new")]);
}

#[test]
fn only_the_owner_may_read_the_file() {
    let (_folder, path) = in_folder();
    let _connections = open(&path);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

fn keys() -> impl Strategy<Value = RecordKey> {
    prop_oneof![
        Just(RecordKey::Core),
        Just(RecordKey::Position),
        Just(RecordKey::Turn),
        Just(RecordKey::Skipped),
        Just(RecordKey::Incoming),
        (0..4i64).prop_map(RecordKey::Outgoing),
        (0..4i64).prop_map(RecordKey::Awaited),
        (0..4u64).prop_map(RecordKey::Request),
    ]
}

fn revisions() -> impl Strategy<Value = Revision> {
    let change = (keys(), prop::option::of(prop::collection::vec(any::<u8>(), 0..40)));
    let change = change.prop_map(|(key, value)| Change { key, value: value.map(Zeroizing::new) });
    prop_oneof![
        9 => prop::collection::vec(change, 1..4).prop_map(Revision::Change),
        1 => Just(Revision::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any history of some connections leaves what the same history leaves in maps.
    #[test]
    fn a_store_is_a_map_of_maps(history in prop::collection::vec((0..3usize, revisions()), 1..30)) {
        let names = ["a", "b", "c"];
        let mut model: [std::collections::BTreeMap<RecordKey, Zeroizing<Vec<u8>>>; 3] = Default::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_folder, path) = in_folder();
        let connections = open(&path);
        for (place, revision) in history {
            match &revision {
                Revision::Forget => model[place].clear(),
                Revision::Change(changes) => for change in changes {
                    match &change.value {
                        Some(value) => drop(model[place].insert(change.key, value.clone())),
                        None => drop(model[place].remove(&change.key)),
                    }
                },
            }
            runtime.block_on(connections.commit(vec![(id(names[place]), revision)])).unwrap();
        }
        drop(connections);
        let connections = open(&path);
        for (place, name) in names.iter().enumerate() {
            let expected: Vec<Record> = model[place].clone().into_iter().collect();
            prop_assert_eq!(runtime.block_on(load(&connections, name)), expected);
        }
    }
}
