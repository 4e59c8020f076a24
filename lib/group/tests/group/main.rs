//! Groups and their links: identity, profiles, creation, verification, documents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod contents;
mod creation;
mod documents;
mod identity;
mod properties;
mod requirements;
mod support;
mod verification;
