//! One service: one invitation of a group, and all that came of it.

use std::collections::VecDeque;

use agent::connection::Delivery;
use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use serde::{Deserialize, Serialize};

use super::check::GroupRefusal;
use super::event::Event as RelayEvent;
use super::group::ServedGroup;
use super::invitation::Invitation;
use super::journal::{AdmissionBy, ConnectionState, LogEntry, LogEvent};
use super::link::RelayLink;
use super::name::{ConnectionName, ServiceId};
use super::owner_join::Asking;
use super::record::{RecordKey, moment, moment_option};
use super::roster::{Rosters, StoredRoster};
use super::settings::{EXTENSIONS, RelayIdentity, RelaySettings};
use super::state::Out;
use super::status::{Inactivity, Rejection, Status};
use super::watch::Watch;
use super::work::Work;
use crate::body::{ConnectionInfo, single};
use crate::bytes::{unpadded, unpadded_option};
use crate::element::Element;
use crate::event::{Event, RejectionReason, RelayAccept, RelayCapabilities, RelayReject};
use crate::identity::{GroupId, MemberId, MemberKey};
use crate::message::Message;
use crate::signature::Signer;

/// How many connections with owners one service has.
const MAX_OWNERS: usize = 4;

/// How many lines about what peers say are logged in one step: one body may say hundreds of things.
const MAX_LINES: usize = 16;
/// How many of them are logged in one hour of a service.
const MAX_LINES_PER_HOUR: u32 = 500;

/// One invitation of a group, and all that came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Service {
    pub(super) id: ServiceId,
    pub(super) invitation: Invitation,
    #[serde(with = "unpadded")]
    pub(super) member_key: MemberKey,
    pub(super) status: Status,
    #[serde(with = "moment")]
    pub(super) since: Time,
    pub(super) work: Work,
    pub(super) group: Option<ServedGroup>,
    pub(super) link: Option<RelayLink>,
    pub(super) watch: Option<Watch>,
    pub(super) owners: Vec<OwnerConnection>,
    next_owner: u64,
    #[serde(default, skip_serializing_if = "Asking::is_empty")]
    pub(super) asking: Asking,
    pub(super) outbox: VecDeque<Outgoing>,
    next_outgoing: u64,
    pub(super) admission: Admission,
    /// The connection of an owner who waits for the relay to find itself in the group link.
    pub(super) notified: Option<u64>,
    /// Whether an owner was told that it did.
    pub(super) confirmed: bool,
    /// What owners were told about web pages.
    pub(super) told_web_domain: Option<String>,
    /// Signed messages that were seen.
    #[serde(default, with = "unpadded", skip_serializing_if = "Vec::is_empty")]
    pub(super) seen: Vec<u8>,
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    pub(super) farewell: Option<Vec<u8>>,
    next_log: u64,
    #[serde(skip)]
    lines: Lines,
    /// Kept in a record of its own.
    #[serde(skip)]
    pub(super) rosters: Rosters,
}

/// Lines of the log about what peers say, in the hour that is running.
#[derive(Debug, Default)]
struct Lines {
    hour: u64,
    written: u32,
}

impl Lines {
    /// Whether there may be one more.
    fn take(&mut self, at: u64) -> bool {
        let hour = at / 3_600;
        if self.hour != hour {
            *self = Lines { hour, written: 0 };
        }
        let may = self.written < MAX_LINES_PER_HOUR;
        self.written = self.written.saturating_add(u32::from(may));
        may
    }
}

/// A connection with somebody who invited the relay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OwnerConnection {
    pub(super) number: u64,
    /// Who claims to be at the other end.
    #[serde(with = "unpadded")]
    pub(super) owner: MemberId,
    /// The request that made it.
    pub(super) request: u64,
    /// Whether it was asked for before the group link listed the relay: only the owner knew the relay's member ID then.
    #[serde(default)]
    pub(super) early: bool,
    /// Whether it was asked for through the relay link, signed with the owner's key: nobody else can have it.
    #[serde(default)]
    pub(super) through_link: bool,
    /// What the owner is called, if it came through the relay link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) state: OwnerState,
    #[serde(with = "moment")]
    pub(super) since: Time,
    /// What the owner's program speaks at most.
    pub(super) max_version: u16,
    /// When it is to be deleted.
    #[serde(default, with = "moment_option", skip_serializing_if = "Option::is_none")]
    pub(super) delete_at: Option<Time>,
}

impl OwnerConnection {
    /// Whether nobody but the owner can be at the other end. A service begins with its first connection.
    pub(super) fn is_of_owner(&self) -> bool {
        self.early || self.number == 1 || self.through_link
    }
}

/// How far a connection with an owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OwnerState {
    /// The request waits for an answer.
    Asked,
    /// The answer is on its way.
    Answered,
    /// Both sides can send.
    Connected,
}

/// A message to an owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outgoing {
    pub(super) number: u64,
    pub(super) connection: u64,
    #[serde(with = "unpadded")]
    pub(super) body: Vec<u8>,
}

/// Who keeps members out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Admission {
    pub(super) suspended_by_owner: bool,
    pub(super) suspended_by_operator: bool,
}

/// What a step of a service may look at, and where its results go.
pub(super) struct Context<'a, 'e> {
    pub(super) settings: &'a RelaySettings,
    pub(super) identity: &'a RelayIdentity,
    pub(super) out: &'a mut Out,
    pub(super) env: &'a mut Env<'e>,
}

impl Service {
    pub(super) fn new(id: ServiceId, invitation: Invitation, context: &mut Context<'_, '_>) -> Self {
        let now = context.env.now;
        let mut service = Service {
            id,
            member_key: MemberKey::generate(context.env.random),
            status: Status::Invited,
            since: now,
            work: Work::new(now),
            group: None,
            link: None,
            watch: None,
            owners: Vec::new(),
            next_owner: 1,
            asking: Asking::default(),
            outbox: VecDeque::new(),
            next_outgoing: 1,
            admission: Admission::default(),
            notified: None,
            confirmed: false,
            told_web_domain: None,
            seen: Vec::new(),
            farewell: None,
            next_log: 1,
            lines: Lines::default(),
            rosters: Rosters::default(),
            invitation,
        };
        let event = LogEvent::Invited {
            group_link: service.invitation.group_link.to_string(),
            owner: service.invitation.owner.clone(),
            relay_member_id: service.invitation.relay_member_id.clone(),
        };
        service.log(event, context);
        context.out.events.push(RelayEvent::Invited(id));
        service
    }

    /// Its name.
    pub fn id(&self) -> ServiceId {
        self.id
    }

    /// How the relay stands with the group.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Since when.
    pub fn since(&self) -> Time {
        self.since
    }

    /// What was asked.
    pub fn invitation(&self) -> &Invitation {
        &self.invitation
    }

    /// What the group link says, once it was read.
    pub fn group(&self) -> Option<&ServedGroup> {
        self.group.as_ref()
    }

    /// The group, once its link was read.
    pub fn group_id(&self) -> Option<GroupId> {
        self.group.as_ref().map(|group| group.group_id)
    }

    /// Signs what the relay says in the group, and the data of the relay link.
    pub fn member_key(&self) -> &MemberKey {
        &self.member_key
    }

    /// The relay link, once it is known.
    pub fn relay_link(&self) -> Option<&ContactShortLink> {
        self.link.as_ref().map(|link| &link.link)
    }

    /// Whether an owner was told that the relay found itself in the group link.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether requests of members are to be accepted.
    pub fn is_accepting(&self, settings: &RelaySettings) -> bool {
        let Admission { suspended_by_owner, suspended_by_operator } = self.admission;
        let listed = self.status == Status::Active || settings.admit_unlisted;
        self.status.is_serving() && listed && !suspended_by_owner && !suspended_by_operator
    }

    /// The roster for those who join.
    pub fn roster(&self) -> Option<&StoredRoster> {
        self.rosters.stored.as_ref()
    }

    /// The body that members are to get before their connections are deleted, once the service has ended: the relay's
    /// signed word that it leaves, or an owner's that removes it.
    pub fn farewell(&self) -> Option<&[u8]> {
        self.farewell.as_deref()
    }

    pub(super) fn log(&mut self, event: LogEvent, context: &mut Context<'_, '_>) {
        let at = context.env.now.millis() / 1_000;
        if event.is_at_will() && (context.out.log.len() >= MAX_LINES || !self.lines.take(at)) {
            return;
        }
        context.out.log.push(LogEntry { at, service: self.id, number: self.next_log, event });
        self.next_log = self.next_log.saturating_add(1);
        self.touch(context);
    }

    pub(super) fn touch(&self, context: &mut Context<'_, '_>) {
        context.out.dirty.insert(RecordKey::Service(self.id));
    }

    pub(super) fn touch_roster(&self, context: &mut Context<'_, '_>) {
        context.out.dirty.insert(RecordKey::Roster(self.id));
    }

    /// Moves on; whether the step is legal. One that is not changes nothing and is logged: it would be our mistake.
    pub(super) fn advance(&mut self, to: Status, context: &mut Context<'_, '_>) -> bool {
        match self.status.step(to) {
            Ok(status) => {
                self.status = status.clone();
                self.since = context.env.now;
                self.log(LogEvent::Status(status.clone()), context);
                context.out.events.push(RelayEvent::StatusChanged { service: self.id, status });
                true
            }
            Err(illegal) => {
                self.log(LogEvent::Failed { what: "status".to_owned(), why: illegal.to_string() }, context);
                false
            }
        }
    }

    /// Adds a connection for a request; whoever asked first is never displaced.
    pub(super) fn add_owner(&mut self, owner: MemberId, request: u64, max_version: u16, context: &mut Context<'_, '_>) {
        let now = context.env.now;
        let number = self.next_owner();
        // Whoever came through the relay link is an owner for sure.
        let invited = |other: &&mut OwnerConnection| other.delete_at.is_none() && !other.through_link;
        let mut staying: Vec<_> = self.owners.iter_mut().filter(invited).collect();
        if staying.len() >= MAX_OWNERS
            && let Some(second) = staying.get_mut(1)
        {
            second.delete_at = Some(now);
        }
        let state = OwnerState::Asked;
        let early = self.status != Status::Active;
        let connection = OwnerConnection {
            number,
            owner,
            request,
            early,
            through_link: false,
            name: None,
            state,
            since: now,
            max_version,
            delete_at: None,
        };
        self.owners.push(connection);
        if number > 1 {
            let connection = self.connection_name(number).to_string();
            self.log(LogEvent::Repeated { connection }, context);
        }
        self.touch(context);
    }

    /// The number of another connection with an owner.
    pub(super) fn next_owner(&mut self) -> u64 {
        let number = self.next_owner;
        self.next_owner = number.saturating_add(1);
        number
    }

    pub(super) fn connection_name(&self, number: u64) -> ConnectionName {
        ConnectionName::Owner(self.id, number)
    }

    /// Connections that were asked for through the relay's address: requests at relay links have numbers of their own.
    pub(super) fn owners_of_address(&self) -> impl Iterator<Item = &OwnerConnection> {
        self.owners.iter().filter(|connection| !connection.through_link)
    }

    pub(super) fn owner_mut(&mut self, number: u64) -> Option<&mut OwnerConnection> {
        self.owners.iter_mut().find(|connection| connection.number == number)
    }

    pub(super) fn owner(&self, number: u64) -> Option<&OwnerConnection> {
        self.owners.iter().find(|connection| connection.number == number)
    }

    /// What the owner is told in answer to its request.
    pub(super) fn answer(&self, settings: &RelaySettings) -> Option<Event> {
        let reject = |reason| Some(Event::GroupRelayReject(RelayReject { reason }));
        match &self.status {
            Status::Invited => None,
            Status::LinkCreated | Status::Accepted | Status::Acknowledged | Status::Active => {
                let link = self.link.as_ref()?;
                let relay_cap = Some(capabilities(settings));
                Some(Event::GroupRelayAccept(RelayAccept { relay_link: link.link.to_string(), relay_cap }))
            }
            Status::Rejected(Rejection::Refused(reason)) => reject(reason.clone()),
            Status::Rejected(Rejection::Left) => reject(RejectionReason::RejoinRejected),
            // A member ID is used for one link only, and that is gone.
            Status::Inactive(_) => reject(RejectionReason::Policy),
        }
    }

    /// The bytes of [`Service::answer`].
    pub(super) fn answer_info(&self, settings: &RelaySettings) -> Option<Vec<u8>> {
        ConnectionInfo::unsigned(self.answer(settings)?).to_bytes().ok()
    }

    /// The agent has the answer, or the owner shows that it has.
    pub(super) fn answered(&mut self, number: u64, context: &mut Context<'_, '_>) {
        let asked = |connection: &&mut OwnerConnection| connection.state == OwnerState::Asked;
        let Some(connection) = self.owner_mut(number).filter(asked) else { return };
        connection.state = OwnerState::Answered;
        connection.since = context.env.now;
        self.log_connection(number, ConnectionState::Answered, context);
        if self.status == Status::LinkCreated {
            self.told_web_domain = context.settings.web_domain.clone();
            self.advance(Status::Accepted, context);
        }
    }

    /// The connection stands.
    pub(super) fn connected(&mut self, number: u64, context: &mut Context<'_, '_>) {
        self.answered(number, context);
        let over = !self.status.is_current();
        let standing = |connection: &&mut OwnerConnection| connection.state == OwnerState::Answered;
        let Some(connection) = self.owner_mut(number).filter(standing) else { return };
        connection.state = OwnerState::Connected;
        let (owner, max_version) = (connection.owner.clone(), connection.max_version);
        if connection.is_of_owner() && !over {
            let service = self.id;
            let told = RelayEvent::OwnerConnected { service, owner, connection: number, max_version };
            context.out.events.push(told);
        } else if over && let Some(connection) = self.owner_mut(number) {
            connection.delete_at = Some(context.env.now);
        }
        self.log_connection(number, ConnectionState::Connected, context);
        if self.may_be_counted_on()
            && let Some(leave) = self.leave_message(context)
        {
            self.push(number, leave);
        }
    }

    /// Whether an owner who was answered before the service ended still believes in it.
    pub(super) fn may_be_counted_on(&self) -> bool {
        let owner_knows = matches!(
            self.status,
            Status::Rejected(Rejection::Refused(_)) | Status::Inactive(Inactivity::Removed | Inactivity::GroupDeleted)
        );
        !self.status.is_current() && !owner_knows && self.link.is_some()
    }

    pub(super) fn log_connection(&mut self, number: u64, state: ConnectionState, context: &mut Context<'_, '_>) {
        let connection = self.connection_name(number).to_string();
        self.log(LogEvent::Connection { connection, state }, context);
    }

    /// Nothing comes through the connection any more: perhaps the relay was removed.
    pub(super) fn owner_lost(&mut self, number: u64, context: &mut Context<'_, '_>) {
        let now = context.env.now;
        let Some(connection) = self.owner_mut(number).filter(|connection| connection.delete_at.is_none()) else {
            return;
        };
        connection.delete_at = Some(now);
        self.outbox.retain(|outgoing| outgoing.connection != number);
        if self.notified == Some(number) {
            self.notified = None;
        }
        if let Some(watch) = &mut self.watch {
            watch.next = now;
        }
        self.owner_parted(number, context);
        self.log_connection(number, ConnectionState::Lost, context);
    }

    fn owner_parted(&self, number: u64, context: &mut Context<'_, '_>) {
        if let Some(connection) = self.owner(number) {
            let owner = connection.owner.clone();
            context.out.events.push(RelayEvent::OwnerLost { service: self.id, owner, connection: number });
        }
    }

    /// The connection is deleted; the request that was to make it, if that was not answered.
    pub(super) fn owner_gone(&mut self, number: u64, context: &mut Context<'_, '_>) -> Option<u64> {
        self.owner_parted(number, context);
        let asked = |connection: &&OwnerConnection| connection.state == OwnerState::Asked;
        let unanswered = self.owner(number).filter(asked);
        if let Some(through_link) = unanswered.filter(|connection| connection.through_link) {
            self.dismiss_owner(through_link.request, context);
        }
        let unanswered = unanswered.filter(|connection| !connection.through_link).map(|connection| connection.request);
        self.owners.retain(|connection| connection.number != number);
        self.outbox.retain(|outgoing| outgoing.connection != number);
        self.touch(context);
        unanswered
    }

    /// Refuses the invitation.
    pub(super) fn refuse(&mut self, refusal: GroupRefusal, context: &mut Context<'_, '_>) {
        let GroupRefusal { reason, detail } = refusal;
        if self.advance(Status::Rejected(Rejection::Refused(reason)), context) {
            self.log(LogEvent::Refused { detail }, context);
            self.end(context);
        }
    }

    /// Ends the service because of something that an owner did, or that was seen in the group link.
    pub(super) fn deactivate(&mut self, why: Inactivity, context: &mut Context<'_, '_>) {
        let was_serving = self.status.is_serving();
        if !self.advance(Status::Inactive(why), context) {
            return;
        }
        self.end(context);
        match why {
            // Members get the owner's own word; the owner needs none.
            Inactivity::Removed | Inactivity::GroupDeleted => self.drop_owners(context.env.now),
            Inactivity::Replaced => {
                self.say_farewell(was_serving, context);
                self.drop_connected(context.env.now);
            }
            Inactivity::Absent | Inactivity::LinkGone | Inactivity::NeverListed | Inactivity::OwnLinkLost => {
                self.say_farewell(was_serving, context);
                self.drop_owners(context.env.now.after(context.settings.cleanup_after));
            }
            Inactivity::Allowed => {}
        }
    }

    /// Leaves the group because the operator wants so.
    pub(super) fn leave(&mut self, context: &mut Context<'_, '_>) {
        let was_serving = self.status.is_serving();
        if self.advance(Status::Rejected(Rejection::Left), context) {
            self.end(context);
            self.say_farewell(was_serving, context);
            self.drop_connected(context.env.now);
        }
    }

    /// What holds for every end: nobody finds the relay any more, and it looks at nothing any more.
    fn end(&mut self, context: &mut Context<'_, '_>) {
        self.link.as_mut().into_iter().for_each(RelayLink::delete);
        self.asking = Asking::default();
        self.watch = None;
        self.notified = None;
        self.outbox.clear();
        self.rosters.stop();
        self.touch(context);
        self.touch_roster(context);
    }

    /// Connections are deleted at that time; those that wait for an answer get it first.
    pub(super) fn drop_owners(&mut self, at: Time) {
        for connection in self.owners.iter_mut().filter(|connection| connection.state != OwnerState::Asked) {
            connection.delete_at = Some(connection.delete_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Connections through which the end can be told are deleted at that time. Those that only wait for the owner's
    /// word stay until it comes, and the end is told then.
    fn drop_connected(&mut self, at: Time) {
        for connection in self.owners.iter_mut().filter(|connection| connection.state == OwnerState::Connected) {
            connection.delete_at = Some(connection.delete_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Tells everybody that the relay leaves, under its signature.
    fn say_farewell(&mut self, was_serving: bool, context: &mut Context<'_, '_>) {
        if let Some(body) = self.leave_message(context).filter(|_| was_serving) {
            let connected = self.owners.iter().filter(|connection| connection.state == OwnerState::Connected);
            let numbers: Vec<u64> = connected.map(|connection| connection.number).collect();
            numbers.into_iter().for_each(|number| self.push(number, body.clone()));
            self.farewell = Some(body);
        }
    }

    fn leave_message(&self, context: &mut Context<'_, '_>) -> Option<Vec<u8>> {
        let group = self.group.as_ref()?;
        let member = &self.invitation.relay_member_id;
        let signer = Signer { group: &group.group_id, member, key: &self.member_key };
        single(signer.sign(Message::named(Event::GroupLeave, context.env.random))).ok()
    }

    /// Says something to an owner.
    pub(super) fn tell(&mut self, number: u64, event: Event, context: &mut Context<'_, '_>) {
        let message = Message::named(event, context.env.random);
        match single(Element::from(message)) {
            Ok(body) => self.push(number, body),
            Err(error) => self.log(LogEvent::Failed { what: "message".to_owned(), why: error.to_string() }, context),
        }
        self.touch(context);
    }

    fn push(&mut self, connection: u64, body: Vec<u8>) {
        self.outbox.push_back(Outgoing { number: self.next_outgoing, connection, body });
        self.next_outgoing = self.next_outgoing.saturating_add(1);
    }

    /// How messages that wait are dealt with when a connection is deleted: the last word is to arrive.
    pub(super) fn delivery(&self, number: u64) -> Delivery {
        let connected = self.owner(number).is_some_and(|connection| connection.state == OwnerState::Connected);
        if connected { Delivery::Await } else { Delivery::Drop }
    }

    /// Changes whether members are admitted.
    pub(super) fn admit(&mut self, by: AdmissionBy, suspended: bool, context: &mut Context<'_, '_>) {
        let place = match by {
            AdmissionBy::Owner => &mut self.admission.suspended_by_owner,
            AdmissionBy::Operator => &mut self.admission.suspended_by_operator,
        };
        if *place != suspended {
            *place = suspended;
            let accepting = self.is_accepting(context.settings);
            self.log(LogEvent::Admission { by, accepting }, context);
            context.out.events.push(RelayEvent::Admission { service: self.id, accepting });
        }
    }

    /// Owners that are connected so that nobody else can be at the other end, with the numbers of their connections and
    /// what their programs speak at most.
    pub fn connected_owners(&self) -> impl Iterator<Item = (&MemberId, u64, u16)> {
        let standing = |connection: &&OwnerConnection| {
            connection.is_of_owner() && connection.state == OwnerState::Connected && connection.delete_at.is_none()
        };
        let owners = self.owners.iter().filter(standing);
        owners.map(|connection| (&connection.owner, connection.number, connection.max_version))
    }

    /// Whether nothing of it is left to be done.
    pub(super) fn is_over(&self) -> bool {
        let undeleted = |link: &RelayLink| link.is_planned() || link.is_abandoned() || link.is_deleting();
        !self.status.is_current() && self.owners.is_empty() && !self.link.as_ref().is_some_and(undeleted)
    }

    /// Whether nothing of it is left to be done, and it need not be remembered.
    pub(super) fn is_forgettable(&self, settings: &RelaySettings, now: Time) -> bool {
        if !self.is_over() {
            return false;
        }
        match &self.status {
            Status::Rejected(Rejection::Refused(_)) if self.link.is_none() => true,
            // Its member ID must not get another link.
            Status::Rejected(Rejection::Refused(_)) | Status::Inactive(_) => {
                now.since(self.since) >= settings.forget_after
            }
            _ => false,
        }
    }
}

/// What the relay says it can do.
pub(super) fn capabilities(settings: &RelaySettings) -> RelayCapabilities {
    RelayCapabilities { web_domain: settings.web_domain.clone(), ext: EXTENSIONS.into_iter().collect() }
}
