//! Durable state: an embedded store with group commit.
