//! Whether there is space for more, and what to do when there is none.
//!
//! A commit that finds no space fails with everything in it, also with what would have made space. So once that has
//! happened, writes that need more of it should not be tried until there is some again; who writes what is for the owner
//! of the store to know: [`Room`] tells when.
//!
//! There are two ways to run out. The file may have met its limit, which passes when enough of it is free again. Or the
//! disk is full. That must not keep anybody from removing things, but removing takes space too: for the log, and to copy
//! the log into the database before it can start over. So a file beside the database holds a reserve, which is given up
//! then. Until it can be had again, the database does not grow, as if it had met its limit.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, ffi};

use crate::Error;
use crate::file::PAGE;
use crate::reserve::Reserve;

/// Pages that are free in a file with room: 1 MiB, but not more than a quarter of its limit.
const ENOUGH: u32 = (1 << 20) / PAGE;
/// How long a full disk is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// How much space a store may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes that the database may have, its log not counted.
    pub limit: Option<u64>,
    /// Bytes to hold for the moment when the disk is full; less on a small disk.
    pub reserve: u64,
}

/// Whether there is space for more. Clones share what they know.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<AtomicBool>);

impl Room {
    /// True while writes that need more space would probably fail.
    pub fn is_short(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set_short(&self, short: bool) {
        self.0.store(short, Ordering::Release);
    }
}

/// The writer's side: looks after the space.
pub(crate) struct Keeper {
    room: Room,
    reserve: Reserve,
    /// Pages that the database may have while the disk has space.
    limit: u32,
    /// When the reserve was last found to be out of reach.
    disk_full: Option<Instant>,
}

impl Keeper {
    pub(crate) fn new(path: &Path, connection: &Connection, space: Space, room: Room) -> Result<Self, Error> {
        if let Some(bytes) = space.limit {
            let page: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = u32::try_from(bytes.checked_div(page).unwrap_or_default()).unwrap_or(u32::MAX);
            set_limit(connection, pages.max(1))?;
        }
        let limit = pages(connection, "max_page_count")?;
        let mut keeper = Keeper { room, reserve: Reserve::open(path, space.reserve)?, limit, disk_full: None };
        if !keeper.reserve.take() {
            keeper.make_do(connection);
        }
        Ok(keeper)
    }

    /// How long the log may become before it is copied: the reserve must suffice for that.
    pub(crate) fn log_pages(&self, usual: u32) -> u32 {
        match u32::try_from(self.reserve.size() / 2 / u64::from(PAGE)) {
            Ok(0) | Err(_) => usual,
            Ok(pages) => pages.min(usual),
        }
    }

    /// A commit or a copy of the log failed; if it did so for want of space, nobody shall ask for more.
    pub(crate) fn failed(&mut self, connection: &Connection, error: &rusqlite::Error) {
        if is_want_of_space(error) {
            if has_enough(connection) {
                self.make_do(connection);
            }
            self.room.set_short(true);
        }
    }

    /// A commit may have made space.
    pub(crate) fn committed(&self, connection: &Connection) {
        if self.room.is_short() && has_enough(connection) {
            self.room.set_short(false);
        }
    }

    /// The time until the disk should be looked at again, if that is full.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.disk_full.map(|since| RETRY.saturating_sub(since.elapsed()))
    }

    /// Looks whether a full disk has space again.
    pub(crate) fn look_again(&mut self, connection: &Connection) {
        if self.patience() != Some(Duration::ZERO) {
            return;
        }
        if self.reserve.take() && set_limit(connection, self.limit).is_ok() {
            self.disk_full = None;
            self.committed(connection);
        } else {
            self.disk_full = Some(Instant::now());
        }
    }

    /// The disk is full: what is there has to do.
    fn make_do(&mut self, connection: &Connection) {
        if self.disk_full.is_none() {
            tracing::warn!("the disk is full: the store does not grow");
        }
        self.reserve.give_up();
        // If this fails, the next write that needs more fails too.
        let _ = pages(connection, "page_count").and_then(|used| set_limit(connection, used));
        self.disk_full = Some(Instant::now());
        self.room.set_short(!has_enough(connection));
    }
}

/// From here on SQLite says that the disk is full. A file that is larger already does not grow.
fn set_limit(connection: &Connection, pages: u32) -> rusqlite::Result<()> {
    connection.pragma_update(None, "max_page_count", pages)
}

fn pages(connection: &Connection, pragma: &str) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

/// Within the limit.
fn has_enough(connection: &Connection) -> bool {
    let free = || {
        let (limit, used) = (pages(connection, "max_page_count")?, pages(connection, "page_count")?);
        let free = limit.saturating_sub(used).saturating_add(pages(connection, "freelist_count")?);
        Ok::<_, rusqlite::Error>(free >= ENOUGH.min(limit / 4))
    };
    free().unwrap_or(false)
}

/// The second one comes from the index of the log, which is shared memory.
fn is_want_of_space(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.code == ErrorCode::DiskFull || error.extended_code == ffi::SQLITE_IOERR_SHMSIZE)
}
