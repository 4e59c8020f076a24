//! A member: how it joins through relays, and what it believes of what they deliver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod documents;
mod hostile;
mod joining;
mod orders;
mod properties;
mod reading;
mod restoring;
mod rosters;
mod speaking;
mod support;
mod transcript;
