//! What tasks are about, and what becomes of them.

use agent::connection::Delivery;
use agent::link_read::RetrievedLinkData;
use agent::time::{Env, Time};

use super::check::{GroupRefusal, admit_group, verify_group};
use super::event::Event;
use super::group::ServedGroup;
use super::index::Standing;
use super::journal::LogEvent;
use super::link::{LinkState, RelayLink};
use super::members::answer_owner;
use super::name::{ConnectionName, ServiceId};
use super::service::{Context, OwnerConnection, OwnerState, Service};
use super::state::Relay;
use super::status::Status;
use super::task::{Outcome, PolicyQuestion, Task, TaskId, Verdict};
use super::watch::Watch;
use super::work::Work;
use crate::event::RejectionReason;
use crate::identity::GroupId;

/// What a refusal says when a server could not be reached for a day.
pub(super) const UNREACHABLE: &str = "unreachable";

impl Relay {
    /// What a task is about. `None` if it is not to be run any more.
    pub fn task(&self, id: &TaskId, env: &mut Env<'_>) -> Option<Task> {
        match *id {
            TaskId::ReadGroupLink(service) | TaskId::CheckLink(service) => {
                let link = self.service(service)?.invitation.group_link.clone();
                let link_id = link.derive().0;
                Some(Task::ReadLink { link, link_id })
            }
            TaskId::AskPolicy(service) => {
                let service = self.service(service)?;
                let (invitation, group) = (service.invitation.clone(), service.group.clone()?);
                Some(Task::AskPolicy(Box::new(PolicyQuestion { service: service.id, invitation, group })))
            }
            TaskId::CreateLink(service) => {
                let planned = self.service(service)?.link.as_ref()?.to_create()?;
                let (link, data, server) = planned.ok()?;
                Some(Task::CreateLink { connection: ConnectionName::Link(service), link: link.into(), data, server })
            }
            TaskId::Answer(connection) => {
                let (at, request, info) = self.answer(&connection)?;
                let server = self.settings.draw_server(env.random).clone();
                Some(Task::Answer { at, request, connection, server, info })
            }
            TaskId::Dismiss(request) => Some(Task::Dismiss(request)),
            TaskId::Send(service, number) => {
                let service = self.service(service)?;
                let outgoing = service.outbox.iter().find(|outgoing| outgoing.number == number)?;
                let connection = service.connection_name(outgoing.connection);
                Some(Task::Send { connection, body: outgoing.body.clone() })
            }
            TaskId::DeleteConnection(connection) => {
                let delivery = match connection {
                    ConnectionName::Owner(service, number) => self.service(service)?.delivery(number),
                    ConnectionName::Test(_) => Delivery::Await,
                    ConnectionName::Link(_) | ConnectionName::Address | ConnectionName::Member(..) => Delivery::Drop,
                };
                Some(Task::DeleteConnection(connection, delivery))
            }
        }
    }

    /// Where the request came, which one it is, and what it is answered.
    fn answer(&self, connection: &ConnectionName) -> Option<(ConnectionName, u64, Vec<u8>)> {
        match *connection {
            ConnectionName::Owner(id, number) => {
                let service = self.service(id)?;
                let OwnerConnection { owner, request, through_link, .. } = service.owner(number)?;
                if *through_link {
                    let info = answer_owner(&self.view(id)?, owner, service.group.as_ref()?.member_count);
                    return Some((ConnectionName::Link(id), *request, info));
                }
                Some((ConnectionName::Address, *request, service.answer_info(&self.settings)?))
            }
            ConnectionName::Test(request) => {
                let info = self.tests.get(&request)?.answer_info(&self.identity)?;
                Some((ConnectionName::Address, request, info))
            }
            ConnectionName::Address | ConnectionName::Link(_) | ConnectionName::Member(..) => None,
        }
    }

    /// Takes the outcome of a task.
    pub fn finish(&mut self, id: &TaskId, outcome: Outcome, env: &mut Env<'_>) -> Vec<Event> {
        match (*id, outcome) {
            (TaskId::ReadGroupLink(service), outcome) => {
                self.read_ended(service, outcome != Outcome::Unreachable, env.now);
                self.group_link_read(service, outcome, env);
            }
            (TaskId::AskPolicy(service), outcome) => {
                self.with(service, env, |service, context| service.policy_asked(outcome, context));
            }
            (TaskId::CreateLink(service), outcome) => {
                self.with(service, env, |service, context| service.link_created(outcome, context));
            }
            (TaskId::CheckLink(service), outcome) => {
                if outcome == Outcome::Unreachable {
                    self.postpone_checks(service, env.now);
                }
                self.with(service, env, |service, context| service.link_checked(outcome, context));
            }
            (task, Outcome::Unreachable) => {
                let before = self.retries.get(&task).copied().unwrap_or_else(|| Work::new(env.now));
                self.retries.insert(task, before.failed(env.now));
            }
            (task, outcome) => {
                self.retries.remove(&task);
                let failure = match outcome {
                    Outcome::Failed(why) => Some(why),
                    _ => None,
                };
                self.finished(task, failure, env);
            }
        }
        self.told(env)
    }

    fn finished(&mut self, task: TaskId, failure: Option<String>, env: &mut Env<'_>) {
        match task {
            TaskId::Answer(ConnectionName::Owner(id, number)) => {
                self.with(id, env, |service, context| match failure {
                    None => service.answered(number, context),
                    Some(why) => {
                        service.log(LogEvent::Failed { what: "answer".to_owned(), why }, context);
                        service.owner_lost(number, context);
                    }
                });
            }
            TaskId::Answer(ConnectionName::Test(request)) => match failure {
                None => self.test_answered(request, env),
                Some(_) => {
                    self.test_gone(request);
                    self.dismissed.insert(request);
                }
            },
            TaskId::Dismiss(request) => {
                self.dismissed.remove(&request);
            }
            TaskId::Send(id, number) => {
                self.with(id, env, |service, context| {
                    service.outbox.retain(|outgoing| outgoing.number != number);
                    let failed = failure.map(|why| LogEvent::Failed { what: "send".to_owned(), why });
                    failed.into_iter().for_each(|event| service.log(event, context));
                });
            }
            TaskId::DeleteConnection(connection) => self.deleted(connection, env),
            _ => {}
        }
    }

    /// A connection is gone, or its agent will see to that.
    fn deleted(&mut self, connection: ConnectionName, env: &mut Env<'_>) {
        let (ConnectionName::Owner(id, _) | ConnectionName::Link(id)) = connection else {
            if let ConnectionName::Test(request) = connection {
                self.test_gone(request);
            }
            return;
        };
        let unanswered = self.with(id, env, |service, context| match connection {
            ConnectionName::Owner(_, number) => service.owner_gone(number, context),
            _ => {
                service.link.iter_mut().for_each(|link| link.state = LinkState::Deleted);
                None
            }
        });
        // A request that nobody answers waits in the agent until it is told.
        self.dismissed.extend(unanswered.flatten());
        self.forget_finished(id, env);
    }

    /// A group that was left is known by its ID as well: a new link to it changes nothing.
    fn group_link_read(&mut self, id: ServiceId, outcome: Outcome, env: &mut Env<'_>) {
        let left: Vec<GroupId> =
            self.index.standing(Standing::Left).filter_map(|id| self.service(id)?.group_id()).collect();
        self.with(id, env, |service, context| service.group_read(outcome, &left, context));
    }
}

impl Service {
    /// What a new invitation waits for.
    pub(super) fn work_task(&self, settings: &super::RelaySettings) -> Option<TaskId> {
        if self.link.as_ref().is_some_and(RelayLink::is_abandoned) {
            return Some(TaskId::CreateLink(self.id));
        }
        let created = self.link.as_ref().map(RelayLink::is_planned);
        match (&self.status, &self.group, created) {
            (Status::Invited, None, _) => Some(TaskId::ReadGroupLink(self.id)),
            (Status::Invited, Some(_), None) if settings.ask_policy => Some(TaskId::AskPolicy(self.id)),
            // Whoever was asked before the relay restarted is not asked any more.
            (Status::Invited, Some(_), None) => Some(TaskId::ReadGroupLink(self.id)),
            (Status::Invited, Some(_), Some(true)) => Some(TaskId::CreateLink(self.id)),
            _ => None,
        }
    }

    pub(super) fn work_due(&self, settings: &super::RelaySettings, now: Time) -> Option<(&Work, TaskId)> {
        let task = self.work_task(settings)?;
        (self.work.next <= now).then_some((&self.work, task))
    }

    pub(super) fn tasks_due(&self, now: Time, tasks: &mut Vec<TaskId>) {
        for connection in &self.owners {
            let first = self.outbox.iter().find(|outgoing| outgoing.connection == connection.number);
            match (connection.state, first) {
                (OwnerState::Asked, _) if connection.delete_at.is_some_and(|at| at <= now) => {
                    tasks.push(TaskId::DeleteConnection(self.connection_name(connection.number)));
                }
                (OwnerState::Asked, _) if self.status != Status::Invited => {
                    tasks.push(TaskId::Answer(self.connection_name(connection.number)));
                }
                (OwnerState::Connected, Some(first)) => tasks.push(TaskId::Send(self.id, first.number)),
                _ if connection.delete_at.is_some_and(|at| at <= now) => {
                    tasks.push(TaskId::DeleteConnection(self.connection_name(connection.number)));
                }
                _ => {}
            }
        }
        if self.link.as_ref().is_some_and(RelayLink::is_deleting) {
            tasks.push(TaskId::DeleteConnection(ConnectionName::Link(self.id)));
        }
    }

    fn group_read(&mut self, outcome: Outcome, left: &[GroupId], context: &mut Context<'_, '_>) {
        if self.status != Status::Invited || self.link.is_some() {
            return;
        }
        match outcome {
            Outcome::LinkData(data) => match self.admitted(&data, left, context) {
                Ok(group) => self.group_admitted(group, &data, context),
                Err(refusal) => self.refuse(refusal, context),
            },
            Outcome::Unreachable => self.try_later("read group link", context),
            Outcome::NoLink => {
                let refusal = GroupRefusal::new(RejectionReason::BadProfile, "the group link leads nowhere");
                self.refuse(refusal, context);
            }
            Outcome::Failed(why) => self.refuse(GroupRefusal::new(RejectionReason::BadProfile, why), context),
            Outcome::Done | Outcome::Verdict(_) => {}
        }
    }

    fn admitted(
        &self,
        data: &RetrievedLinkData,
        left: &[GroupId],
        context: &Context<'_, '_>,
    ) -> Result<ServedGroup, GroupRefusal> {
        let verified = verify_group(&self.invitation.group_link, data.clone())?;
        if left.contains(&verified.group_id()) {
            let detail = "the operator left this group, which has another link now";
            return Err(GroupRefusal::new(RejectionReason::RejoinRejected, detail));
        }
        admit_group(&self.invitation, &verified, context.settings)
    }

    fn group_admitted(&mut self, group: ServedGroup, data: &RetrievedLinkData, context: &mut Context<'_, '_>) {
        let name = group.profile.display_name.clone();
        self.log(LogEvent::GroupRead { group_id: group.group_id, name }, context);
        self.group = Some(group);
        self.watch = Some(Watch::new(data, context.env.now));
        self.work = Work::new(context.env.now);
        if !context.settings.ask_policy {
            self.plan_link(context);
        }
    }

    fn policy_asked(&mut self, outcome: Outcome, context: &mut Context<'_, '_>) {
        if self.status != Status::Invited || self.link.is_some() {
            return;
        }
        match outcome {
            Outcome::Verdict(Verdict::Accept) => self.plan_link(context),
            Outcome::Verdict(Verdict::Refuse(reason)) => {
                self.refuse(GroupRefusal::new(reason, "the operator's policy says no"), context);
            }
            Outcome::Unreachable | Outcome::Failed(_) => self.try_later("ask policy", context),
            Outcome::Done | Outcome::NoLink | Outcome::LinkData(_) => {}
        }
    }

    /// The one link that this service will ever have.
    fn plan_link(&mut self, context: &mut Context<'_, '_>) {
        let Some(group) = self.group.as_ref().filter(|_| self.link.is_none()) else { return };
        let server = context.settings.draw_server(context.env.random);
        let member = &self.invitation.relay_member_id;
        let (identity, random) = (context.identity, &mut *context.env.random);
        match RelayLink::plan(&group.group_id, member, &self.member_key, identity, server, random) {
            Ok(link) => {
                self.log(LogEvent::LinkPlanned { relay_link: link.link.to_string() }, context);
                self.link = Some(link);
                self.work = Work::new(context.env.now);
            }
            Err(error) => self.refuse(GroupRefusal::new(RejectionReason::Capacity, error), context),
        }
    }

    fn link_created(&mut self, outcome: Outcome, context: &mut Context<'_, '_>) {
        if self.link.as_ref().is_some_and(RelayLink::is_abandoned) {
            return self.abandoned_link_created(&outcome, context);
        }
        let Some(link) = self.link.as_mut().filter(|link| link.is_planned()) else { return };
        if self.status != Status::Invited {
            return;
        }
        match outcome {
            Outcome::Done => {
                link.state = LinkState::Created;
                self.advance(Status::LinkCreated, context);
            }
            Outcome::Unreachable => self.try_later("create relay link", context),
            Outcome::Failed(why) => {
                self.log(LogEvent::Failed { what: "create relay link".to_owned(), why }, context);
                self.try_later("create relay link", context);
            }
            Outcome::NoLink | Outcome::LinkData(_) | Outcome::Verdict(_) => {}
        }
    }

    /// Now it can be deleted; or it is given up, and was hardly ever created.
    fn abandoned_link_created(&mut self, outcome: &Outcome, context: &mut Context<'_, '_>) {
        self.work = self.work.failed(context.env.now);
        if (*outcome == Outcome::Done || self.work.is_expired(context.env.now))
            && let Some(link) = &mut self.link
        {
            link.state = LinkState::Deleting;
        }
    }

    /// Failed for a reason that may pass; after a day of it the owner is told.
    fn try_later(&mut self, what: &str, context: &mut Context<'_, '_>) {
        self.work = self.work.failed(context.env.now);
        let attempts = self.work.attempts;
        self.log(LogEvent::Retry { what: what.to_owned(), attempts }, context);
        if self.work.is_expired(context.env.now) {
            let reason = RejectionReason::from(UNREACHABLE);
            self.refuse(GroupRefusal::new(reason, format!("{what}: {attempts} tries failed")), context);
        }
    }
}
