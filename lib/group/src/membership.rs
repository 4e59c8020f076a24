//! A member of a group: which relays it joins through, what it believes of what they deliver, and what it says.
//!
//! A [`Membership`] is everything that a member knows of a group that it joined, except single messages and members:
//! these are [records](Records), of which a step reads what it needs. It is pure, as connections are: what the member
//! wants, what came through a connection and what became of a task go in; out come
//!
//! * the state, which is a document ([`MemberDocument`](crate::document::MemberDocument)), and [changes](Change) of
//!   records, both to be durable before anything else,
//! * [`due`](Membership::due): tasks, which follow from the state and may be done twice,
//! * [`Event`]s, to be shown.
//!
//! # Joining
//!
//! ```text
//! verified group link ─▶ join ─▶ for each relay: read relay link ── open connection B with x.member
//!                                 ◀─ x.grp.link.inv ─ same group? ─ x.info ─▶ connected
//!                                 pair1: open the connection for content in the same way
//! ```
//!
//! Relays are independent of each other: the first one is enough to take part, the others go on. All of them get the
//! same member ID and key, made for this group alone, and a name that says nothing unless the member wants to be known.
//! Nothing is sent to a relay before its link was read and found to be one of this group.
//!
//! # What is believed
//!
//! | from | what |
//! |---|---|
//! | the group link | owners and their keys, the profile, which relays there are |
//! | owners' signatures | roles, members' keys, removals, the end of the group |
//! | a relay alone | names of members, keys of observers until another key shows up, its own leaving |
//! | several relays | what was said: copies are compared, and differences are told, not decided |
//!
//! What a member says is written down in `compose`, what it decides about others in `order`; owners use the same.
//!
//! An owner's word that the profile or the relays changed is only a reason to read the group link, because relays can
//! repeat old words. Its server can return old data as well; data that was seen before and followed by other data is
//! not taken. It is read again every six hours, when this program begins to run, and when no relay is left.
//!
//! # Recovery
//!
//! | cut off | goes on |
//! |---|---|
//! | before the relay was asked | its link is read again |
//! | while it is asked | the same connection, the same member ID and key |
//! | while something is said | it waits for each relay that does not have it |
//! | the last relay is lost | the group link is read until it lists one that lets the member in |

mod answer;
mod comparison;
mod compose;
mod due;
pub mod error;
pub mod event;
mod finish;
mod health;
mod hear;
mod item;
mod kept;
mod link;
mod order;
mod people;
mod permission;
mod process;
mod reactions;
mod receive;
mod records;
mod relay;
mod status;
mod task;
mod transcript;
mod view;

use std::collections::BTreeMap;
use std::time::Duration;

use agent::link_read::RetrievedLinkData;
use agent::time::{Env, Time};

pub use self::comparison::{Copy, Delivered, Difference, Mark, MessageRecord};
pub use self::compose::{FileReference, Saying, Speech, Spoken, Voice};
pub use self::error::{MemberError, OrderFault, RecordError, SpeechFault, WrongLink};
pub use self::event::{Event, Heard};
pub use self::health::{Health, PATIENCE};
pub use self::item::{DELETION_WINDOW, Item, Touch};
pub use self::order::{Assurance, Order, Ordered};
pub use self::people::{MemberRecord, Standing};
pub use self::reactions::Reactor;
pub use self::receive::Received;
pub use self::records::{Change, RecordKey, Records};
pub use self::relay::{ContentLine, RelayNumber, RelayRecord};
pub use self::status::{EndReason, GoneReason, Status};
pub use self::task::{Line, Outcome, Task, TaskId};
pub use self::transcript::{Compared, Finding, MarkStatus, RelayName};
pub use self::view::KnownGroup;

pub(crate) use self::answer::read_answer;
pub(crate) use self::compose::{Composed, Composition, compose_with};
pub(crate) use self::health::Waiting;
pub(crate) use self::hear::Overheard;
use self::link::LinkWatch;
pub(crate) use self::order::{Given, give};
pub(crate) use self::relay::{KnownRelay, admit as admit_relay};
pub(crate) use self::transcript::MarkWatch;
pub(crate) use self::view::{Demand, Me, Source, View, moment, seconds};
use crate::body::ConnectionInfo;
use crate::document::ConnectionRecords;
use crate::event::{Event as ChatEvent, Join};
use crate::extension::{Extension, Extensions};
use crate::identity::{GroupId, MemberId, MemberKey, MemberPublicKey};
use crate::member::Role;
use crate::owner::{ConnectionName, Persona};
use crate::retry::Retry;
use crate::roster::Roster;
use crate::signature::Signer;
use crate::step::link_verify::VerifiedGroupLink;

/// What we do beyond the protocol, as far as relays have to know.
const EXTENSIONS: [Extension; 3] = [Extension::PairedConnections, Extension::SignedJoin, Extension::GroupInFixedData];

/// How many messages may wait for one relay.
const MAX_UNSENT: usize = 1000;

/// A group as one of its members knows it.
#[derive(Debug, Clone)]
pub struct Membership {
    view: View,
    persona: Persona,
    relays: Vec<RelayRecord>,
    next_relay: u32,
    next_unsent: u64,
    link: LinkWatch,
    ended: Option<EndReason>,
    retries: BTreeMap<TaskId, Retry>,
    /// Whether this run takes messages until it is stopped.
    goes_on: bool,
    /// The agent's, and kept with the rest: what a member says and that it said so become durable together.
    connections: ConnectionRecords,
}

impl Membership {
    /// Joins a group whose link passed every check, and was read as `read` a moment ago. Nothing is asked of anybody
    /// yet.
    pub fn join(
        group: &VerifiedGroupLink,
        read: &RetrievedLinkData,
        persona: Persona,
        env: &mut Env<'_>,
    ) -> Result<Self, MemberError> {
        WrongLink::check(group.link().kind)?;
        if group.relay_links().is_empty() {
            return Err(MemberError::NoRelays);
        }
        let me = Me { id: MemberId::random(env.random), key: MemberKey::generate(env.random), role: Role::Observer };
        let mut membership = Membership {
            view: View::new(me, group.into(), env.now),
            persona,
            relays: Vec::new(),
            next_relay: 1,
            next_unsent: 1,
            link: LinkWatch::new(read, group.revision().as_ref(), env.now),
            ended: None,
            retries: BTreeMap::new(),
            goes_on: false,
            connections: ConnectionRecords::default(),
        };
        // The request must fit: nobody else checks the length of the name.
        membership.request(&membership.view.me.id, Line::Main).to_bytes()?;
        membership.reconcile(group.relay_links(), &mut Vec::new());
        Ok(membership)
    }

    /// A run begins: the group link is read, and what relays owe counts from now.
    pub fn open(&mut self, now: Time) {
        self.view.opened = now;
        self.link.look_now(now);
        self.retries.clear();
    }

    /// For so long posts that owners counted may be on their way, in this run; otherwise it is [`PATIENCE`].
    pub fn set_patience(&mut self, patience: Duration) {
        self.view.patience = patience;
    }

    /// This run takes messages until it is stopped. Only then are second connections opened: relays wait for them, and
    /// not for long.
    pub fn go_on(&mut self) {
        self.goes_on = true;
    }

    /// The group.
    pub fn group(&self) -> &KnownGroup {
        &self.view.group
    }

    /// The group's name.
    pub fn group_id(&self) -> GroupId {
        self.view.group.group_id
    }

    /// The member's name in the group.
    pub fn id(&self) -> &MemberId {
        &self.view.me.id
    }

    /// Checks what the member signs.
    pub fn key(&self) -> MemberPublicKey {
        self.view.me.key.public()
    }

    /// What the member may do.
    pub fn role(&self) -> Role {
        self.view.role()
    }

    /// How relays and members see the member.
    pub fn persona(&self) -> &Persona {
        &self.persona
    }

    /// The members with rights.
    pub fn roster(&self) -> &Roster {
        &self.view.roster
    }

    /// Why the membership is over, if it is.
    pub fn ended(&self) -> Option<EndReason> {
        self.ended
    }

    /// All relays that were joined, or are to be.
    pub fn relays(&self) -> &[RelayRecord] {
        &self.relays
    }

    /// A relay.
    pub fn relay(&self, number: RelayNumber) -> Option<&RelayRecord> {
        self.relays.iter().find(|record| record.number == number)
    }

    /// The relay with this name in the group.
    pub fn relay_with_id(&self, id: &MemberId) -> Option<&RelayRecord> {
        self.relays.iter().rev().find(|record| record.id() == Some(id))
    }

    /// How well a relay delivers.
    pub fn health(&self, relay: &MemberId) -> Option<&Health> {
        self.view.sources.get(relay).map(|source| &source.health)
    }

    /// What is wrong with what all relays together delivered, by owners' counts.
    pub fn findings(&self) -> Vec<Finding> {
        self.view.marks.findings()
    }

    /// How many posts that owners counted are still waited for.
    pub fn outstanding(&self) -> usize {
        self.view.marks.outstanding()
    }

    /// The newest mark of each owner.
    pub fn marks(&self) -> Vec<MarkStatus> {
        self.view.marks.statuses()
    }

    /// How many messages some relay, or this one, has not delivered yet.
    pub fn awaited(&self, relay: Option<&MemberId>) -> usize {
        self.view.awaited.count(relay)
    }

    /// When the group link is read again, if nothing else is a reason to.
    pub fn link_due(&self) -> Time {
        self.link.next
    }

    /// Whether messages can come and go.
    pub fn is_usable(&self) -> bool {
        self.relays.iter().any(RelayRecord::is_connected)
    }

    /// What the agent keeps of the connections with relays.
    pub fn connections(&self) -> &ConnectionRecords {
        &self.connections
    }

    /// The same, for the agent to change.
    pub fn connections_mut(&mut self) -> &mut ConnectionRecords {
        &mut self.connections
    }

    fn record(&self, number: RelayNumber) -> Result<&RelayRecord, MemberError> {
        self.relay(number).ok_or(MemberError::Task)
    }

    fn record_mut(&mut self, number: RelayNumber) -> Result<&mut RelayRecord, MemberError> {
        self.relays.iter_mut().find(|record| record.number == number).ok_or(MemberError::Task)
    }

    /// The relay at the other end of a connection, and which connection it is.
    fn end_of(&self, connection: &ConnectionName) -> Result<(RelayNumber, Line), MemberError> {
        let found = self.relays.iter().find_map(|record| Some((record.number, record.line(connection)?)));
        found.ok_or_else(|| MemberError::UnknownConnection(connection.clone()))
    }

    fn signer(&self) -> Signer<'_> {
        Signer { group: &self.view.group.group_id, member: &self.view.me.id, key: &self.view.me.key }
    }

    /// What a relay is asked: the same for each connection with it, except for what that is for.
    fn request(&self, relay: &MemberId, line: Line) -> ConnectionInfo {
        let join = Join {
            profile: self.persona.profile().clone(),
            new_member_id: self.view.me.id.clone(),
            new_member_key: self.view.me.key.public(),
            via_relay: Some(relay.clone()),
            ext: Extensions(EXTENSIONS.to_vec()),
            purpose: line.purpose(),
        };
        ConnectionInfo::signed(ChatEvent::Member(join.into()), &self.signer())
    }
}
