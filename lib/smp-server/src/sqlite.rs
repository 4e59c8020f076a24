//! Queues in one SQLite file, in tables that a person can read.
//!
//! Message headers and bodies have tables of their own: a start reads the former without the latter, and rows of bodies
//! are used again.

mod read;
mod schema;
mod slots;
mod write;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use smp::command::LinkData;
pub use store::Space;
use store::rusqlite::Transaction;
use store::{Commits, Error, Statistics, Store, Ticket};
use tokio::sync::watch;

use crate::queue::{Change, Queue};
use crate::queue_store::{Loaded, QueueStore, Share};

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    store: Store,
    slots: slots::Slots,
    /// The last write that deleted what is not used.
    trim: Mutex<Option<Ticket>>,
}

impl SqliteStore {
    /// Opens or creates the file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_within(path, Space::default())
    }

    /// Opens or creates the file at `path`, to live within the given space.
    pub fn open_within(path: &Path, space: Space) -> Result<Self, Error> {
        let store = Store::open_within(path, &schema::SCHEMA, space)?;
        let slots = slots::Slots::new(store.room().clone());
        Ok(SqliteStore { store, slots, trim: Mutex::default() })
    }

    /// The store underneath, for those who look at or break it on purpose.
    pub fn inner(&self) -> &Store {
        &self.store
    }
}

impl QueueStore for SqliteStore {
    fn load(&self) -> Result<Loaded, Error> {
        self.store.read(|db| {
            self.slots.read(db)?;
            read::load(db)
        })
    }

    fn reload(&self, rows: &[i64]) -> Result<Vec<Queue>, Error> {
        self.store.read(|db| read::reload(db, rows))
    }

    fn create(&self, queue: Queue, link_data: Option<LinkData>, share: Share) -> Ticket {
        let write = move |tx: &Transaction<'_>| {
            let _until_written = share;
            write::create(tx, &queue, link_data.as_ref())
        };
        self.store.write(write).ticket()
    }

    fn change(&self, row: i64, changes: Vec<Change>, share: Share) -> Ticket {
        let slots = self.slots.clone();
        let write = move |tx: &Transaction<'_>| {
            let _until_written = share;
            changes.iter().try_for_each(|change| write::change(tx, &slots, row, change))
        };
        self.store.write(write).ticket()
    }

    fn commits(&self) -> watch::Receiver<Commits> {
        self.store.commits()
    }

    fn recover(&self) {
        self.slots.forget();
        let mut trim = self.trim.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = trim.take().and_then(|ticket| self.store.commits().borrow().outcome(ticket));
        self.store.recover();
        if self.store.room().is_short() && !matches!(outcome, Some(Err(_))) {
            let slots = self.slots.clone();
            *trim = Some(self.store.write(move |tx| slots.clear(tx)).ticket());
        }
    }

    fn is_short_of_space(&self) -> bool {
        self.store.room().is_short()
    }

    fn body(&self, row: i64) -> Result<Option<Vec<u8>>, Error> {
        self.store.read(|db| read::body(db, row))
    }

    fn link_data(&self, row: i64) -> Result<Option<LinkData>, Error> {
        self.store.read(|db| read::link_data(db, row))
    }

    fn statistics(&self) -> Statistics {
        self.store.statistics()
    }
}

#[cfg(test)]
mod tests;
