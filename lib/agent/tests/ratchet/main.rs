//! Key agreement and the double ratchet: the published vectors, the lines of the conformance checklist, and properties.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../../../codec/tests/vectors/mod.rs"]
mod published;

mod conformance;
mod hostile;
mod properties;
mod replay;
mod support;
mod vectors;
