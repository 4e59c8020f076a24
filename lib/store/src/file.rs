//! The file: who may open it, and how it is tuned.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::Error;

/// How long a statement waits for a person who looks into the file with another tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A block of the protocol fits one page, so a stored message is one page written, not a chain of four.
pub(crate) const PAGE: u32 = 16_384;
/// Pages that the writer need not read back from the system.
const WRITE_CACHE_KIB: i64 = 32 << 10;
/// How long the lock may outlive its owner: a process that the owner was just starting holds it until it runs.
const PREDECESSOR: Duration = Duration::from_millis(400);
/// Enough for the statements of one service.
const PREPARED_STATEMENTS: usize = 64;

/// Proof that no other process writes the database: an exclusive lock on a small file beside it.
///
/// SQLite's own locks would keep readers out too, and people should be able to look while the server runs.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "closing the file releases the lock")] File);

impl Lock {
    pub(crate) fn acquire(database: &Path) -> Result<Self, Error> {
        let path = beside(database, "-lock");
        let failed = |cause| Error::File { path: path.clone(), cause: Arc::new(cause) };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        let deadline = Instant::now() + PREDECESSOR;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(PREDECESSOR / 20),
                Err(TryLockError::WouldBlock) => return Err(Error::InUse(database.to_owned())),
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
    }
}

/// The write connection: WAL, an fsync on every commit, checkpoints only when the writer says so.
pub(crate) fn open_for_writing(path: &Path) -> Result<Connection, Error> {
    create_private(path)?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | common())?;
    tune(&connection)?;
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update(None, "cache_size", -WRITE_CACHE_KIB)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    Ok(connection)
}

/// Another connection to the same file that is only read from.
pub(crate) fn open_for_reading(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | common())?;
    tune(&connection)?;
    Ok(connection)
}

/// A connection that copies the log into the database while the writer goes on.
pub(crate) fn open_for_checkpoints(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | common())?;
    tune(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Each connection stays on one thread at a time.
fn common() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn tune(connection: &Connection) -> Result<(), Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(())
}

/// The database holds secrets: only its owner may read it. SQLite gives its other files the same mode.
fn create_private(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(cause) => Err(Error::File { path: path.to_owned(), cause: Arc::new(cause) }),
    }
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
