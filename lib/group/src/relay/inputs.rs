//! What comes in through the agent: requests to the address, what owners say, connections that stand or are lost.

use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use smp::address::ServerAddress;

use super::check::GroupRefusal;
use super::event::{Dismissal, Event as RelayEvent};
use super::index::Standing;
use super::invitation::Invitation;
use super::journal::LogEvent;
use super::name::{ConnectionName, ServiceId};
use super::record::RecordKey;
use super::running::UNREACHABLE;
use super::service::{Context, OwnerConnection, OwnerState, Service};
use super::settings::RelaySettings;
use super::state::Relay;
use super::status::{Inactivity, Status};
use super::test_address::AddressTest;
use crate::body::ConnectionInfo;
use crate::event::{Event, RejectionReason};
use crate::identity::MemberId;

impl Relay {
    /// Somebody asks for something through the relay's address. The agent may tell of a request more than once.
    pub fn requested(&mut self, request: u64, info: &[u8], env: &mut Env<'_>) -> Vec<RelayEvent> {
        if self.tests.contains_key(&request) || self.index.knows_request(request) {
            return Vec::new();
        }
        let outcome = match ConnectionInfo::parse(info) {
            Ok(info) => self.asked(request, &info, env),
            Err(_) => Err(Dismissal::Unintelligible),
        };
        if let Err(dismissal) = outcome {
            self.dismissed.insert(request);
            self.out.events.push(RelayEvent::Dismissed(dismissal));
        }
        self.told(env)
    }

    fn asked(&mut self, request: u64, info: &ConnectionInfo, env: &mut Env<'_>) -> Result<(), Dismissal> {
        match info.event() {
            Event::GroupRelayTest(test) => self.test_requested(request, test, env),
            Event::GroupRelayInvite(invite) => {
                let versions = info.authored().message().versions;
                let invitation = Invitation::new(&invite.group_relay_invitation, versions)?;
                self.invited(request, invitation, env)
            }
            _ => Err(Dismissal::Unintelligible),
        }
    }

    /// A repeated invitation gets the same answer; a new one is a new service. What was refused before there was a link
    /// is judged anew: the group may be in order by now, or be allowed again.
    fn invited(&mut self, request: u64, invitation: Invitation, env: &mut Env<'_>) -> Result<(), Dismissal> {
        let owner = invitation.owner.clone();
        let max_version = invitation.versions.max();
        let settled = |service: &&Service| !service.status.is_refused() || service.link.is_some();
        let repeats = |service: &&Service| service.invitation.repeats(&invitation);
        let repeated = self.of_link(&invitation.group_link).filter(settled).find(repeats);
        let id = match repeated {
            Some(service) if !service.is_by(&owner) => return Err(Dismissal::OtherOwner),
            Some(service) => service.id,
            None => self.new_service(invitation, env)?,
        };
        self.with(id, env, |service, context| service.add_owner(owner, request, max_version, context));
        Ok(())
    }

    /// Services that were invited with a group link.
    fn of_link<'a>(&'a self, link: &'a ContactShortLink) -> impl Iterator<Item = &'a Service> {
        let services = self.index.with_key_of(link).filter_map(|id| self.service(id));
        services.filter(|service| service.invitation.group_link.same_link(link))
    }

    fn new_service(&mut self, invitation: Invitation, env: &mut Env<'_>) -> Result<ServiceId, Dismissal> {
        let refusal = match self.refusal(&invitation) {
            None if !self.has_room_to_read(&invitation.group_link.server, env) => {
                full("too many group links are to be read")
            }
            refusal => refusal,
        };
        if refusal.is_some() && !self.has_room_to_refuse(env) {
            return Err(Dismissal::Busy);
        }
        let id = self.next_service();
        let service = self.with_context(env, |context| {
            let mut service = Service::new(id, invitation, context);
            if let Some(refusal) = refusal {
                service.refuse(refusal, context);
            }
            service
        });
        self.insert(service);
        Ok(id)
    }

    /// What can be refused without a look at the group link.
    fn refusal(&self, invitation: &Invitation) -> Option<GroupRefusal> {
        let settings = &self.settings;
        let same_group = || self.of_link(&invitation.group_link);
        let waiting = |service: &&Service| service.status.is_current() && service.status != Status::Active;
        if same_group().any(|service| service.status.is_left()) {
            Some(GroupRefusal::new(RejectionReason::RejoinRejected, "the operator left this group"))
        } else if same_group().filter(waiting).count() >= settings.max_unlisted {
            full("too many invitations to this group are not listed")
        } else if self.index.count(Standing::Current) >= settings.max_services {
            full("too many groups are served")
        } else if self.index.count(Standing::Unlisted) >= settings.max_unlisted_services {
            full("too many groups do not list the relay yet")
        } else {
            None
        }
    }

    /// Whether another group link may wait to be read, if need be instead of one that is given up. Its owner is told.
    fn has_room_to_read(&mut self, server: &ServerAddress, env: &mut Env<'_>) -> bool {
        if self.index.count(Standing::Unread) < self.settings.max_unread {
            return true;
        }
        let Some(id) = self.to_give_up(server).filter(|_| self.has_room_to_refuse(env)) else { return false };
        let refusal = GroupRefusal::new(RejectionReason::from(UNREACHABLE), "given up for another invitation");
        self.with(id, env, |service, context| service.refuse(refusal, context));
        true
    }

    /// Whether another refusal may wait for its peer. Where there are too many, the oldest that was sent is waited for
    /// no longer.
    fn has_room_to_refuse(&mut self, env: &mut Env<'_>) -> bool {
        if self.index.count(Standing::Refused) < self.settings.max_transient {
            return true;
        }
        let refused = self.index.standing(Standing::Refused).filter_map(|id| self.service(id));
        let sent = |service: &&Service| service.owners.iter().all(|owner| owner.state != OwnerState::Asked);
        let Some(oldest) = { refused }.find(sent).map(Service::id) else { return false };
        self.with(oldest, env, |service, context| service.drop_owners(context.env.now));
        true
    }

    /// The owner answered the relay's answer, and says this.
    pub fn informed(&mut self, connection: &ConnectionName, info: &[u8], env: &mut Env<'_>) -> Vec<RelayEvent> {
        let ConnectionName::Owner(id, number) = *connection else { return Vec::new() };
        let said = ConnectionInfo::parse(info);
        let known = self.with(id, env, |service, context| {
            service.answered(number, context);
            let event = match said {
                Ok(info) => LogEvent::Said { what: info.event().name().to_owned() },
                Err(error) => LogEvent::Ignored { what: None, why: error.to_string() },
            };
            service.log(event, context);
            if !service.status.is_current()
                && !service.may_be_counted_on()
                && let Some(connection) = service.owner_mut(number)
            {
                // Nothing was agreed: that the owner knows is all that was waited for.
                connection.delete_at = Some(context.env.now);
            }
        });
        self.unknown_unless(known, connection);
        self.told(env)
    }

    /// The connection stands. What follows comes from the owner.
    pub fn connected(&mut self, connection: &ConnectionName, env: &mut Env<'_>) -> Vec<RelayEvent> {
        match *connection {
            ConnectionName::Owner(id, number) => {
                let known = self.with(id, env, |service, context| service.connected(number, context));
                self.unknown_unless(known, connection);
            }
            ConnectionName::Test(request) => self.test_answered(request, env),
            ConnectionName::Address | ConnectionName::Link(_) | ConnectionName::Member(..) => {}
        }
        self.told(env)
    }

    /// A message came, which reached our queue at that time in Unix seconds. It may be acknowledged once the changes are
    /// durable, whatever it says.
    pub fn received(
        &mut self,
        connection: &ConnectionName,
        sent_at: i64,
        body: &[u8],
        env: &mut Env<'_>,
    ) -> Vec<RelayEvent> {
        let ConnectionName::Owner(id, number) = *connection else { return Vec::new() };
        let known = self.with(id, env, |service, context| service.received(number, sent_at, body, context));
        self.unknown_unless(known, connection);
        self.told(env)
    }

    /// Nothing will come through the connection any more, or it could not be made.
    pub fn connection_lost(&mut self, connection: &ConnectionName, env: &mut Env<'_>) -> Vec<RelayEvent> {
        match *connection {
            ConnectionName::Owner(id, number) => {
                self.with(id, env, |service, context| service.owner_lost(number, context));
            }
            ConnectionName::Link(id) => {
                self.with(id, env, |service, context| {
                    if service.status.is_serving() {
                        service.deactivate(Inactivity::OwnLinkLost, context);
                    }
                });
            }
            ConnectionName::Test(request) => self.test_over(request, env.now),
            ConnectionName::Address | ConnectionName::Member(..) => {}
        }
        self.told(env)
    }

    fn test_over(&mut self, request: u64, now: Time) {
        if let Some(test) = self.tests.get_mut(&request) {
            test.answered = true;
            test.delete_at = now;
            self.out.dirty.insert(RecordKey::Test(request));
        }
    }

    /// Time has passed. Call it when [`Relay::next_due`] says so.
    pub fn elapsed(&mut self, env: &mut Env<'_>) -> Vec<RelayEvent> {
        for id in self.index.due(env.now) {
            let settings = &self.settings;
            let overdue = |service: &Service| service.deadlines(settings).any(|deadline| deadline <= env.now);
            if self.services.get(&id).is_some_and(overdue) {
                self.with(id, env, Service::elapsed);
            }
            self.forget_finished(id, env);
        }
        let unanswered = |test: &AddressTest| !test.answered;
        let expired: Vec<u64> = self
            .tests
            .iter()
            .filter(|(_, test)| unanswered(test) && test.delete_at <= env.now)
            .map(|(request, _)| *request)
            .collect();
        for request in expired {
            self.test_gone(request);
            self.dismissed.insert(request);
        }
        self.told(env)
    }

    pub(super) fn unknown_unless(&mut self, known: Option<()>, connection: &ConnectionName) {
        if known.is_none() {
            self.out.events.push(RelayEvent::UnknownConnection(*connection));
        }
    }
}

impl Service {
    /// Whether it may be asked again by this owner: the one that asked first, or another one of the group.
    fn is_by(&self, owner: &MemberId) -> bool {
        self.invitation.owner == *owner || self.group.as_ref().is_some_and(|group| group.has_owner(owner))
    }

    /// When something ends by itself.
    pub(super) fn deadlines(&self, settings: &RelaySettings) -> impl Iterator<Item = Time> {
        let silent: Vec<Time> = self.owners.iter().filter_map(|owner| self.silent_until(owner, settings)).collect();
        let over = self.owners.is_empty() && !self.status.is_current() && !self.status.is_left();
        let had_link = self.link.is_some() || !self.status.is_refused();
        let forgotten = over.then(|| if had_link { self.since.after(settings.forget_after) } else { self.since });
        self.listed_until(settings).into_iter().chain(silent).chain(forgotten)
    }

    /// How long the service waits to be listed, or for whatever comes before: to find out what the group link says, or for
    /// an owner who can be answered.
    fn listed_until(&self, settings: &RelaySettings) -> Option<Time> {
        let waits = self.status.is_current() && self.status != Status::Active;
        waits.then(|| self.since.after(settings.listing_patience))
    }

    /// How long a connection waits for a peer that was answered. Owners may be away for days; who was refused is not
    /// waited for so long.
    fn silent_until(&self, connection: &OwnerConnection, settings: &RelaySettings) -> Option<Time> {
        let waits = connection.state == OwnerState::Answered && connection.delete_at.is_none();
        let patience = if self.status.is_current() { settings.listing_patience } else { settings.cleanup_after };
        waits.then(|| connection.since.after(patience))
    }

    fn elapsed(&mut self, context: &mut Context<'_, '_>) {
        let now = context.env.now;
        let over = |deadline: Option<Time>| deadline.is_some_and(|deadline| deadline <= now);
        if over(self.listed_until(context.settings)) && self.status == Status::Invited {
            self.refuse(GroupRefusal::new(RejectionReason::from(UNREACHABLE), "nothing came of it"), context);
        } else if over(self.listed_until(context.settings)) {
            self.deactivate(Inactivity::NeverListed, context);
        }
        let silent = self.owners.iter().filter(|owner| over(self.silent_until(owner, context.settings)));
        let silent: Vec<u64> = silent.map(|owner| owner.number).collect();
        for owner in self.owners.iter_mut().filter(|owner| silent.contains(&owner.number)) {
            owner.delete_at = Some(now);
        }
    }
}

fn full(detail: &str) -> Option<GroupRefusal> {
    Some(GroupRefusal::new(RejectionReason::Capacity, detail))
}
