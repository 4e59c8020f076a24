//! Queues in one SQLite file, in tables that a person can read.
//!
//! Message headers and bodies have tables of their own, so that a start reads the former without the latter.

mod read;
mod schema;
mod write;

use std::path::Path;

use smp::command::LinkData;
use store::rusqlite::Transaction;
use store::{Commits, Error, Statistics, Store, Ticket};
use tokio::sync::watch;

use crate::queue::{Change, Queue};
use crate::queue_store::{Loaded, QueueStore, Share};

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore(Store);

impl SqliteStore {
    /// Opens or creates the file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Store::open(path, &schema::SCHEMA).map(SqliteStore)
    }

    /// The store underneath, for those who look at or break it on purpose.
    pub fn inner(&self) -> &Store {
        &self.0
    }
}

impl QueueStore for SqliteStore {
    fn load(&self) -> Result<Loaded, Error> {
        self.0.read(read::load)
    }

    fn reload(&self, rows: &[i64]) -> Result<Vec<Queue>, Error> {
        self.0.read(|db| read::reload(db, rows))
    }

    fn create(&self, queue: Queue, link_data: Option<LinkData>, share: Share) -> Ticket {
        let write = move |tx: &Transaction<'_>| {
            let _until_written = share;
            write::create(tx, &queue, link_data.as_ref())
        };
        self.0.write(write).ticket()
    }

    fn change(&self, row: i64, changes: Vec<Change>, share: Share) -> Ticket {
        let write = move |tx: &Transaction<'_>| {
            let _until_written = share;
            changes.iter().try_for_each(|change| write::change(tx, row, change))
        };
        self.0.write(write).ticket()
    }

    fn commits(&self) -> watch::Receiver<Commits> {
        self.0.commits()
    }

    fn recover(&self) {
        self.0.recover();
    }

    fn body(&self, row: i64) -> Result<Option<Vec<u8>>, Error> {
        self.0.read(|db| read::body(db, row))
    }

    fn link_data(&self, row: i64) -> Result<Option<LinkData>, Error> {
        self.0.read(|db| read::link_data(db, row))
    }

    fn statistics(&self) -> Statistics {
        self.0.statistics()
    }
}

#[cfg(test)]
mod tests;
