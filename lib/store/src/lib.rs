//! Durable state: an embedded store with group commit.
//!
//! Floor 4. A [`Store`] is one SQLite file that one process owns. All writes go through one thread, which takes
//! whatever has been queued, runs it in one transaction and makes it durable with one fsync; that is what lets a
//! server answer thousands of commands per second and still answer each only once its effect is on disk.
//!
//! ```text
//! write(closure) ─▶ queue ─▶ writer thread: BEGIN, closures in order, COMMIT (one fsync) ─▶ Pending resolves
//! read(closure)  ─▶ pool of read connections, each read sees the last commit
//! ```
//!
//! Writes take effect in the order of the calls. When a commit fails (disk full, I/O error) the whole batch fails, and
//! so does everything queued behind it, because its authors may have built on what was lost. The store then refuses
//! writes until its owner has read back what is on disk and calls [`Store::recover`].
//!
//! Services put their own small trait in front of this crate; a clustered store can then take its place.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("notes.sqlite");
//! use store::{Schema, Store};
//!
//! let schema = Schema { application_id: 0x6e6f7465, migrations: &["CREATE TABLE note (text TEXT NOT NULL)"] };
//! let store = Store::open(&path, &schema)?;
//! let pending = store.write(|tx| tx.execute("INSERT INTO note VALUES ('durable')", []));
//! pending.wait()?;
//! let count: i64 = store.read(|db| db.query_row("SELECT count(*) FROM note", [], |row| row.get(0)))?;
//! assert_eq!(count, 1);
//! # Ok(())
//! # }
//! ```

mod checkpoint;
mod commits;
pub mod connections;
mod error;
mod file;
mod readers;
mod reserve;
mod schema;
mod space;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

pub use commits::{Commits, Ticket};
pub use error::Error;
pub use rusqlite;
pub use schema::Schema;
pub use space::{Room, Space};
pub use writer::{Pending, Statistics};

use rusqlite::{Connection, Transaction};
use tokio::sync::watch;

/// One SQLite file, owned by this process until the value is dropped.
#[derive(Debug)]
pub struct Store {
    writer: Arc<writer::Shared>,
    thread: Option<JoinHandle<()>>,
    readers: readers::Pool,
    /// Held last: the file is released only after everything that uses it has ended.
    _lock: file::Lock,
}

impl Store {
    /// Opens or creates the file at `path` and brings it to the newest version of `schema`.
    pub fn open(path: &Path, schema: &Schema<'_>) -> Result<Self, Error> {
        Self::open_within(path, schema, Space::default())
    }

    /// Opens the file as [`open`](Self::open) does, to live within the given space. A write that needs more fails; see
    /// [`Room`].
    pub fn open_within(path: &Path, schema: &Schema<'_>, space: Space) -> Result<Self, Error> {
        let lock = file::Lock::acquire(path)?;
        let mut connection = file::open_for_writing(path)?;
        schema.migrate(&mut connection)?;
        let readers = readers::Pool::new(path);
        let (writer, thread) = writer::start(connection, path, space)?;
        Ok(Store { writer, thread: Some(thread), readers, _lock: lock })
    }

    /// Queues `change`; it runs in the order of the calls and is durable once the result resolves.
    ///
    /// An error from `change` fails its whole batch: memory that was changed alongside no longer matches the disk.
    pub fn write<T, F>(&self, change: F) -> Pending<T>
    where
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.write(change)
    }

    /// Runs `query` on a read connection that sees the last commit. Blocks; call it where blocking is allowed.
    pub fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.readers.read(query)
    }

    /// What has been committed and what has failed, as it changes.
    pub fn commits(&self) -> watch::Receiver<Commits> {
        self.writer.commits()
    }

    /// Resolves when the write with this ticket, and so everything queued before it, is durable or has failed.
    pub async fn durable(&self, ticket: Ticket) -> Result<(), Error> {
        commits::wait(&mut self.writer.commits(), ticket).await
    }

    /// Whether there is space for more.
    pub fn room(&self) -> &Room {
        self.writer.room()
    }

    /// Accepts writes again after a failed commit. Call it once memory agrees with the disk again.
    pub fn recover(&self) {
        self.writer.recover();
    }

    /// Counters since the store was opened.
    pub fn statistics(&self) -> Statistics {
        self.writer.statistics()
    }
}

impl Drop for Store {
    /// Writes everything that was queued, then closes the file. The writer goes last: only it can end the log.
    fn drop(&mut self) {
        self.readers.close();
        self.writer.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}
