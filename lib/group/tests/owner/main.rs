//! The owner of a group and its relays: invitations, publishing, removal, recovery, and relays that lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod challenge;
mod documents;
mod hearing;
mod history;
mod hostile;
mod invitation;
mod orders;
mod privacy;
mod properties;
mod publishing;
mod recovery;
mod removal;
mod sharing;
mod speaking;
mod support;
mod transcript;
