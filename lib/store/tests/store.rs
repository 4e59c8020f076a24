//! What owners of a store rely on: order, durability, failure and recovery, refusal of files that are not theirs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use store::rusqlite::{Connection, Transaction};
use store::{Error, Schema, Space, Store};

const NUMBERS: Schema<'_> =
    Schema { application_id: 0x746e_756d, migrations: &["CREATE TABLE number (id INTEGER PRIMARY KEY, filler BLOB)"] };

fn open(path: &Path) -> Store {
    Store::open(path, &NUMBERS).unwrap()
}

fn insert(id: i64) -> impl FnOnce(&Transaction<'_>) -> store::rusqlite::Result<()> + Send + 'static {
    move |tx| tx.prepare_cached("INSERT INTO number VALUES (?, NULL)")?.execute([id]).map(drop)
}

fn numbers(store: &Store) -> Vec<i64> {
    let query = |db: &Connection| {
        db.prepare_cached("SELECT id FROM number ORDER BY id")?.query_map([], |row| row.get(0))?.collect()
    };
    store.read(query).unwrap()
}

fn in_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.sqlite");
    (folder, path)
}

#[test]
fn writes_take_effect_in_order_and_share_fsyncs() {
    let (_folder, path) = in_folder();
    let store = open(&path);
    let pending: Vec<_> = (0..500).map(|id| store.write(insert(id))).collect();
    assert!(pending.is_sorted_by_key(store::Pending::ticket));
    pending.into_iter().for_each(|write| write.wait().unwrap());
    assert_eq!(numbers(&store), (0..500).collect::<Vec<_>>());
    let statistics = store.statistics();
    assert_eq!((statistics.writes, statistics.rows, statistics.failures), (500, 500, 0));
    assert!(statistics.batches < 100, "500 queued writes took {} commits", statistics.batches);
}

#[test]
fn a_write_returns_what_its_closure_returned() {
    let (_folder, path) = in_folder();
    let store = open(&path);
    assert_eq!(store.write(|tx| insert(7)(tx).map(|()| "seven")).wait().unwrap(), "seven");
}

#[tokio::test]
async fn a_ticket_resolves_with_its_write() {
    let (_folder, path) = in_folder();
    let store = open(&path);
    let ticket = store.write(insert(1)).ticket();
    store.durable(ticket).await.unwrap();
    assert_eq!(numbers(&store), [1]);
    store.write(insert(2)).await.unwrap();
}

#[test]
fn closing_writes_what_was_queued() {
    let (_folder, path) = in_folder();
    let store = open(&path);
    for id in 0..100 {
        let _ = store.write(insert(id)).ticket();
    }
    drop(store);
    assert_eq!(numbers(&open(&path)).len(), 100);
}

#[test]
fn a_failed_commit_fails_its_batch_and_all_after_it_until_recovery() {
    let (_folder, path) = in_folder();
    let store = open(&path);
    store.write(insert(1)).wait().unwrap();
    let lost = store.write(|tx| insert(2)(tx).and_then(|()| insert(1)(tx)));
    let first_lost = lost.ticket();
    assert!(matches!(lost.wait(), Err(Error::NotCommitted { since, .. }) if since == first_lost));
    let refused = store.write(insert(3));
    let refused_ticket = refused.ticket();
    assert!(matches!(refused.wait(), Err(Error::NotCommitted { .. })));
    assert!(store.commits().borrow().broken().is_some());

    store.recover();
    store.write(insert(4)).wait().unwrap();
    assert_eq!(numbers(&store), [1, 4]);
    assert!(matches!(store.commits().borrow().outcome(refused_ticket), Some(Err(_))));
    assert_eq!(store.statistics().failures, 1);
}

#[test]
fn a_panicking_write_fails_like_any_other() {
    let (_folder, path) = in_folder();
    let store = open(&path);
    let panics = |_: &Transaction<'_>| -> store::rusqlite::Result<()> { panic!("a bug in the owner") };
    assert!(store.write(panics).wait().is_err());
    store.recover();
    store.write(insert(1)).wait().unwrap();
    assert_eq!(numbers(&store), [1]);
}

#[test]
fn a_full_file_refuses_writes_and_accepts_them_when_there_is_room() {
    let (_folder, path) = in_folder();
    let store = open(&path);
    let limit = |pages: u32| move |tx: &Transaction<'_>| tx.pragma_update(None, "max_page_count", pages);
    store.write(limit(20)).wait().unwrap();
    let fill = |tx: &Transaction<'_>| tx.execute("INSERT INTO number VALUES (NULL, zeroblob(16000))", []);
    let kept = (0..100).take_while(|_| store.write(fill).wait().is_ok()).count();
    assert!((1..20).contains(&kept));
    store.recover();
    assert!(store.write(fill).wait().is_err(), "still full");
    store.recover();
    store.write(limit(1000)).wait().unwrap();
    store.write(fill).wait().unwrap();
    assert_eq!(numbers(&store).len(), kept + 1);
}

#[test]
fn a_file_with_a_limit_has_room_again_once_enough_was_removed() {
    const LIMIT: u64 = 4 << 20;
    let (_folder, path) = in_folder();
    let store = Store::open_within(&path, &NUMBERS, Space { limit: Some(LIMIT), reserve: 0 }).unwrap();
    let fill = |tx: &Transaction<'_>| tx.execute("INSERT INTO number VALUES (NULL, zeroblob(16000))", []);
    let kept = (0..1000).take_while(|_| store.write(fill).wait().is_ok()).count();
    assert!((150..256).contains(&kept), "{kept}");
    assert!(store.room().is_short());
    store.recover();
    let remove = |count| {
        move |tx: &Transaction<'_>| {
            tx.execute("DELETE FROM number WHERE id IN (SELECT id FROM number LIMIT ?)", [count]).map(drop)
        }
    };
    store.write(remove(10)).wait().unwrap();
    assert!(store.room().is_short(), "hardly any room");
    store.write(remove(60)).wait().unwrap();
    assert!(!store.room().is_short());
    store.write(fill).wait().unwrap();
    drop(store);
    assert!(std::fs::metadata(&path).unwrap().len() <= LIMIT);

    let smaller = Store::open_within(&path, &NUMBERS, Space { limit: Some(1), reserve: 0 }).unwrap();
    smaller.write(fill).wait().unwrap();
    assert_eq!(numbers(&smaller).len(), kept - 68, "what is free may be used");
}

#[test]
fn a_reserve_is_held_from_one_owner_to_the_next() {
    use std::os::unix::fs::MetadataExt as _;
    const RESERVE: u64 = 1 << 20;
    let (folder, path) = in_folder();
    for _ in 0..2 {
        let store = Store::open_within(&path, &NUMBERS, Space { limit: None, reserve: RESERVE }).unwrap();
        assert!(!store.room().is_short());
        drop(store);
        let held = std::fs::metadata(folder.path().join("numbers.sqlite-reserve")).unwrap();
        assert_eq!((held.len(), held.mode() & 0o777), (RESERVE, 0o600));
        assert!(held.blocks() * 512 >= RESERVE, "the file is hollow");
    }
}

#[test]
fn a_file_has_one_owner() {
    let (_folder, path) = in_folder();
    let owner = open(&path);
    assert!(matches!(Store::open(&path, &NUMBERS), Err(Error::InUse(_))));
    drop(owner);
    open(&path);
}

#[test]
fn people_can_look_while_the_owner_runs() {
    let (_folder, path) = in_folder();
    let store = open(&path);
    store.write(insert(5)).wait().unwrap();
    let onlooker = Connection::open(&path).unwrap();
    assert_eq!(onlooker.query_row("SELECT id FROM number", [], |row| row.get::<_, i64>(0)).unwrap(), 5);
}

#[test]
fn old_files_migrate_and_newer_or_foreign_files_are_refused() {
    let (_folder, path) = in_folder();
    let store = open(&path);
    store.write(insert(1)).wait().unwrap();
    drop(store);
    let second = ["CREATE TABLE number (id INTEGER PRIMARY KEY, filler BLOB)", "ALTER TABLE number ADD name TEXT"];
    let store = Store::open(&path, &Schema { migrations: &second, ..NUMBERS }).unwrap();
    let count = "SELECT count(*) FROM number WHERE name IS NULL";
    assert_eq!(store.read(|db| db.query_row(count, [], |row| row.get::<_, i64>(0))).unwrap(), 1);
    drop(store);
    assert!(matches!(Store::open(&path, &NUMBERS), Err(Error::Newer { found: 2, known: 1 })));
    assert!(matches!(Store::open(&path, &Schema { application_id: 1, ..NUMBERS }), Err(Error::Foreign { .. })));
}

#[test]
fn a_broken_migration_changes_nothing() {
    let (_folder, path) = in_folder();
    let broken = Schema { migrations: &[NUMBERS.migrations[0], "CREATE TABLE number (again)"], ..NUMBERS };
    assert!(matches!(Store::open(&path, &broken), Err(Error::Sqlite(_))));
    assert!(numbers(&open(&path)).is_empty());
}

#[test]
fn the_log_stays_bounded_under_a_steady_load() {
    let (folder, path) = in_folder();
    let store = open(&path);
    let replace = |tx: &Transaction<'_>| {
        tx.prepare_cached("INSERT OR REPLACE INTO number VALUES (1, zeroblob(1000000))")?.execute([]).map(drop)
    };
    for _ in 0..200 {
        store.write(replace).wait().unwrap();
    }
    let log = std::fs::metadata(folder.path().join("numbers.sqlite-wal")).unwrap().len();
    assert!(store.statistics().checkpoints > 0);
    assert!(log < 120 << 20, "200 MB of writes left a log of {log} bytes");
}

#[test]
fn the_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, path) = in_folder();
    let store = open(&path);
    store.write(insert(1)).wait().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", entry.path().display());
    }
}

const CHILD: &str = "STORE_TEST_WRITE_UNTIL_KILLED";

/// Not a test of its own: the process that `nothing_acknowledged_is_lost_by_kill_9` kills.
#[test]
fn child_writes_until_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = open(Path::new(&path));
    let start = numbers(&store).last().map_or(0, |last| last + 1);
    let mut pending = std::collections::VecDeque::new();
    for id in start.. {
        pending.push_back((id, store.write(insert(id))));
        if pending.len() > 20 {
            let (id, write) = pending.pop_front().unwrap();
            write.wait().unwrap();
            println!("committed {id}");
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let (_folder, path) = in_folder();
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_writes_until_killed", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut committed = -1;
        let told = |line: String| line.rsplit_once("committed ").map(|(_, id)| id.parse::<i64>().unwrap());
        lines.by_ref().filter_map(told).take(50 * round).for_each(|id| committed = id);
        child.kill().unwrap();
        lines
            .filter_map(|line| line.rsplit_once("committed ").and_then(|(_, id)| id.parse().ok()))
            .for_each(|id| committed = id);
        child.wait().unwrap();
        let found = numbers(&open(&path));
        assert!(i64::try_from(found.len()).unwrap() > committed, "{} rows, {committed} acknowledged", found.len());
        assert_eq!(found, (0..found.len() as i64).collect::<Vec<_>>(), "a gap");
    }
}

#[test]
fn a_closed_store_is_one_file_and_its_lock() {
    let (folder, path) = in_folder();
    let store = open(&path);
    store.write(insert(1)).wait().unwrap();
    assert_eq!(numbers(&store), [1]);
    drop(store);
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["numbers.sqlite", "numbers.sqlite-lock"]);
}
