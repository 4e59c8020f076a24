//! The agent layer on the wire: connection links and short link data, without I/O.
//!
//! Floor 2. A *full link* says everything that is needed to connect: queues, keys, versions. A *short link* names a
//! record on an SMP server that holds the full link and more, encrypted under a key that only the link carries.
//!
//! | module | holds |
//! |---|---|
//! | [`full_link`] | invitations and contact addresses, as text and binary |
//! | [`ratchet_offer`] | the keys that an invitation offers for the double ratchet |
//! | [`ratchet_keys`] | the keys that both sides send to start one |
//! | [`agreement`] | from these keys to a ratchet on each side |
//! | [`ratchet`] | the double ratchet: encrypting, decrypting, its stored form |
//! | [`key_source`] | where fresh keys come from |
//! | [`short_link`] | the short forms: `i` invitation, `a` contact, `c` channel, `g` group, `r` relay |
//! | [`link_key`] | what a link key is the hash of, and what is derived from it |
//! | [`link_data`] | the two plain records behind a short link: fixed data and user data |
//! | [`owner`] | who may sign user data besides the root key, and the chain that says so |
//! | [`signed_item`] | one record signed, padded and encrypted |
//! | [`link_read`] | from what a server returned to data that may be used, in the mandatory order |
//! | [`prepared_link`] | a contact link that is known before anything is sent |
//! | [`version`] | the versions we speak |
//!
//! The protocol was designed by the authors of [SimpleX](https://github.com/simplex-chat/simplexmq).

pub mod agreement;
pub mod full_link;
pub mod key_source;
pub mod link_data;
pub mod link_key;
pub mod link_read;
pub mod owner;
pub mod prepared_link;
pub mod ratchet;
pub mod ratchet_keys;
pub mod ratchet_offer;
pub mod short_link;
pub mod signed_item;
pub mod version;
