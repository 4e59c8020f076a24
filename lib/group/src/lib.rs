//! Groups and channels: profiles, owners, group links and their verification, without I/O.
//!
//! Floor 3. A group is named by the hash of a root key. Its owner publishes a *group link*, whose fixed data holds the
//! root key and the group ID, and whose user data holds owners, relays and the profile, signed by an owner. Whoever
//! has the link can check all of it without trusting the server that keeps it.
//!
//! | module | holds |
//! |---|---|
//! | [`identity`] | the keys and IDs that a group begins with |
//! | [`profile`] | what a group says about itself |
//! | [`user_data`] | the payloads of group links and relay links |
//! | [`binding`] | how a relay link says which group it serves |
//! | [`check`] | named checks with their results, for reports |
//! | [`step`] | the steps of the protocol, one file for each |
//! | [`document`] | the JSON documents that carry state from step to step |
//!
//! The protocol was designed by the authors of [SimpleX Chat](https://github.com/simplex-chat/simplex-chat).

pub mod binding;
mod bytes;
pub mod check;
pub mod document;
pub mod identity;
pub mod profile;
pub mod step;
pub mod user_data;
