//! Links and link data: the published vectors, the lines of the conformance checklist, and properties.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod conformance;
mod properties;
mod support;
mod vectors;
