//! The documents of the example tools.
#![allow(dead_code, reason = "not every tool makes every document")]

use cli::{Bytes, Document, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A ticket for one person.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Ticket {
    /// Who may enter.
    pub(crate) name: String,
    /// The ticket's number.
    pub(crate) number: Bytes<4>,
    /// First second at which it is no longer good.
    pub(crate) expires_at: u64,
    /// Proves at the door that it is yours.
    pub(crate) key: Secret<32>,
}

impl Document for Ticket {
    const TYPE: &'static str = "ticket";
    const V: u32 = 1;
    const SECRETS: &'static [&'static str] = &["key"];
}

/// What the door says.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Entry {
    /// Who entered.
    pub(crate) name: String,
    /// When.
    pub(crate) entered_at: u64,
}

impl Document for Entry {
    const TYPE: &'static str = "entry";
    const V: u32 = 1;
}
