//! Relays that another owner invited: the group link lists them, and this owner comes to them through their relay links,
//! as members do. A relay of ours lets it in with everything that an owner may, because the group link names it.
//!
//! ```text
//! listed ─▶ Wanted: relay link read ── open connection with x.member, signed with the owner's key ─▶ Asked
//!           ◀─ x.grp.link.inv ─ this group, this relay? ─▶ Answered ── x.info ─▶ Allowed ── connected ─▶ Active
//! ```
//!
//! From then on it is a relay like those that the owner invited itself. One that does not answer, or that is lost, is
//! only out of reach for this owner: it stays in the group link until an owner removes it, and is asked again.

use agent::connection::Delivery;
use agent::full_link::FullLink;
use agent::link_read::RetrievedLinkData;
use agent::short_link::{ContactKind, ContactShortLink};
use agent::time::{Env, Time};

use super::admission::{AdmittedRelay, Answer, RelayLink, bounded_capabilities};
use super::record::RelayRecord;
use super::stage::{Active, Handshake, Stage};
use super::status::{ActiveStage, Status};
use super::task::{Task, TaskId};
use super::{Event, GroupOwner, OwnerError};
use crate::body::ConnectionInfo;
use crate::event::{Event as ChatEvent, Join, OwnProfile, RelayCapabilities};
use crate::extension::{Extension, Extensions};
use crate::identity::MemberId;
use crate::membership::{KnownRelay, admit_relay, read_answer};
use crate::retry::Retry;
use crate::signature::Signer;
use crate::step::link_verify::VerifiedRelay;
use crate::text::shown;
use crate::version;

/// What we do beyond the protocol, as far as relays have to know that did not ask us to.
const EXTENSIONS: [Extension; 2] = [Extension::OwnerJoin, Extension::GroupInFixedData];

/// A relay of another owner, on the way to us.
#[derive(Debug, Clone)]
pub(super) struct Adopting {
    pub(super) relay: AdmittedRelay,
    /// Where its link leads, as long as that was read in this run.
    pub(super) target: Option<Box<FullLink>>,
    pub(super) step: Step,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is to be asked.
    Wanted,
    /// It was.
    Asked,
    /// It waits for our word.
    Answered,
    /// It has it, or will.
    Allowed,
}

impl Adopting {
    pub(super) fn status(&self) -> Status {
        match self.step {
            Step::Wanted => Status::New,
            Step::Asked => Status::Invited,
            Step::Answered | Step::Allowed => Status::Accepted,
        }
    }

    pub(super) fn with(&self, step: Step) -> Self {
        Adopting { step, ..self.clone() }
    }

    /// How far the connection is, once the relay answered.
    pub(super) fn handshake(&self) -> Option<Handshake> {
        match self.step {
            Step::Wanted | Step::Asked => None,
            Step::Answered => Some(Handshake::Answered),
            Step::Allowed => Some(Handshake::Allowed),
        }
    }

    /// It let us in because it is listed.
    fn connected(&self) -> Active {
        Active { relay: self.relay.clone(), roster: None, stage: ActiveStage::Confirmed }
    }

    /// What is to be done next.
    pub(super) fn task(&self, relay: &MemberId) -> Option<TaskId> {
        match (self.step, &self.target) {
            (Step::Wanted, None) => Some(TaskId::ReadRelayLink(relay.clone())),
            (Step::Wanted, Some(_)) => Some(TaskId::Join(relay.clone())),
            (Step::Answered, _) => Some(TaskId::Allow(relay.clone())),
            (Step::Asked | Step::Allowed, _) => None,
        }
    }
}

impl Step {
    /// The step that these words stand for, if they do for one.
    pub(super) fn of(status: Status, handshake: Option<Handshake>) -> Option<Self> {
        match (status, handshake) {
            (Status::New, None) => Some(Step::Wanted),
            (Status::Invited, None) => Some(Step::Asked),
            (Status::Accepted, Some(Handshake::Answered)) => Some(Step::Answered),
            (Status::Accepted, Some(Handshake::Allowed)) => Some(Step::Allowed),
            _ => None,
        }
    }
}

/// A relay whose link passed every check, and that has not answered anything.
fn admitted(link: &ContactShortLink, known: KnownRelay) -> Option<AdmittedRelay> {
    let KnownRelay { id, key, profile, binding, extensions, versions } = known;
    let relay_link = RelayLink::new(link.to_string()).ok()?;
    let capabilities = RelayCapabilities { web_domain: None, ext: Extensions(extensions) };
    let versions = versions.unwrap_or(version::INITIAL);
    let relay = VerifiedRelay { link: link.clone(), member_id: id, key, profile, binding };
    Some(AdmittedRelay { relay, answer: Answer { relay_link, capabilities, versions } })
}

impl RelayRecord {
    /// Whether another owner invited it. Then its address is not known, and its relay link stands in its place.
    pub fn is_adopted(&self) -> bool {
        self.address.kind == ContactKind::Group
    }
}

impl GroupOwner {
    /// Relay links that the group link lists and that lead to relays of other owners, whom this one does not know yet.
    /// With a single owner there are none: what it lists is its own.
    pub fn to_adopt(&self) -> Vec<&ContactShortLink> {
        let known = |link: &ContactShortLink| self.relays.iter().any(|record| record.has_link(link));
        let listed = self.link.group().contents().relays.iter().filter(|_| self.is_shared() && self.closing.is_none());
        listed.filter(|link| !known(link) && !self.unusable.contains(&link.to_string())).collect()
    }

    /// Whether there are relays of other owners, and nothing is decided yet about how they are to see this one.
    pub fn lacks_persona(&self) -> bool {
        self.persona.is_none() && !self.to_adopt().is_empty()
    }

    /// The tasks that find out whose relay links they are.
    pub(super) fn adoptions(&self) -> Vec<TaskId> {
        let wanted = self.to_adopt().into_iter().filter(|_| self.persona.is_some());
        wanted.map(|link| TaskId::ReadListed(link.to_string())).collect()
    }

    pub(super) fn read_listed(&self, text: &str) -> Result<Task, OwnerError> {
        let link = self.to_adopt().into_iter().find(|link| link.to_string() == text);
        link.cloned().map(Task::ReadLink).ok_or(OwnerError::Task)
    }

    /// What stands behind a relay link that another owner listed.
    pub(super) fn listed_read(
        &mut self,
        text: &str,
        data: &RetrievedLinkData,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) {
        let Some(link) = self.to_adopt().into_iter().find(|link| link.to_string() == text).cloned() else { return };
        let group = self.link.group().group_id();
        let found = admit_relay(&link, data, group).and_then(|(known, target)| {
            self.check_name_of_relay(&known.id)?;
            let relay = admitted(&link, known).ok_or("its link is too long")?;
            Ok((relay, target))
        });
        match found {
            Ok((relay, target)) => self.adopt(link, relay, target, env, events),
            Err(reason) => self.not_adopted(text, &reason, events),
        }
    }

    /// Nobody takes the name of somebody else in the group.
    fn check_name_of_relay(&self, id: &MemberId) -> Result<(), String> {
        let taken = self.relays.iter().any(|record| record.id == *id) || self.view.links.is_owner(id);
        if taken { Err("it has the name of somebody else in the group".to_owned()) } else { Ok(()) }
    }

    pub(super) fn not_adopted(&mut self, text: &str, reason: &str, events: &mut Vec<Event>) {
        self.unusable.insert(text.to_owned());
        events.push(Event::NotAdopted { relay_link: text.to_owned(), reason: shown(reason) });
    }

    fn adopt(
        &mut self,
        link: ContactShortLink,
        relay: AdmittedRelay,
        target: FullLink,
        env: &mut Env<'_>,
        events: &mut Vec<Event>,
    ) {
        let (id, key, profile) = (relay.relay.member_id.clone(), relay.relay.key, relay.relay.profile.clone());
        let adopting = Adopting { relay, target: Some(target.into()), step: Step::Wanted };
        let mut record = RelayRecord {
            id: id.clone(),
            address: link,
            attempt: 0,
            profile: Some(profile),
            stage: Stage::Adopting(adopting),
            owed: Vec::new(),
            discarded: Vec::new(),
            problem: None,
            accepting: None,
            asked_roster: None,
            promised: 0,
            history: Vec::new(),
        };
        record.note_change(env.now);
        events.push(Event::Status { relay: id.clone(), status: record.status(), stage: None });
        self.relays.push(record);
        self.view.add_relay(&id, key);
    }

    /// Fixed data of a link cannot change, and with them the relay's name and key.
    pub(super) fn adopted_link_read(&mut self, relay: &MemberId, data: &RetrievedLinkData, events: &mut Vec<Event>) {
        let group = self.link.group().group_id();
        let Ok(record) = self.record_mut(relay) else { return };
        let found = admit_relay(&record.address, data, group);
        let Stage::Adopting(adopting) = &mut record.stage else { return };
        match found {
            Ok((_, target)) => {
                adopting.target = Some(target.into());
                record.problem = None;
            }
            Err(reason) => record.hinder(&reason, events),
        }
    }

    /// What a relay is asked that does not know us: the same for each connection with it.
    pub(super) fn join(&self, record: &RelayRecord) -> Result<Task, OwnerError> {
        let Stage::Adopting(Adopting { target: Some(target), .. }) = &record.stage else {
            return Err(OwnerError::Task);
        };
        let persona = self.persona.as_ref().ok_or(OwnerError::NoPersona)?;
        let (group, me) = (self.link.group().group_id(), &self.view.me);
        let join = Join {
            profile: persona.profile.clone(),
            new_member_id: me.id.clone(),
            new_member_key: me.key.public(),
            via_relay: Some(record.id.clone()),
            ext: Extensions(EXTENSIONS.to_vec()),
            purpose: None,
        };
        let signer = Signer { group: &group, member: &me.id, key: &me.key };
        Ok(Task::Open {
            connection: record.connection(),
            link: target.clone(),
            server: persona.server.clone(),
            info: ConnectionInfo::signed(ChatEvent::Member(join.into()), &signer).to_bytes()?,
        })
    }

    /// What a relay is told that let us in.
    pub(super) fn own_profile(&self) -> Result<ConnectionInfo, OwnerError> {
        let persona = self.persona.as_ref().ok_or(OwnerError::NoPersona)?;
        let info = OwnProfile { profile: persona.profile.clone(), member_key: Some(self.view.me.key.public()) };
        Ok(ConnectionInfo::unsigned(ChatEvent::Info(info.into())))
    }

    /// A relay of another owner took up our connection and said this. The first answer counts.
    pub(super) fn adoption_answered(&mut self, relay: &MemberId, info: &[u8], now: Time, events: &mut Vec<Event>) {
        let (me, group) = (self.view.me.id.clone(), self.link.group().group_id());
        let Ok(record) = self.record_mut(relay) else { return };
        let Stage::Adopting(adopting) = &record.stage else { return };
        if !matches!(adopting.step, Step::Wanted | Step::Asked) {
            return;
        }
        match read_answer(info, relay, &me, group) {
            Ok((invitation, versions)) => {
                let mut adopting = adopting.with(Step::Answered);
                let answer = &mut adopting.relay.answer;
                answer.versions = versions;
                let announced = Extensions([answer.capabilities.ext.0.clone(), invitation.ext.0].concat());
                answer.capabilities.ext =
                    bounded_capabilities(&RelayCapabilities { web_domain: None, ext: announced }).ext;
                record.enter(Stage::Adopting(adopting), now, events);
            }
            Err(why) => record.hinder(&why.to_string(), events),
        }
    }

    /// Both sides can talk: from now on the relay is like those that we invited.
    pub(super) fn adopted(&mut self, relay: &MemberId, now: Time, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(relay) else { return };
        let Stage::Adopting(adopting) = &record.stage else { return };
        if matches!(adopting.step, Step::Answered | Step::Allowed) {
            let active = adopting.connected();
            record.enter(active, now, events);
            self.view.relay_connected(relay, now);
        }
    }

    /// A relay of another owner is out of reach for us. Others still have it, so it is asked again.
    pub(super) fn adoption_lost(&mut self, relay: &MemberId, reason: &str, env: &mut Env<'_>, events: &mut Vec<Event>) {
        let Ok(record) = self.record_mut(relay) else { return };
        record.begin_again(env.now, events);
        record.hinder(reason, events);
        self.view.relay_silent(relay);
        let task = TaskId::ReadRelayLink(relay.clone());
        let retry = Retry::after(self.retries.get(&task).copied(), env.now);
        self.retries.insert(task, retry);
    }
}

impl RelayRecord {
    /// Whether this is the relay behind a relay link.
    pub(super) fn has_link(&self, link: &ContactShortLink) -> bool {
        self.stage.relay().is_some_and(|relay| relay.answer.relay_link.link().same_link(link))
    }

    /// Asks a relay of another owner through another connection.
    pub(super) fn begin_again(&mut self, now: Time, events: &mut Vec<Event>) {
        let Some(relay) = self.stage.relay().cloned() else { return };
        self.discard(Delivery::Drop);
        self.attempt = self.attempt.saturating_add(1);
        self.enter(Stage::Adopting(Adopting { relay, target: None, step: Step::Wanted }), now, events);
    }
}
