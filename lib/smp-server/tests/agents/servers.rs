//! Servers that go away and come back.
