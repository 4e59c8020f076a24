//! What the `conn-` binaries share: a connection in a state file, worked on by several programs.
//!
//! | module | holds |
//! |---|---|
//! | [`documents`] | what goes to stdout and into state files |
//! | [`keep`] | the state file, as the agent wants its connections kept |
//! | [`session`] | one run: steps on the file, without a network |
//! | [`running`] | the part of a run in which servers are talked to |
//! | [`link`], [`address`], [`args`] | links to join and to make, arguments |
//! | [`fault`] | what failures mean for whoever runs the program |

pub mod address;
pub mod args;
mod describe;
pub mod documents;
pub mod fault;
mod handshake;
pub mod keep;
pub mod link;
pub mod running;
pub mod session;
