//! Where bodies are kept: in rows that are used again and again.
//!
//! Deleting a row of 16 kilobytes makes SQLite rebalance, and so write, its neighbours. Overwriting one with another of
//! the same size, as those of messages usually are, writes exactly that row. So an acknowledged message only gives its
//! row up, and the next message takes it. As with any SQLite file, the size is that of the busiest moment.
//!
//! When space is short, rows are deleted after all: what is free then serves everything, and not only messages.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Result, Transaction};
use store::{Room, rusqlite};

/// The rows of `body` that no message uses, whether they are there or were deleted. Only the writer uses it, so that it follows the order of writes.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    free: Arc<Mutex<Option<Free>>>,
    room: Room,
}

#[derive(Debug)]
struct Free {
    rows: Vec<i64>,
    /// No row has a higher number.
    last: i64,
}

impl Free {
    fn next(&mut self) -> i64 {
        self.last = self.last.saturating_add(1);
        self.last
    }
}

impl Slots {
    pub(super) fn new(room: Room) -> Self {
        Slots { free: Arc::default(), room }
    }

    /// Reads what is free, so that the first write need not.
    pub(super) fn read(&self, db: &Connection) -> Result<()> {
        self.with(db, |_| Ok(()))
    }

    /// Puts a body into a free row, or a new one, and returns which.
    pub(super) fn put(&self, tx: &Transaction<'_>, bytes: &[u8]) -> Result<i64> {
        self.with(tx, |free| {
            let row = free.rows.pop().unwrap_or_else(|| free.next());
            tx.prepare_cached("INSERT OR REPLACE INTO body (id, bytes) VALUES (?, ?)")?.execute((row, bytes))?;
            Ok(row)
        })
    }

    /// The next message may have this row.
    pub(super) fn give_up(&self, tx: &Transaction<'_>, row: i64) -> Result<()> {
        if self.room.is_short() {
            return delete(tx, row);
        }
        self.with(tx, |free| {
            free.rows.push(row);
            Ok(())
        })
    }

    /// Deletes all free rows.
    pub(super) fn clear(&self, tx: &Transaction<'_>) -> Result<()> {
        self.with(tx, |free| free.rows.drain(..).try_for_each(|row| delete(tx, row)))
    }

    /// A transaction was undone: what is free has to be read again.
    pub(super) fn forget(&self) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn with<T>(&self, db: &Connection, run: impl FnOnce(&mut Free) -> Result<T>) -> Result<T> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = match free.take() {
            Some(known) => known,
            None => read(db)?,
        };
        let outcome = run(&mut known);
        *free = Some(known);
        outcome
    }
}

fn delete(tx: &Transaction<'_>, row: i64) -> Result<()> {
    tx.prepare_cached("DELETE FROM body WHERE id = ?")?.execute([row]).map(drop)
}

/// What the database says; lower rows are used first. The bodies themselves are not looked through.
fn read(db: &Connection) -> Result<Free> {
    let mut used = db.prepare("SELECT body FROM message WHERE body NOT NULL")?;
    let used = used.query_map([], |row| row.get(0))?.collect::<Result<HashSet<i64>>>()?;
    let last = db.query_row("SELECT coalesce(max(id), 0) FROM body", [], |row| row.get(0))?;
    Ok(Free { rows: (1..=last).rev().filter(|row| !used.contains(row)).collect(), last })
}
