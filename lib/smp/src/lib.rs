//! SMP on the wire, versions 15 to 18: addresses, handshake, blocks, commands, responses and errors, without I/O.
//!
//! Floor 1. The protocol was designed by the authors of [SimpleX](https://github.com/simplex-chat/simplexmq).

pub mod id;
