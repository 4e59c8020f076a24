//! Whether connections in memory are what is kept, and ours to change.
//!
//! ```text
//! Released ──work──▶ Acquiring ──▶ (Loading what others changed) ──▶ Held ──idle──▶ Released
//! Held ──a commit failed──▶ Failing, until no commit is under way ──▶ Resting ──▶ Loading what was lost ──▶ Held
//! ```

use std::collections::BTreeSet;
use std::pin::Pin;

use agent::connection::keep::{ConnectionId, Record};
use tokio::time::Sleep;

use super::rounds::BoxFuture;
use super::table::Slot;

/// How the task stands to its connections.
pub(super) enum Hold<E> {
    /// Idle: others may change them.
    Released,
    /// There is work, and others may still be at theirs.
    Acquiring(BoxFuture<Result<Vec<ConnectionId>, E>>),
    /// Ours, and as they are kept.
    Held,
    /// A commit failed; those after it will too.
    Failing,
    /// Until the next try.
    Resting(Pin<Box<Sleep>>),
    /// Reading back what is kept of these.
    Loading(Vec<Slot>, BoxFuture<Result<Vec<Vec<Record>>, E>>),
}

/// Connections in memory that are not as they are kept.
pub(super) type Stale = BTreeSet<Slot>;
