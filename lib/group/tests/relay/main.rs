//! The relay's side of groups: invitations, relay links, rosters, monitoring, removal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod ending;
mod flood;
mod hostile;
mod inviting;
mod members;
mod monitoring;
mod properties;
mod rosters;
mod support;
mod working;
