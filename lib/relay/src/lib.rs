//! A relay service: the effects of [`group::relay`].
//!
//! Floor 5. The relay's machine is pure: it says what is to be kept, which tasks are due, and takes their outcomes. Here
//! what it says is made durable, tasks are run, and what owners and servers say is handed to it, in this order and no
//! other:
//!
//! ```text
//! take in: events of the agent, outcomes, orders, time ─▶ steps ─▶ one commit ─▶ acknowledge, answer, run due tasks
//! ```
//!
//! Machine, members and connections share one store. What is delivered to members is kept together with what connections
//! take. Everything else needs no common commit: whatever an owner or a member said is acknowledged to its
//! server only after the machine's changes are durable, and every task may be done twice, because it names the connection
//! or the link that it is about. A store that fails ends the service; after a restart it goes on from what is durable.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | what the operator chooses |
//! | [`service`] | starting, the loop, ending in good order |
//! | [`store`] | records, members, messages, and the log that can be exported |
//! | `halls` | groups at work: what is to be sent to members next |
//! | `keep` | connections, kept together with what follows from what they took |
//! | [`links`] | reading group links from servers |
//! | [`observe`] | showing what happens to whoever records it |
//! | [`policy`] | the operator's program that is asked about invitations |
//! | [`control`] | the operator's orders, through a Unix socket |
//! | [`http`] | metrics, health and a status page |
//! | `standing` | how the relay stands with each group |

mod address;
pub mod config;
pub mod control;
mod effects;
mod format;
mod halls;
pub mod http;
mod joins;
mod keep;
mod keeper;
pub mod links;
mod members;
mod metrics;
pub mod observe;
pub mod policy;
mod rows;
pub mod service;
mod standing;
pub mod store;

pub use group::relay::{ConnectionName, RelayIdentity, RelaySettings, ServiceId};
