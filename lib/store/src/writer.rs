//! The one thread that writes: group commit, failure and checkpoints.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{oneshot, watch};

use crate::checkpoint::{Checkpointer, START_AT};
use crate::space::Keeper;
use crate::{Commits, Error, Room, Space, Ticket};

/// Writes that one transaction may hold, so that the first of them does not wait for ever.
const BATCH: usize = 1024;
/// With this many writes at a time there is a crowd.
const CROWD: usize = 4;
/// In a crowd, commits begin at this distance: on a fast disk each would otherwise carry a few writes only, and its own
/// cost would outweigh theirs. A lone writer never waits.
const GATHER: Duration = Duration::from_millis(2);

thread_local! {
    /// Pages in the write-ahead log after the last commit of this thread; SQLite tells it to a plain function.
    static LOG_PAGES: Cell<u32> = const { Cell::new(0) };
}

/// A write that has been queued: a future, or a value to wait for.
#[derive(Debug)]
#[must_use = "a write is durable only once it resolves"]
pub struct Pending<T> {
    ticket: Ticket,
    answer: oneshot::Receiver<Result<T, Error>>,
}

impl<T> Pending<T> {
    /// The place of this write in the order of all writes.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Blocks until the write is durable or has failed. Not for asynchronous code.
    pub fn wait(self) -> Result<T, Error> {
        self.answer.blocking_recv().unwrap_or(Err(Error::Closed))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| answer.unwrap_or(Err(Error::Closed)))
    }
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions committed; each cost one fsync.
    pub batches: u64,
    /// Writes in those transactions.
    pub writes: u64,
    /// Rows that those writes changed.
    pub rows: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Times the log was copied into the database; each cost two fsyncs.
    pub checkpoints: u64,
}

impl Statistics {
    /// All fsyncs that the store asked for.
    pub fn fsyncs(&self) -> u64 {
        self.batches.saturating_add(self.checkpoints.saturating_mul(2))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    batches: AtomicU64,
    writes: AtomicU64,
    rows: AtomicU64,
    failures: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
}

/// One queued write, whatever it returns.
trait Job: Send {
    fn run(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()>;
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: Error);
}

struct Write<F, T> {
    change: Option<F>,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Job for Write<F, T>
where
    F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if let Some(change) = self.change.take() {
            self.value = Some(change(transaction)?);
        }
        Ok(())
    }

    fn committed(self: Box<Self>) {
        if let Some(value) = self.value {
            // The caller may have gone; the write is durable all the same.
            let _ = self.answer.send(Ok(value));
        }
    }

    fn failed(self: Box<Self>, error: Error) {
        let _ = self.answer.send(Err(error));
    }
}

/// Between the callers and the writer thread.
#[derive(Debug)]
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    commits: watch::Sender<Commits>,
    counters: Counters,
    room: Room,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Box<dyn Job>>,
    last: Ticket,
    refused: Option<Error>,
    closing: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("jobs", &self.jobs.len()).field("last", &self.last).finish_non_exhaustive()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write<T, F>(&self, change: F) -> Pending<T>
    where
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let job = Box::new(Write { change: Some(change), value: None, answer: sender });
        let mut queue = self.queue();
        queue.last = queue.last.next();
        let ticket = queue.last;
        match queue.refused.clone() {
            Some(error) => job.failed(error),
            None => {
                let writer_may_sleep = queue.jobs.is_empty();
                queue.jobs.push(job);
                drop(queue);
                // Waking costs a system call even when nobody sleeps.
                if writer_may_sleep {
                    self.wake.notify_one();
                }
            }
        }
        Pending { ticket, answer }
    }

    pub(crate) fn commits(&self) -> watch::Receiver<Commits> {
        self.commits.subscribe()
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    pub(crate) fn recover(&self) {
        let mut queue = self.queue();
        if !queue.closing {
            queue.refused = None;
            let last = queue.last;
            self.commits.send_modify(|commits| commits.recovered(last));
        }
    }

    pub(crate) fn close(&self) {
        let mut queue = self.queue();
        queue.closing = true;
        queue.refused.get_or_insert(Error::Closed);
        self.wake.notify_one();
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            batches: read(&self.counters.batches),
            writes: read(&self.counters.writes),
            rows: read(&self.counters.rows),
            failures: read(&self.counters.failures),
            checkpoints: read(&self.counters.checkpoints),
        }
    }

    /// Waits for work, which there may not be when `patience` ends; `None` when the store is closing and everything has
    /// been written.
    fn next_batch(&self, patience: Option<Duration>) -> Option<Batch> {
        let idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.closing;
        let mut queue = match patience {
            None => self.wake.wait_while(self.queue(), idle).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.wake.wait_timeout_while(self.queue(), patience, idle).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if queue.jobs.is_empty() && queue.closing {
            return None;
        }
        let taken = queue.jobs.len().min(BATCH);
        let later = queue.jobs.split_off(taken);
        let jobs = std::mem::replace(&mut queue.jobs, later);
        Some(Batch { jobs })
    }

    /// Tells everybody about a commit: the watermark first, then each caller.
    fn committed(&self, batch: Batch, rows: u64) {
        let count = u64::try_from(batch.jobs.len()).unwrap_or(u64::MAX);
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        self.counters.writes.fetch_add(count, Ordering::Relaxed);
        self.counters.rows.fetch_add(rows, Ordering::Relaxed);
        self.commits.send_modify(|commits| commits.committed(count));
        batch.jobs.into_iter().for_each(Job::committed);
    }

    /// Fails the batch and everything behind it, and refuses writes until the owner has recovered.
    fn failed(&self, batch: Batch, cause: &str) {
        tracing::error!(cause, "commit failed");
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        let mut queue = self.queue();
        self.commits.send_modify(|commits| commits.broke(cause.into()));
        let error = self.commits.borrow().broken().unwrap_or(Error::Closed);
        queue.refused = Some(error.clone());
        let behind = std::mem::take(&mut queue.jobs);
        drop(queue);
        batch.jobs.into_iter().chain(behind).for_each(|job| job.failed(error.clone()));
    }
}

/// What goes to disk together.
struct Batch {
    jobs: Vec<Box<dyn Job>>,
}

/// Starts the writer thread.
pub(crate) fn start(connection: Connection, path: &Path, space: Space) -> Result<(Arc<Shared>, JoinHandle<()>), Error> {
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        wake: Condvar::new(),
        commits: watch::Sender::new(Commits::default()),
        counters: Counters::default(),
        room: Room::default(),
    });
    let keeper = Keeper::new(path, &connection, space, shared.room.clone())?;
    let checkpointer = Checkpointer::start(path, keeper.log_pages(START_AT))?;
    let writer = Writer { connection, shared: shared.clone(), keeper, checkpointer };
    let thread = std::thread::Builder::new()
        .name("store-writer".into())
        .spawn(move || writer.run())
        .map_err(|cause| Error::File { path: path.to_owned(), cause: Arc::new(cause) })?;
    Ok((shared, thread))
}

struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    keeper: Keeper,
    checkpointer: Checkpointer,
}

impl Writer {
    fn run(mut self) {
        self.connection.wal_hook(Some(|_, pages| {
            LOG_PAGES.set(u32::try_from(pages).unwrap_or(0));
            Ok(())
        }));
        // A crowd does not go with its first small batch.
        let mut crowd = 0;
        while let Some(mut batch) = self.shared.next_batch(self.keeper.patience()) {
            self.keeper.look_again(&self.connection);
            if batch.jobs.is_empty() {
                continue;
            }
            let begun = Instant::now();
            crowd = batch.jobs.len().max(crowd / 2);
            match self.commit(&mut batch) {
                Ok(rows) => self.shared.committed(batch, rows),
                Err(cause) => {
                    self.shared.failed(batch, &cause);
                    // On a full disk the log can only be reused, and only once it has been copied.
                    let _ = self.checkpointer.copy_now(&self.connection, &self.shared.counters);
                }
            }
            self.copy_log_if_long();
            if crowd >= CROWD {
                std::thread::sleep(GATHER.saturating_sub(begun.elapsed()));
            }
        }
        self.shared.commits.send_modify(Commits::closed);
    }

    /// A log that cannot be copied for want of space must not grow on.
    fn copy_log_if_long(&mut self) {
        let counters = &self.shared.counters;
        if let Err(error) = self.checkpointer.after_commit(&self.connection, LOG_PAGES.get(), counters) {
            self.keeper.failed(&self.connection, &error);
            let _ = self.checkpointer.copy_now(&self.connection, counters);
        }
    }

    /// Runs the batch in one transaction; dropping an unfinished transaction rolls it back.
    fn commit(&mut self, batch: &mut Batch) -> Result<u64, String> {
        let before = self.connection.total_changes();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for job in &mut batch.jobs {
                job.run(&transaction)?;
            }
            transaction.commit()
        }));
        match outcome {
            Ok(Ok(())) => {
                self.keeper.committed(&self.connection);
                Ok(self.connection.total_changes().saturating_sub(before))
            }
            Ok(Err(error)) => {
                self.keeper.failed(&self.connection, &error);
                Err(error.to_string())
            }
            Err(_) => Err("a write panicked".to_owned()),
        }
    }
}
