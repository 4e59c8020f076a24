//! Whether there is space for more.
//!
//! A commit that finds no space fails with everything in it, also with what would have made space. So once that has
//! happened, writes that need more of it should not be tried until there is some again; who writes what is for the owner
//! of the store to know. There are two ways to run out: the file has met its limit, which passes when enough of it is
//! free again; or the disk is full, which is found out by trying.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::file::PAGE;

/// Pages that are free in a file with room: 1 MiB, but not more than a quarter of its limit.
const ENOUGH: u32 = (1 << 20) / PAGE;
/// How long a full disk is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// What is known of the space that a store has left. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Enough,
    LimitMet,
    DiskFull(Instant),
}

impl Room {
    /// True while writes that need more space would probably fail.
    pub fn is_short(&self) -> bool {
        match *self.state() {
            State::Enough => false,
            State::LimitMet => true,
            State::DiskFull(since) => since.elapsed() < RETRY,
        }
    }

    /// True while only removing something makes room.
    pub fn has_met_limit(&self) -> bool {
        matches!(*self.state(), State::LimitMet)
    }

    /// A write found no space.
    pub(crate) fn ran_out(&self, connection: &Connection) {
        *self.state() = match has_enough(connection) {
            Ok(true) | Err(_) => State::DiskFull(Instant::now()),
            Ok(false) => State::LimitMet,
        };
    }

    /// A commit may have made space.
    pub(crate) fn reconsider(&self, connection: &Connection) {
        if self.has_met_limit() && has_enough(connection).is_ok_and(|enough| enough) {
            *self.state() = State::Enough;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_enough(connection: &Connection) -> rusqlite::Result<bool> {
    let pages = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0));
    let (limit, used) = (pages("max_page_count")?, pages("page_count")?);
    let free = limit.saturating_sub(used).saturating_add(pages("freelist_count")?);
    Ok(free >= ENOUGH.min(limit / 4))
}
