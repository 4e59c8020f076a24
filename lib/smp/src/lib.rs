//! SMP on the wire, versions 15 to 18: addresses, handshake, blocks, commands, responses and errors, without I/O.
//!
//! Floor 1. From the outside in: [`handshake`] agrees on a version and keys; [`block`] turns payloads into blocks of
//! 16384 bytes; a payload is a batch of [`transmission`]s; a transmission carries a [`command`] or a [`response`].
//! Message bodies have two more layers: [`delivery`] between server and recipient, [`envelope`] between sender and
//! recipient. Versions below 15 and above 18 are refused.
//!
//! The protocol was designed by the authors of [SimpleX](https://github.com/simplex-chat/simplexmq).

pub mod address;
pub mod block;
pub mod command;
pub mod delivery;
pub mod envelope;
pub mod error;
pub mod handshake;
pub mod id;
pub mod proxy;
pub mod queue_address;
pub mod response;
pub mod service;
pub mod transmission;
pub mod version;
