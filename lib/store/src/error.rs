//! Why the store refuses, and whose fault it is.

use std::path::PathBuf;
use std::sync::Arc;

use crate::Ticket;

/// Why the store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another process has the file open for writing.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file belongs to another application.
    #[error("the file is not one of ours (application id {found:#010x}, expected {expected:#010x})")]
    Foreign {
        /// The application ID in the file.
        found: i32,
        /// Ours.
        expected: i32,
    },
    /// A newer version of the software has written the file.
    #[error("the file has schema version {found}, this version knows up to {known}: use a newer version")]
    Newer {
        /// The version in the file.
        found: usize,
        /// The newest version this program knows.
        known: usize,
    },
    /// A file beside the database cannot be used.
    #[error("{}: {cause}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        cause: Arc<std::io::Error>,
    },
    /// SQLite refused a read or could not open the file.
    #[error("{0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// The write was not committed, nor was anything after `since`.
    #[error("not stored: {cause}")]
    NotCommitted {
        /// The first write that was lost.
        since: Ticket,
        /// Why the commit failed.
        cause: Arc<str>,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Error::Sqlite(Arc::new(error))
    }
}
