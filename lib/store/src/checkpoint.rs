//! Copying the write-ahead log into the database without holding up the writer.
//!
//! A thread of its own copies most of the log while commits go on. The writer then copies the few pages that were
//! added meanwhile, after which SQLite starts the log from its beginning again; so it stays bounded under any load.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::writer::Counters;
use crate::{Error, file};

/// Pages in the log at which copying usually begins: 32 MiB.
pub(crate) const START_AT: u32 = (32 << 20) / file::PAGE;

const IDLE: u8 = 0;
const COPYING: u8 = 1;
const COPIED: u8 = 2;

/// The writer's handle on the copying thread.
pub(crate) struct Checkpointer {
    start_at: u32,
    phase: Arc<AtomicU8>,
    request: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Copying begins when the log has `start_at` pages.
    pub(crate) fn start(path: &Path, start_at: u32) -> Result<Self, Error> {
        let connection = file::open_for_checkpoints(path)?;
        let phase = Arc::new(AtomicU8::new(IDLE));
        let (request, requests) = sync_channel(1);
        let shared = phase.clone();
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || copy_on_request(&connection, &requests, &shared))
            .map_err(|cause| Error::File { path: path.to_owned(), cause: Arc::new(cause) })?;
        Ok(Checkpointer { start_at, phase, request: Some(request), thread: Some(thread) })
    }

    /// Moves one step further when the log has `pages` pages after a commit of `connection`.
    pub(crate) fn after_commit(
        &self,
        connection: &Connection,
        pages: u32,
        counters: &Counters,
    ) -> rusqlite::Result<()> {
        match self.phase.load(Ordering::Acquire) {
            IDLE if pages >= self.start_at => {
                self.phase.store(COPYING, Ordering::Release);
                let asked = self.request.as_ref().is_some_and(|request| request.try_send(()).is_ok());
                if !asked {
                    self.phase.store(COPIED, Ordering::Release);
                }
            }
            COPIED => {
                self.phase.store(IDLE, Ordering::Release);
                return self.copy_now(connection, counters);
            }
            _ => {}
        }
        Ok(())
    }

    /// Copies what is left on the caller's thread.
    pub(crate) fn copy_now(&self, connection: &Connection, counters: &Counters) -> rusqlite::Result<()> {
        counters.checkpoints.fetch_add(1, Ordering::Relaxed);
        copy(connection)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.request = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpoint thread panicked");
        }
    }
}

fn copy_on_request(connection: &Connection, requests: &Receiver<()>, phase: &AtomicU8) {
    while requests.recv().is_ok() {
        // The writer copies what is left, and is told if that fails too.
        let _ = copy(connection);
        phase.store(COPIED, Ordering::Release);
    }
}

/// A failed copy loses nothing: the log keeps what it has, and the next commit tries again.
fn copy(connection: &Connection) -> rusqlite::Result<()> {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    copied.inspect_err(|error| tracing::warn!(%error, "the write-ahead log could not be copied into the database"))
}
