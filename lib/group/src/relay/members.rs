//! The members of a served group: who joins, what they are told, and how everything that is said reaches all of them.
//!
//! A group may have a hundred thousand members, so nothing of this is in memory. Everything is in rows behind
//! [`ReadRows`] and [`Rows`], which are read by key or in pages, and the group itself is a [`GroupView`] that the relay
//! hands out. A step reads rows, changes rows and tells [`MemberEvent`]s; the caller makes all rows of a step durable
//! together, before it acknowledges what led to the step.
//!
//! # Joining
//!
//! ```text
//!  x.member ──▶ (waits while nobody is admitted) ──▶ Admitted ──answer, x.info──▶ Connected ──▶ introduced ──▶ caught up
//!      └─▶ dismissed                                                                  └──leaves, is removed──▶ Parting ──▶ Gone
//! ```
//!
//! Whoever joins is told, in this order: who the relay is, what an owner signed last about the group, who the owners
//! are, the roster, who moderates, and what was said lately. What is said meanwhile comes after that.
//!
//! # Forwarding
//!
//! Messages stand in two [`Lane`]s, each of them one sequence: one for everybody, one for the chats with moderators. A
//! *job* is some messages at the front of a lane. It is sent to members page by page, in the order of their numbers; the
//! lane remembers up to which number, so that a relay that is killed goes on where it was. No message is ever copied for
//! a member, and only those who miss something have a row that says so:
//!
//! * whoever cannot take a page, because its queue is full, is *behind* from that job on. Jobs pass it over;
//! * it gets what it missed by itself, until it has reached the job under way, and is then no longer behind;
//! * whoever joins is behind from the beginning, until it is introduced.
//!
//! [`next_dispatch`] says what is to be sent next in a group. The caller sends it, and [settles](Settlement::settle) it
//! together with what the connections keep of it: then each message is handed to each connection exactly once, whenever
//! the relay dies. There is never more than one dispatch of a group under way; different groups do not wait for each
//! other.
//!
//! # Profiles of senders
//!
//! A member hears of a sender with the first message that it gets of it. Because everybody gets the same sequence, that
//! needs no list of who was told about whom: whoever was there when the sender last spoke was told.

mod admission;
mod behind;
mod composer;
mod dispatch;
mod event;
mod hall;
mod inputs;
mod introduction;
mod member;
mod message;
mod page;
mod parting;
mod persona;
mod rights;
mod rows;
mod sequence;
mod speaking;
mod turn;
mod view;

pub(in crate::relay) use self::admission::answer_owner;
pub use self::admission::{JoinQuestion, JoinRequest, questions};
pub use self::behind::Behind;
pub use self::dispatch::{
    Answer, AnswerOutcome, Bodies, Deletion, Dispatch, DispatchKind, Handover, HandoverOutcome, Settlement, Work,
    next_dispatch,
};
pub use self::event::{JoinDismissal, MemberEvent, Parting};
pub use self::hall::{Hall, Lane, LaneState};
pub use self::inputs::{Members, end, forget_old};
pub use self::introduction::Stage;
pub use self::member::{Burst, Link, LinkState, Member, MemberState};
pub use self::message::StoredMessage;
pub use self::persona::Persona;
pub use self::rows::{MalformedRow, ReadRows, Rows};
pub use self::view::GroupView;
