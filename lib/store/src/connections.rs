//! Connections and their records in two tables of a store.
//!
//! Whoever sends to thousands of connections changes the same small record of each. So records of a kind stand together,
//! dozens in a page, and one number finds a record: kind, connection and the record's own number. That costs a third of
//! what keys of bytes cost, and a message with its body still fits one page.

mod names;
mod rows;

use std::future::{Future, ready};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent::connection::keep::{Batch, ConnectionId, Keep, Record, Revision};
use rusqlite::{Connection, Transaction};

use self::names::{Named, Names, Number};
use crate::{Error, Schema, Store};

/// The tables, for the migrations of a service that keeps more in the same file.
pub const TABLES: &str = "
CREATE TABLE connection (
    id   INTEGER PRIMARY KEY,               -- less than 2^27
    name BLOB NOT NULL UNIQUE               -- what the application calls it
) STRICT;

CREATE TABLE connection_record (
    id     INTEGER PRIMARY KEY,             -- kind * 2^59 + connection.id * 2^32 + number % 2^32
    number INTEGER NOT NULL,                -- of a message or request; 0 where a connection has one record of a kind
    value  BLOB NOT NULL                    -- secret
) STRICT;
";

/// A file that holds nothing else; "conn".
const SCHEMA: Schema<'_> = Schema { application_id: 0x636f_6e6e, migrations: &[TABLES] };

/// The connections in a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    /// As they will be when everything that is queued is durable; or why they could not be read.
    names: Mutex<Result<Names, Error>>,
}

impl Connections {
    /// Opens or creates a file for connections alone.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::within(Arc::new(Store::open(path, &SCHEMA)?))
    }

    /// The connections in a store that has [`TABLES`]. If a commit fails, it is the agent that
    /// [recovers](Store::recover) the store.
    pub fn within(store: Arc<Store>) -> Result<Self, Error> {
        let names = Mutex::new(Ok(store.read(Names::read)?));
        Ok(Connections(Arc::new(Shared { store, names })))
    }

    /// The store underneath.
    pub fn inner(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// Begins to make a batch durable together with something else in the same store.
    pub fn commit_with<F>(&self, batch: Batch, also: F) -> impl Future<Output = Result<(), Error>> + Send + use<F>
    where
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static,
    {
        // The order in which names are given is the order in which writes are queued.
        let mut names = self.names();
        let queued = names.as_mut().map_err(|error| error.clone()).and_then(|names| {
            let batch = batch.into_iter().map(|(id, revision)| Ok((names.resolve(&id, &revision)?, revision)));
            let batch = batch.collect::<Result<Vec<_>, Error>>()?;
            Ok(self.0.store.write(move |tx| write(tx, &batch).and_then(|()| also(tx))))
        });
        drop(names);
        async { queued?.await }
    }

    /// Reads something of each connection.
    fn read_each<T: Send + 'static>(
        &self,
        ids: &[ConnectionId],
        read: fn(&Connection, Option<Number>) -> rusqlite::Result<T>,
    ) -> impl Future<Output = Result<Vec<T>, Error>> + Send + use<T> {
        let numbers = self.names().as_ref().map_err(|error| error.clone()).map(|names| names.find(ids));
        let store = self.0.store.clone();
        async move {
            let numbers = numbers?;
            let query = move |db: &Connection| numbers.into_iter().map(|number| read(db, number)).collect();
            tokio::task::spawn_blocking(move || store.read(query)).await.unwrap_or(Err(Error::Closed))
        }
    }

    fn names(&self) -> MutexGuard<'_, Result<Names, Error>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keep for Connections {
    type Error = Error;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        self.commit_with(batch, |_| Ok(()))
    }

    /// Reads all names, which may take a moment.
    fn recover(&self) {
        let mut names = self.names();
        self.0.store.recover();
        *names = self.0.store.read(Names::read);
    }

    fn load(&self, ids: Vec<ConnectionId>) -> impl Future<Output = Result<Vec<Vec<Record>>, Error>> + Send + 'static {
        self.read_each(&ids, rows::load)
    }

    fn outline(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, Error>> + Send + 'static {
        self.read_each(&ids, rows::outline)
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Error>> + Send + 'static {
        ready(self.names().as_ref().map_err(|error| error.clone()).map(Names::all))
    }
}

fn write(tx: &Transaction<'_>, batch: &[(Named, Revision)]) -> rusqlite::Result<()> {
    for (named, revision) in batch {
        if let Some(name) = &named.new {
            names::insert(tx, named.number, name)?;
        }
        match revision {
            Revision::Change(changes) => {
                changes.iter().try_for_each(|change| rows::change(tx, named.number, change))?;
            }
            Revision::Forget => {
                rows::forget(tx, named.number)?;
                names::delete(tx, named.number)?;
            }
        }
    }
    Ok(())
}
