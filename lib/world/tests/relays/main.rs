//! One owner and its relays in the world: random schedules with crashes, servers and relays that lie, and strangers.
//!
//! | module | holds |
//! |---|---|
//! | [`schedules`] | everything follows from a seed; what must hold at all times and in the end |
//! | [`broken`] | owners, relays and hosts that break a rule, which must be found out |
//! | [`owner`], [`relay`] | the programs, which run the tasks of their machines as the tools and `lib/relay` do |
//! | [`stranger`] | somebody who bothers relays |
//! | [`lies`] | what relays say that is not so |
//! | [`ledger`] | what everybody did, so that it can be judged without asking a machine |
//! | [`checks`] | the judgement |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod actor;
mod broken;
mod checks;
mod ledger;
mod lies;
mod owner;
mod relay;
mod schedules;
mod stage;
mod stranger;
