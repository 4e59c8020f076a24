//! The agent layer on the wire: connection links, short link data, the double ratchet and its messages, without I/O.
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
//! | [`envelope`] | what goes through a queue: confirmations, messages, invitations, ratchet keys |
//! | [`message`] | what is said inside the ratchet |
//! | [`message_chain`] | numbers and hashes of messages, and what a recipient finds of them |
//! | [`receipt`] | which messages arrived |
//! | [`connection`] | both sides of a connection, and contact addresses: the steps of the protocol |
//! | [`prepared_invitation`] | an invitation that is known before its queue exists |
//! | [`time`] | moments, as callers give them |
//! | [`padding`] | padded sizes and what fits |
//! | [`compressed`] | the container in which applications compress |
//! | [`non_empty`] | lists as the wire counts them |
//! | [`version`] | the versions we speak |
//!
//! The protocol was designed by the authors of [SimpleX](https://github.com/simplex-chat/simplexmq).

pub mod agreement;
pub mod compressed;
pub mod connection;
pub mod envelope;
pub mod full_link;
pub mod key_source;
pub mod link_data;
pub mod link_key;
pub mod link_read;
pub mod message;
pub mod message_chain;
pub mod non_empty;
pub mod owner;
pub mod padding;
pub mod prepared_invitation;
pub mod prepared_link;
pub mod ratchet;
pub mod ratchet_keys;
pub mod ratchet_offer;
pub mod receipt;
pub mod short_link;
pub mod signed_item;
pub mod time;
pub mod version;
