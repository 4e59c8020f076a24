//! The owner of a group: which relays it invites, what it checks before it publishes them, and what it tells them.
//!
//! A [`GroupOwner`] is everything that the owner knows of a group whose link exists. It is pure, as connections are: what
//! the owner wants, what came through a connection and what became of a task go in; out come
//!
//! * the state, which is a document ([`GroupDocument`](crate::document::GroupDocument)) and is to be durable before
//!   anything else,
//! * [`due`](GroupOwner::due): tasks, which follow from the state and may be done twice,
//! * [`Event`]s, to be shown, and [changes](crate::membership::Change) of records: single messages and members are kept
//!   as a [`Membership`](crate::membership::Membership) keeps them.
//!
//! # Steps of an invitation
//!
//! ```text
//!  invite ─▶ New ── read address ── open connection A with x.grp.relay.inv ─▶ Invited
//!  x.grp.relay.acpt ─ read relay link ─ every check passed ─▶ Accepted ── x.ok ── connected
//!  x.grp.roster ─▶ ◀─ x.grp.roster.ack ─▶ Acknowledged ── link written, and lists the relay ─▶ Active
//!  x.grp.info ─▶ Active, notified ◀─ x.grp.relay.ready ─▶ Active, confirmed        (extension ready1)
//! ```
//!
//! Relays are independent of each other: none waits for another, and the link is written as soon as one of them may be
//! listed. One write is under way at a time; what changes meanwhile goes into the next one, all together.
//!
//! The connection of a relay must be made without post-quantum encryption. Its name, and that of its queues, belongs to
//! this relay and this group alone; see [`persona`] for what relays learn of the owner.
//!
//! # Recovery
//!
//! | cut off | goes on |
//! |---|---|
//! | before the relay was asked | the choice is kept as New; the address is read again |
//! | while it is asked | the same connection, the same member ID: a second request cannot make a second group |
//! | before its answer | nothing is lost: the answer waits in the connection |
//! | after its answer | the relay link is kept, and read again |
//! | while the link is written | it is written again with the newest contents; with several owners, after another look |
//! | the relay never answers | [`ask_again`](GroupOwner::ask_again), or [`cancel`](GroupOwner::cancel) |

pub mod address;
mod administer;
mod admission;
mod adopt;
mod appoint;
pub mod challenge;
mod due;
mod end;
pub mod error;
pub mod event;
mod finish;
mod headcount;
mod history;
mod kept;
mod outgoing;
pub mod persona;
mod publish;
mod read_back;
mod receive;
pub mod record;
mod sharing;
mod speak;
mod stage;
pub mod status;
pub mod task;
mod transcript;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use agent::short_link::ContactShortLink;
use agent::time::Env;

pub use self::address::{AddressFault, CheckedAddress};
pub use self::administer::{Closing, Issued};
pub use self::challenge::{AddressTest, TestFault, TestTask};
pub use self::end::Removal;
pub use self::error::OwnerError;
pub use self::event::Event;
pub use self::history::{MAX_PAST_POSTS, PastRecords};
pub(crate) use self::kept::{Kept, discarded};
pub use self::persona::{Persona, choose_server};
pub use self::read_back::LinkCondition;
pub use self::receive::Received;
pub use self::record::{ConnectionName, RelayRecord};
pub use self::speak::Announced;
pub use self::status::{ActiveStage, EndReason, InactiveReason, RejectedReason, Status, StatusChange};
pub use self::task::{DeleteLink, Outcome, SetQueueKeys, Task, TaskId, WriteLink};

use self::headcount::Headcount;
use self::outgoing::{Say, owe};
use self::publish::Writing;
use self::sharing::Sharing;
use self::stage::{New, Stage};
use self::view::view_of;
use crate::body::ConnectionInfo;
use crate::document::ConnectionRecords;
use crate::event::{Event as ChatEvent, GroupRelayInvitation, RelayCommand, RelayInvite};
use crate::extension::{Extension, Extensions};
use crate::identity::MemberId;
use crate::member::{MemberIdRole, Role};
use crate::membership::View;
use crate::message_id::MessageId;
use crate::retry::Retry;
use crate::roster::{Roster, RosterVersion};
use crate::step::link_create::GroupLink;

/// As many as link data can list.
const MAX_RELAYS: usize = 255;
/// What we do beyond the protocol, as far as relays have to know.
const EXTENSIONS: [Extension; 4] =
    [Extension::RelayReady, Extension::Suspension, Extension::SignedJoin, Extension::GroupInFixedData];

/// A group as its owner knows it.
#[derive(Debug, Clone)]
pub struct GroupOwner {
    link: GroupLink,
    /// The version of the link data that the server is known to have.
    confirmed: u64,
    persona: Option<Persona>,
    /// What the owner knows of the group beside its relays, by the same rules as members.
    view: View,
    headcount: Headcount,
    relays: Vec<RelayRecord>,
    /// The version of the link data with a profile that relays were not told of.
    untold_profile: Option<u64>,
    writing: Option<Writing>,
    sharing: Sharing,
    /// The owner has ended the group.
    closing: Option<Closing>,
    retries: BTreeMap<TaskId, Retry>,
    /// Relay links of other owners that are none; they are read again in the next run.
    unusable: BTreeSet<String>,
    /// The agent's, and kept with the rest: what an owner says and that it said so become durable together.
    connections: ConnectionRecords,
}

impl From<GroupLink> for GroupOwner {
    /// A link that its server has as it is here.
    fn from(link: GroupLink) -> Self {
        GroupOwner {
            confirmed: link.group().written().version,
            view: view_of(&link),
            headcount: Headcount::of(link.group().contents().member_count),
            link,
            persona: None,
            relays: Vec::new(),
            untold_profile: None,
            writing: None,
            sharing: Sharing::default(),
            closing: None,
            retries: BTreeMap::new(),
            unusable: BTreeSet::new(),
            connections: ConnectionRecords::default(),
        }
    }
}

impl GroupOwner {
    /// The group link, with the newest data, written or not.
    pub fn link(&self) -> &GroupLink {
        &self.link
    }

    /// Whether the server is known to have the newest data.
    pub fn is_written(&self) -> bool {
        self.confirmed >= self.link.group().written().version
    }

    /// How relays see the owner, once that is decided.
    pub fn persona(&self) -> Option<&Persona> {
        self.persona.as_ref()
    }

    /// What the agent keeps of the connections with relays.
    pub fn connections(&self) -> &ConnectionRecords {
        &self.connections
    }

    /// The same, for the agent to change.
    pub fn connections_mut(&mut self) -> &mut ConnectionRecords {
        &mut self.connections
    }

    /// The members with rights.
    pub fn roster(&self) -> &Roster {
        &self.view.roster
    }

    fn roster_version(&self) -> RosterVersion {
        self.view.roster.version().unwrap_or_default()
    }

    /// All relays that were invited, in that order.
    pub fn relays(&self) -> &[RelayRecord] {
        &self.relays
    }

    /// A relay.
    pub fn relay(&self, id: &MemberId) -> Option<&RelayRecord> {
        self.relays.iter().find(|record| record.id == *id)
    }

    /// The last invitation of the relay at an address.
    pub fn relay_at(&self, address: &ContactShortLink) -> Option<&RelayRecord> {
        self.relays.iter().rev().find(|record| record.address.same_link(address))
    }

    fn record_mut(&mut self, id: &MemberId) -> Result<&mut RelayRecord, OwnerError> {
        self.relays.iter_mut().find(|record| record.id == *id).ok_or_else(|| OwnerError::UnknownRelay(id.clone()))
    }

    /// Whether a connection is, or was, one with a relay of this group.
    pub fn uses(&self, connection: &ConnectionName) -> bool {
        let uses = |record: &RelayRecord| {
            record.connection() == *connection || record.discarded.iter().any(|(name, _)| name == connection)
        };
        self.relays.iter().any(uses)
    }

    fn relay_of(&self, connection: &ConnectionName) -> Result<MemberId, OwnerError> {
        let record = self.relays.iter().find(|record| record.connection() == *connection);
        record.map(|record| record.id.clone()).ok_or_else(|| OwnerError::UnknownConnection(connection.clone()))
    }

    /// Decides how relays see the owner. Once for the group.
    pub fn introduce(&mut self, persona: Persona) -> Result<(), OwnerError> {
        if self.persona.is_some() {
            return Err(OwnerError::AlreadyIntroduced);
        }
        self.invitation(&persona, self.link.group().owner.owner_id.clone()).to_bytes()?;
        self.persona = Some(persona);
        Ok(())
    }

    /// Chooses a relay. A relay that served the group before, or refused, may be chosen again: as another member.
    pub fn invite(&mut self, address: ContactShortLink, env: &mut Env<'_>) -> Result<MemberId, OwnerError> {
        CheckedAddress::check_kind(&address)?;
        self.check_not_over()?;
        if self.persona.is_none() {
            return Err(OwnerError::NoPersona);
        }
        if self.link.queue().access.is_none() {
            return Err(OwnerError::NotWritable);
        }
        if let Some(known) = self.relay_at(&address).filter(|record| !record.status().is_final()) {
            return Err(OwnerError::AlreadyInvited(known.id.clone()));
        }
        if self.relays.iter().filter(|record| !record.status().is_final()).count() >= MAX_RELAYS {
            return Err(OwnerError::TooManyRelays(MAX_RELAYS));
        }
        let forgettable = |record: &&RelayRecord| record.address.same_link(&address) && self.is_forgettable(record);
        let forgotten: Vec<MemberId> = self.relays.iter().filter(forgettable).map(|record| record.id.clone()).collect();
        forgotten.iter().for_each(|id| self.drop_record(id));
        let id = MemberId::random(env.random);
        let mut record = RelayRecord {
            id: id.clone(),
            address,
            attempt: 0,
            profile: None,
            stage: Stage::New(New::default()),
            owed: Vec::new(),
            discarded: Vec::new(),
            problem: None,
            accepting: None,
            asked_roster: None,
            promised: 0,
            history: Vec::new(),
        };
        record.note_change(env.now);
        self.relays.push(record);
        Ok(id)
    }

    /// What a relay is asked: always the same for one member ID.
    fn invitation(&self, persona: &Persona, relay_member_id: MemberId) -> ConnectionInfo {
        let group = self.link.group();
        let invitation = GroupRelayInvitation {
            from_member: MemberIdRole { member_id: group.owner.owner_id.clone(), member_role: Role::Owner },
            from_member_profile: persona.profile.clone(),
            relay_member_id,
            group_link: group.short_link().to_string(),
            ext: Extensions(EXTENSIONS.to_vec()),
        };
        let invite = RelayInvite { group_relay_invitation: Box::new(invitation) };
        ConnectionInfo::unsigned(ChatEvent::GroupRelayInvite(invite))
    }

    /// Another roster: every connected relay that takes rosters gets it.
    pub fn set_roster(&mut self, roster: Roster, env: &mut Env<'_>) {
        self.view.roster = roster;
        let id = MessageId::random(env.random);
        for record in &mut self.relays {
            let takes = record.stage.relay().is_some_and(|relay| relay.answer.takes_rosters());
            if record.is_connected() && takes {
                owe(&mut record.owed, id.clone(), Say::Roster);
            }
        }
    }

    /// Tells a relay to stop or resume admitting members, or asks whether it does. Only relays with `susp1` know that.
    pub fn control(&mut self, relay: &MemberId, command: RelayCommand, env: &mut Env<'_>) -> Result<(), OwnerError> {
        let id = MessageId::random(env.random);
        let record = self.record_mut(relay)?;
        if !record.is_connected() {
            return Err(OwnerError::Prohibited("control", record.status()));
        }
        if !record.capabilities().is_some_and(|can| can.ext.announce(&Extension::Suspension)) {
            return Err(OwnerError::NotAnnounced(Extension::Suspension));
        }
        owe(&mut record.owed, id, Say::Control(command));
        Ok(())
    }
}
