//! A relay: invited by owners it serves groups, or refuses to.
//!
//! A [`Relay`] is everything that one relay knows of the groups that it serves, served or refused. It is pure, like
//! [`agent::connection`]: what owners say, what servers answer and what the operator wants goes in, the state changes,
//! and three things come out.
//!
//! * [`take_changes`](Relay::take_changes): what is to be made durable, all together and before anything else.
//! * [`due`](Relay::due): tasks. They follow from the state; after a crash the same tasks are due again, and running one
//!   twice is harmless. [`finish`](Relay::finish) takes the outcome.
//! * [`Event`]s for whoever runs the relay.
//!
//! # Life
//!
//! Each invitation makes a [`Service`], unless it repeats an earlier one: what a group link and the relay's member ID in
//! it name is one service, has one key and one relay link, however often an owner asks.
//!
//! ```text
//!  request ──▶ Invited ──read group link──▶ (checked) ──ask policy──▶ (link planned) ──create──▶ LinkCreated ──answer──▶
//!                 └────────refused────────────▶ Rejected
//!  Accepted ──roster──▶ Acknowledged ──listed in group link──▶ Active
//!      │                     │                                  │
//!      └─────────────────────┴── removed, absent, replaced … ───┴──▶ Inactive
//!      └─────────────────────┴── the operator leaves ───────────┴──▶ Rejected ──allowed──▶ Inactive
//! ```
//!
//! Nobody proves to be an owner when it sends an invitation. What counts is that the group link names the owner, and in
//! the end that an owner lists the relay link there; so a service replaces another one of the same group only when it is
//! listed. What comes through an owner's connection counts if an owner signed it, and a further connection for the same
//! service never displaces the first one.
//!
//! # What the caller does
//!
//! The caller has an agent with a contact address, and names connections as [`ConnectionName`] says. Requests to the
//! address go to [`requested`](Relay::requested), what owners say to [`informed`](Relay::informed),
//! [`connected`](Relay::connected) and [`received`](Relay::received), which may all be told the same twice. It calls
//! [`elapsed`](Relay::elapsed) when [`next_due`](Relay::next_due) says so. Connections are made without post-quantum
//! encryption, as everywhere in groups with relays.
//!
//! # Members
//!
//! A relay link is a contact address of its own. Members ask there, and there may be a hundred thousand of them: they are
//! no part of the machine's state, but rows that [`members`] reads and changes, with a [`view`](Relay::view) of the group.
//! The caller hands over what events tell for them: what owners say, which owners are connected, other rosters, and the
//! end of a service with its [`farewell`](Service::farewell).

mod address;
mod check;
mod due;
mod event;
mod group;
mod index;
mod inputs;
mod invitation;
mod journal;
mod link;
pub mod members;
mod name;
mod operator;
mod owner_join;
mod record;
mod roster;
mod running;
mod service;
mod settings;
mod state;
mod status;
mod talk;
mod task;
mod test_address;
mod watch;
mod work;

pub use self::address::{AddressError, PreparedAddress};
pub use self::check::GroupRefusal;
pub use self::event::{Dismissal, Event};
pub use self::group::{ServedGroup, ServedOwner};
pub use self::invitation::Invitation;
pub use self::journal::{LogEntry, LogEvent, MemberChange};
pub use self::name::{ConnectionName, ServiceId};
pub use self::operator::{CommandError, GroupSelector};
pub use self::record::{Change, LoadError, RecordKey};
pub use self::roster::StoredRoster;
pub use self::service::Service;
pub use self::settings::{AddressKey, RelayIdentity, RelaySettings};
pub use self::state::Relay;
pub use self::status::{IllegalStep, Inactivity, Rejection, Status};
pub use self::task::{Outcome, PolicyQuestion, Task, TaskId, Verdict};
