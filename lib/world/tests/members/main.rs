//! Owners, relays and up to fifty members of one group: random schedules with crashes, and relays that lie.
//!
//! The machines of `lib/group` meet over connections that are taken for granted, which have a world of their own: letters
//! arrive in their order, late, and again after a crash, or the connection is cut. That makes room for many members.
//!
//! | module | holds |
//! |---|---|
//! | [`schedules`] | everything follows from a seed |
//! | [`vices`] | the threat model line by line: one relay, one vice; and vices that the judgement must find out |
//! | [`plan`] | what is drawn from it |
//! | [`stage`] | the clock, crashes, letters |
//! | [`owner`], [`member`], [`relay`] | the programs, which run the tasks of their machines as the tools and `lib/relay` do |
//! | [`pipes`], [`links`] | connections, and what stands behind links |
//! | [`lies`] | what hostile relays do |
//! | [`truth`] | what was really said and ordered |
//! | [`checks`] | what must hold at all times and in the end, by the lines of the threat model |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod checks;
mod lies;
mod links;
mod member;
mod owner;
mod pipes;
mod plan;
mod relay;
#[path = "../../../group/tests/relay/members/memory.rs"]
#[expect(dead_code, reason = "what only the tests of lib/group need")]
mod rows;
mod schedules;
mod stage;
mod truth;
mod vices;
