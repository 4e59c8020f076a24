//! Single messages and members, in an SQLite file beside the state file, and lines that wait to be printed.
//!
//! What follows from a message stands in the state file before it stands here, and a line stands here until it was printed.
//! So whatever is cut off is done again: nothing is lost, and at worst a line is printed twice.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cli::{Code, Error};
use codec::Encode as _;
use group::membership::{Change, RecordError, RecordKey, Records};
use store::rusqlite::{OptionalExtension as _, params};
use store::{Schema, Store};

const SUFFIX: &str = ".messages";
/// "grpm"
const SCHEMA: Schema<'_> = Schema { application_id: 0x6772_706d, migrations: &[TABLES] };
const TABLES: &str = "
CREATE TABLE record (
    name  BLOB PRIMARY KEY,                 -- of a message or a member
    value BLOB NOT NULL                     -- JSON
) STRICT;

CREATE TABLE line (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    value  TEXT NOT NULL                    -- JSON, waits to be printed
) STRICT;
";

/// The messages of a group that a run knows. Clones are the same.
#[derive(Clone)]
pub struct Messages(Arc<Store>);

/// A line that waits to be printed.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number.
    pub number: i64,
    /// What it says.
    pub value: String,
}

impl Messages {
    /// Opens or creates the file that belongs to a state file.
    pub fn beside(state: &Path) -> Result<Self, Error> {
        let state = state.canonicalize().unwrap_or_else(|_| state.to_owned());
        let mut name = OsString::from(state);
        name.push(SUFFIX);
        let path = PathBuf::from(name);
        let store = Store::open(&path, &SCHEMA).map_err(|error| failed(&error).at(path.display()))?;
        Ok(Messages(Arc::new(store)))
    }

    /// Writes records, and lines that are to be printed; the numbers of the lines.
    pub async fn write(&self, changes: Vec<Change>, lines: Vec<String>) -> Result<Vec<Line>, Error> {
        let pending = self.0.write(move |tx| {
            let mut record = tx.prepare_cached("INSERT OR REPLACE INTO record (name, value) VALUES (?1, ?2)")?;
            for Change { key, value } in &changes {
                record.execute(params![key.to_bytes(), value])?;
            }
            let mut line = tx.prepare_cached("INSERT INTO line (value) VALUES (?1)")?;
            let mut numbered = Vec::new();
            for value in lines {
                let number = line.insert(params![value])?;
                numbered.push(Line { number, value });
            }
            Ok(numbered)
        });
        pending.await.map_err(|error| failed(&error))
    }

    /// The lines that an earlier run did not print, or did not remember to have printed.
    pub fn waiting(&self) -> Result<Vec<Line>, Error> {
        let lines = self.0.read(|db| {
            let mut query = db.prepare("SELECT number, value FROM line ORDER BY number")?;
            let lines = query.query_map([], |row| Ok(Line { number: row.get(0)?, value: row.get(1)? }))?;
            lines.collect()
        });
        lines.map_err(|error| failed(&error))
    }

    /// All lines up to this one were printed.
    pub async fn printed(&self, number: i64) -> Result<(), Error> {
        let pending = self.0.write(move |tx| tx.execute("DELETE FROM line WHERE number <= ?1", params![number]));
        pending.await.map(drop).map_err(|error| failed(&error))
    }
}

fn failed(error: &store::Error) -> Error {
    Error::new(Code::StoreFailed, error)
}

impl Records for Messages {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        let name = key.to_bytes();
        let read = self.0.read(|db| {
            let mut query = db.prepare_cached("SELECT value FROM record WHERE name = ?1")?;
            query.query_row(params![name], |row| row.get(0)).optional()
        });
        read.map_err(|error| RecordError::Read(error.to_string()))
    }
}
