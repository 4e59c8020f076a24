//! What the application calls a connection, and its number in the tables.

use std::collections::HashMap;

use agent::connection::keep::{ConnectionId, Revision};
use codec::Malformed;
use rusqlite::types::Type;
use rusqlite::{Connection, Transaction, params};

use crate::Error;

/// Connections that a file may ever have.
const MAX: i64 = 1 << 27;

/// The number of a connection in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) i64);

/// A connection that is written to.
pub(super) struct Named {
    pub(super) number: Number,
    /// Its name, if the table does not have it yet.
    pub(super) new: Option<ConnectionId>,
}

/// All names.
#[derive(Debug)]
pub(super) struct Names {
    numbers: HashMap<ConnectionId, Number>,
    last: i64,
}

impl Names {
    pub(super) fn read(db: &Connection) -> rusqlite::Result<Self> {
        let mut names = Names { numbers: HashMap::new(), last: 0 };
        let mut statement = db.prepare_cached("SELECT id, name FROM connection")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, name) = (row.get(0)?, row.get_ref(1)?.as_blob()?);
            names.numbers.insert(ConnectionId::new(name).ok_or_else(damaged)?, Number(number));
            names.last = names.last.max(number);
        }
        Ok(names)
    }

    /// The connection that is revised; a new one gets a number, one that is over loses it.
    pub(super) fn resolve(&mut self, id: &ConnectionId, revision: &Revision) -> Result<Named, Error> {
        let known = match revision {
            Revision::Change(_) => self.numbers.get(id).copied(),
            Revision::Forget => self.numbers.remove(id),
        };
        if let Some(number) = known {
            return Ok(Named { number, new: None });
        }
        let number = Number(self.last.saturating_add(1));
        if number.0 >= MAX {
            return Err(Error::Sqlite(std::sync::Arc::new(damaged())));
        }
        self.last = number.0;
        if let Revision::Change(_) = revision {
            self.numbers.insert(id.clone(), number);
        }
        Ok(Named { number, new: Some(id.clone()) })
    }

    pub(super) fn find(&self, ids: &[ConnectionId]) -> Vec<Option<Number>> {
        ids.iter().map(|id| self.numbers.get(id).copied()).collect()
    }

    pub(super) fn all(&self) -> Vec<ConnectionId> {
        self.numbers.keys().cloned().collect()
    }
}

pub(super) fn insert(tx: &Transaction<'_>, number: Number, name: &ConnectionId) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached("INSERT INTO connection VALUES (?1, ?2)")?;
    statement.execute(params![number.0, name.as_bytes()]).map(drop)
}

pub(super) fn delete(tx: &Transaction<'_>, number: Number) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM connection WHERE id = ?1")?.execute([number.0]).map(drop)
}

/// Somebody else has written into the file.
fn damaged() -> rusqlite::Error {
    let error = Malformed::BadValue("name of a connection");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error))
}
