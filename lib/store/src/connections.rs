//! Records of connections in one table of a store.
//!
//! Records of a kind stand together, not those of a connection: whoever sends to thousands of connections changes the
//! same small record of each, and dozens of them share a page.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use agent::connection::keep::{Batch, ConnectionId, Keep, Record, Revision};
use agent::connection::{Change, RecordKey};
use codec::{Decode as _, Encode as _, Malformed};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use zeroize::Zeroizing;

use crate::{Error, Schema, Store};

/// The table, for the migrations of a service that keeps more in the same file.
pub const TABLE: &str = "
CREATE TABLE connection_record (
    kind       TEXT NOT NULL,               -- what the record holds
    connection BLOB NOT NULL,               -- the name that the application gave it
    number     BLOB NOT NULL,               -- of records of which there are many; empty otherwise
    value      BLOB NOT NULL,               -- secret
    PRIMARY KEY (kind, connection, number)
) STRICT, WITHOUT ROWID;
";

/// A file that holds nothing else; "conn".
const SCHEMA: Schema<'_> = Schema { application_id: 0x636f_6e6e, migrations: &[TABLE] };

/// The connections in a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Store>);

impl Connections {
    /// Opens or creates a file for connections alone.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Connections(Arc::new(Store::open(path, &SCHEMA)?)))
    }

    /// The connections in a store that has [`TABLE`]. Nobody else may need to be asked before it
    /// [recovers](Store::recover).
    pub fn within(store: Arc<Store>) -> Self {
        Connections(store)
    }

    /// The store underneath.
    pub fn inner(&self) -> &Arc<Store> {
        &self.0
    }

    /// Runs a query where blocking is allowed.
    fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        let store = self.0.clone();
        async move { tokio::task::spawn_blocking(move || store.read(query)).await.unwrap_or(Err(Error::Closed)) }
    }
}

impl Keep for Connections {
    type Error = Error;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        self.0.write(move |tx| write(tx, &batch))
    }

    fn recover(&self) {
        self.0.recover();
    }

    fn load(&self, ids: Vec<ConnectionId>) -> impl Future<Output = Result<Vec<Vec<Record>>, Error>> + Send + 'static {
        self.read(move |db| {
            let kinds = kinds(db)?;
            ids.iter().map(|id| load(db, &kinds, id)).collect()
        })
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Error>> + Send + 'static {
        self.read(list)
    }
}

fn write(tx: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    for (id, revision) in batch {
        match revision {
            Revision::Change(changes) => changes.iter().try_for_each(|change| apply(tx, id, change))?,
            Revision::Forget => forget(tx, id)?,
        }
    }
    Ok(())
}

fn apply(tx: &Transaction<'_>, id: &ConnectionId, change: &Change) -> rusqlite::Result<()> {
    let (kind, number) = columns(&change.key);
    match &change.value {
        Some(value) => {
            let sql = "INSERT INTO connection_record VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT DO UPDATE SET value = excluded.value";
            tx.prepare_cached(sql)?.execute(params![kind, id.as_bytes(), number, **value])?
        }
        None => {
            let sql = "DELETE FROM connection_record WHERE kind = ?1 AND connection = ?2 AND number = ?3";
            tx.prepare_cached(sql)?.execute(params![kind, id.as_bytes(), number])?
        }
    };
    Ok(())
}

fn forget(tx: &Transaction<'_>, id: &ConnectionId) -> rusqlite::Result<()> {
    let sql = "DELETE FROM connection_record WHERE kind = ?1 AND connection = ?2";
    for kind in kinds(tx)? {
        tx.prepare_cached(sql)?.execute(params![kind, id.as_bytes()])?;
    }
    Ok(())
}

/// The kinds of records that there are, without looking at every record.
fn kinds(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT kind FROM connection_record WHERE kind > ?1 ORDER BY kind LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    let mut kinds = Vec::new();
    let mut last = String::new();
    while let Some(kind) = statement.query_row([&last], |row| row.get::<_, String>(0)).optional()? {
        kinds.push(kind.clone());
        last = kind;
    }
    Ok(kinds)
}

fn load(db: &Connection, kinds: &[String], id: &ConnectionId) -> rusqlite::Result<Vec<Record>> {
    let sql = "SELECT kind, number, value FROM connection_record WHERE kind = ?1 AND connection = ?2 ORDER BY number";
    let mut statement = db.prepare_cached(sql)?;
    let mut records = Vec::new();
    for kind in kinds {
        for record in statement.query_map(params![kind, id.as_bytes()], record)? {
            records.push(record?);
        }
    }
    Ok(records)
}

fn list(db: &Connection) -> rusqlite::Result<Vec<ConnectionId>> {
    let (kind, _) = columns(&RecordKey::Core);
    let mut statement = db.prepare_cached("SELECT connection FROM connection_record WHERE kind = ?1")?;
    statement.query_map([kind], |row| name(row.get_ref(0)?.as_blob()?))?.collect()
}

/// A key as the columns `kind` and `number`.
fn columns(key: &RecordKey) -> (String, Vec<u8>) {
    let mut bytes = key.to_bytes();
    let number = bytes.split_off(1.min(bytes.len()));
    (String::from_utf8_lossy(&bytes).into_owned(), number)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let kind = row.get_ref(0)?.as_str()?.as_bytes();
    let key = [kind, row.get_ref(1)?.as_blob()?].concat();
    let key = RecordKey::decode_all(&key).map_err(damaged)?;
    Ok((key, Zeroizing::new(row.get_ref(2)?.as_blob()?.to_vec())))
}

fn name(bytes: &[u8]) -> rusqlite::Result<ConnectionId> {
    ConnectionId::new(bytes).ok_or_else(|| damaged(Malformed::BadValue("name of a connection")))
}

/// Somebody else has written into the file.
fn damaged(error: Malformed) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error))
}
