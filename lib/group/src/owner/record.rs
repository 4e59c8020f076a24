//! What an owner keeps of one invitation of one relay.

use agent::connection::Delivery;
use agent::short_link::ContactShortLink;
use agent::time::Time;
use codec::VersionRange;

use super::event::Event;
use super::outgoing::Owed;
use super::stage::Stage;
use super::status::{ActiveStage, EndReason, Status, StatusChange};
use crate::binding::GroupBinding;
use crate::event::RelayCapabilities;
use crate::identity::{MemberId, RelayPublicKey};
use crate::text::shown;
use crate::user_data::RelayProfile;

/// The longest name of a connection.
const MAX_NAME: usize = 64;

/// The local name of a connection with a relay; never used twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionName(String);

impl ConnectionName {
    /// The name of the connection of the `attempt`th request to a relay.
    pub(super) fn of(relay: &MemberId, attempt: u32) -> Self {
        match attempt {
            0 => ConnectionName(format!("relay-{relay}")),
            attempt => ConnectionName(format!("relay-{relay}-{attempt}")),
        }
    }

    /// The name of the `attempt`th connection of its kind with the relay that a member gave this number.
    pub(crate) fn numbered(kind: &str, number: u32, attempt: u32) -> Self {
        match attempt {
            0 => ConnectionName(format!("{kind}-{number}")),
            attempt => ConnectionName(format!("{kind}-{number}-{attempt}")),
        }
    }

    pub(super) fn of_test(text: &str) -> Self {
        ConnectionName(format!("test-{text}"))
    }

    /// A name of 1 to 64 visible characters.
    pub fn new(text: &str) -> Option<Self> {
        let visible = text.chars().all(|c| c.is_ascii_graphic());
        ((1..=MAX_NAME).contains(&text.len()) && visible).then(|| ConnectionName(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One relay of a group, from the first invitation to the end.
#[derive(Debug, Clone)]
pub struct RelayRecord {
    pub(super) id: MemberId,
    pub(super) address: ContactShortLink,
    /// How often the relay was asked again, for names of connections.
    pub(super) attempt: u32,
    pub(super) profile: Option<RelayProfile>,
    pub(super) stage: Stage,
    pub(super) owed: Vec<Owed>,
    /// Connections that are to be deleted.
    pub(super) discarded: Vec<(ConnectionName, Delivery)>,
    pub(super) problem: Option<String>,
    pub(super) accepting: Option<bool>,
    /// The version of the roster up to which the relay was asked for what is missing.
    pub(super) asked_roster: Option<i64>,
    /// How many of the owner's last posts it gets before it is listed.
    pub(super) promised: u32,
    pub(super) history: Vec<StatusChange>,
}

impl RelayRecord {
    /// The relay's name in the group.
    pub fn id(&self) -> &MemberId {
        &self.id
    }

    /// Where it was invited.
    pub fn address(&self) -> &ContactShortLink {
        &self.address
    }

    /// The connection with it.
    pub fn connection(&self) -> ConnectionName {
        ConnectionName::of(&self.id, self.attempt)
    }

    /// What it says about itself: first behind its address, then behind its relay link.
    pub fn profile(&self) -> Option<&RelayProfile> {
        self.profile.as_ref()
    }

    /// How far it is.
    pub fn status(&self) -> Status {
        self.stage.status()
    }

    /// What it knows of being listed, if it is active.
    pub fn active_stage(&self) -> Option<ActiveStage> {
        self.stage.active_stage()
    }

    /// Why it is inactive or rejected.
    pub fn reason(&self) -> Option<EndReason> {
        self.stage.reason()
    }

    /// Its relay link, in the very text in which it came, once that passed every check.
    pub fn relay_link(&self) -> Option<&str> {
        self.stage.relay().map(|relay| relay.answer.relay_link.text())
    }

    /// Checks what it signs.
    pub fn key(&self) -> Option<RelayPublicKey> {
        self.stage.relay().map(|relay| relay.relay.key)
    }

    /// How firmly its relay link belongs to the group.
    pub fn binding(&self) -> Option<GroupBinding> {
        self.stage.relay().map(|relay| relay.relay.binding)
    }

    /// What it can do.
    pub fn capabilities(&self) -> Option<&RelayCapabilities> {
        self.stage.relay().map(|relay| &relay.answer.capabilities)
    }

    /// What its program speaks.
    pub fn versions(&self) -> Option<VersionRange> {
        self.stage.relay().map(|relay| relay.answer.versions)
    }

    /// Whether both sides can talk.
    pub fn is_connected(&self) -> bool {
        self.stage.is_connected()
    }

    /// Whether it admits members, if it said so.
    pub fn accepting(&self) -> Option<bool> {
        self.accepting
    }

    /// What stands in the way, if something does.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// All changes of its status.
    pub fn history(&self) -> &[StatusChange] {
        &self.history
    }

    /// Whether it has ended, and nothing is left to do about it.
    pub fn is_over(&self) -> bool {
        self.stage.parting() == Some(super::stage::Parting::Done) && self.discarded.is_empty()
    }

    /// Comes to another stage.
    pub(super) fn enter(&mut self, stage: impl Into<Stage>, now: Time, events: &mut Vec<Event>) {
        let (status, before) = (self.status(), self.active_stage());
        self.stage = stage.into();
        if (self.status(), self.active_stage()) != (status, before) {
            self.problem = None;
            self.note_change(now);
            events.push(Event::Status { relay: self.id.clone(), status: self.status(), stage: self.active_stage() });
        }
    }

    pub(super) fn note_change(&mut self, now: Time) {
        let changed_at = i64::try_from(now.millis() / 1000).unwrap_or(i64::MAX);
        self.history.push(StatusChange { status: self.status(), stage: self.active_stage(), changed_at });
    }

    pub(super) fn hinder(&mut self, problem: &str, events: &mut Vec<Event>) {
        let problem = shown(problem);
        if self.problem.as_ref() != Some(&problem) {
            events.push(Event::Problem { relay: self.id.clone(), problem: problem.clone() });
        }
        self.problem = Some(problem);
    }

    /// Deletes the connection when that is due.
    pub(super) fn discard(&mut self, delivery: Delivery) {
        let name = self.connection();
        if self.discarded.iter().all(|(discarded, _)| *discarded != name) {
            self.discarded.push((name, delivery));
        }
    }
}
