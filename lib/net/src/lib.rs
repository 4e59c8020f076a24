//! SMP over sockets: server identity, TLS profile, handshake, blocks, and the client.
//!
//! Floor 4, and the only place below the servers that has a runtime. What is on the wire is decided on the floors
//! below; here it meets sockets, the clock and timeouts. Randomness still comes from the caller.
//!
//! | module | holds |
//! |---|---|
//! | [`identity`] | the certificates that a server is, in memory and in files |
//! | [`tls`] | the TLS profile of both sides and the session ID that binds SMP to it |
//! | [`handshake`] | from a TCP connection to a session, on both sides |
//! | [`block_stream`] | payloads in blocks over a session |
//! | [`client`] | commands and events of one session |
//! | [`steady`] | a client that connects again and subscribes again |
//! | [`agent`] | any number of agent connections over any number of servers, durably |
//! | [`control_socket`] | where the operator of a service gives orders |

pub mod agent;
mod blame;
pub mod block_stream;
pub mod client;
pub mod control_socket;
pub mod handshake;
pub mod identity;
mod shared_random;
mod socket;
pub mod steady;
pub mod tls;

pub use blame::Blame;
pub use shared_random::SharedRandom;
