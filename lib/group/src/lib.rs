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
//! | [`owner_list`] | the owners of a group, in the order in which they let each other in |
//! | [`revision`], [`link_merge`] | several owners who write one group link: what came after what, and what becomes of both |
//! | [`binding`] | how a relay link says which group it serves |
//! | [`check`] | named checks with their results, for reports |
//! | [`body`] | bodies of agent messages, and what is said while a connection is made |
//! | [`element`] | what bodies are made of: messages, signed messages, forwards, chunks |
//! | [`message`] | one message as JSON, and with its exact bytes |
//! | [`event`] | what happens in a group, with parameters |
//! | [`content`], [`card`] | what members say, and groups that they share |
//! | [`member`], [`preferences`] | roles, profiles of members, which features are on |
//! | [`message_id`] | names of messages |
//! | [`chunk`] | files that come in the connection itself |
//! | [`signature`] | what is signed, and with which key |
//! | [`keys`] | which key verifies what whom says |
//! | [`verification`] | whether a message is believed, and how much |
//! | [`content_digest`] | whether copies of a message say the same |
//! | [`roster`], [`roster_blob`], [`roster_transfer`] | members with rights, their list on the wire, the list on its way |
//! | [`transcript`] | what owners publish of how much was said, so that members find what relays withhold |
//! | [`security_code`] | the number that two members compare |
//! | [`relay`] | a relay: invited by owners it serves groups, or refuses to |
//! | [`extension`] | what we do beyond the protocol |
//! | [`owner`] | the owner of a group: invites relays, checks them, publishes them, removes them |
//! | [`membership`] | a member of a group: joins through relays, compares what they deliver, says something |
//! | [`version`], [`limits`] | what we speak, and how long things may be |
//! | [`step`] | the steps of the protocol, one file for each |
//! | [`document`] | the JSON documents that carry state from step to step |
//!
//! The protocol was designed by the authors of [SimpleX Chat](https://github.com/simplex-chat/simplex-chat).

pub mod binding;
pub mod body;
mod bytes;
pub mod card;
pub mod check;
pub mod chunk;
pub mod content;
pub mod content_digest;
pub mod document;
pub mod element;
pub mod event;
pub mod extension;
pub mod identity;
mod json;
pub mod keys;
pub mod limits;
mod link_history;
pub mod link_merge;
mod link_state;
pub mod member;
pub mod membership;
pub mod message;
pub mod message_id;
pub mod owner;
pub mod owner_list;
pub mod preferences;
pub mod profile;
pub mod relay;
mod retry;
pub mod revision;
pub mod roster;
pub mod roster_blob;
pub mod roster_transfer;
pub mod security_code;
pub mod signature;
pub mod step;
mod text;
pub mod transcript;
pub mod user_data;
pub mod verification;
pub mod version;
mod versioned;
mod wire_name;
