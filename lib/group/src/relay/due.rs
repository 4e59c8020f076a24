//! What is to be done now: of everything that is due, as much as others may take of the relay's time.
//!
//! Strangers name the servers of group links. A server takes only its share of the reads that are under way; one that
//! could not be reached is tried again by a single read, after a growing delay, whoever waits for it; and looks at group
//! links wait for each other no longer than one of them may take.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use agent::time::Time;
use smp::address::{Host, ServerAddress};

use super::index::Standing;
use super::name::{ConnectionName, ServiceId};
use super::service::{OwnerState, Service};
use super::settings::RelaySettings;
use super::state::Relay;
use super::status::{Rejection, Status};
use super::task::TaskId;
use super::work::Work;

/// Looks at group links that are considered for those that may be run: this is done whenever anything happens.
const CONSIDERED: usize = 512;

/// Where a server is: whoever is there may go by many keys.
type Place = (Host, u16);

/// Servers that could not be reached when a new group link was to be read.
#[derive(Debug, Default)]
pub(super) struct Stuck(BTreeMap<Place, Work>);

/// What each server has of the reads under way.
struct Shares<'a> {
    stuck: &'a Stuck,
    most: usize,
    now: Time,
    taken: BTreeMap<(&'a Host, u16), usize>,
}

fn place(server: &ServerAddress) -> Place {
    (server.first_host().clone(), server.port_or_default())
}

impl Stuck {
    /// A read failed there, and the tries before it: the server is to be left alone no shorter than the invitation.
    fn failed(&mut self, server: &ServerAddress, tries: Work, now: Time) {
        let before = self.0.get(&place(server)).copied().filter(|before| before.attempts > tries.attempts);
        self.0.insert(place(server), before.unwrap_or(tries).failed(now));
    }

    fn answered(&mut self, server: &ServerAddress) {
        self.0.remove(&place(server));
    }

    fn retain(&mut self, wanted: impl Fn(&Place) -> bool) {
        self.0.retain(|place, _| wanted(place));
    }

    fn moments(&self) -> impl Iterator<Item = Time> {
        self.0.values().map(|work| work.next)
    }
}

impl<'a> Shares<'a> {
    /// Whether one more read may be under way there.
    fn take(&mut self, server: &'a ServerAddress) -> bool {
        let stuck = if self.stuck.0.is_empty() { None } else { self.stuck.0.get(&place(server)) };
        let most = match stuck {
            Some(work) if work.next > self.now => 0,
            Some(_) => 1,
            None => self.most,
        };
        let taken = self.taken.entry((server.first_host(), server.port_or_default())).or_default();
        if *taken >= most {
            return false;
        }
        *taken = taken.saturating_add(1);
        true
    }
}

impl Relay {
    /// Tasks that are to be run now, as far as they are not under way. New invitations come in the order in which they
    /// are to be worked on, and only so many at a time.
    pub fn due(&self, now: Time) -> Vec<TaskId> {
        self.choose(now, self.index.due(now), self.index.checks(now))
    }

    /// When there will be tasks or [`Relay::elapsed`] is to be called, if nothing happens before.
    pub fn next_due(&self, now: Time) -> Option<Time> {
        let others = self.moments_of_others().filter(|time| *time > now);
        self.index.next(now).into_iter().chain(others).min()
    }

    /// What [`Relay::due`] and [`Relay::next_due`] say, found by looking at every service: slow, and nothing can be
    /// forgotten.
    #[doc(hidden)]
    pub fn scan(&self, now: Time) -> (Vec<TaskId>, Option<Time>) {
        let check = |service: &Service| service.check_at().map(|check| (check, service.id));
        let mut checks: Vec<(Time, ServiceId)> = self.services.values().filter_map(check).collect();
        checks.sort();
        let of_services = self.services.values().flat_map(|service| service.moments(&self.settings));
        let moments = of_services.chain(checks.iter().map(|(check, _)| *check)).chain(self.moments_of_others());
        let next = moments.filter(|time| *time > now).min();
        let checks = checks.into_iter().filter(|(check, _)| *check <= now).map(|(_, id)| id);
        (self.choose(now, self.services.keys().copied(), checks), next)
    }

    fn moments_of_others(&self) -> impl Iterator<Item = Time> {
        let of_tests = self.tests.values().map(|test| test.delete_at);
        of_tests.chain(self.retries.values().map(|retry| retry.next)).chain(self.stuck.moments())
    }

    fn choose(
        &self,
        now: Time,
        ids: impl IntoIterator<Item = ServiceId>,
        checks: impl Iterator<Item = ServiceId>,
    ) -> Vec<TaskId> {
        let (mut waiting, mut tasks) = (Vec::new(), Vec::new());
        for service in ids.into_iter().filter_map(|id| self.services.get(&id)) {
            waiting.extend(service.work_due(&self.settings, now).map(|(work, task)| (work.order(), task, service)));
            service.tasks_due(now, &mut tasks);
        }
        waiting.sort_by_key(|(order, task, _)| (*order, *task));
        let reads = |task: &TaskId| matches!(task, TaskId::ReadGroupLink(_));
        let made = waiting.iter().map(|(_, task, _)| *task).filter(|task| !reads(task));
        tasks.extend(made.take(self.settings.workers));
        let mut shares = self.shares(&self.stuck, now);
        let to_read = waiting.iter().filter(|(_, task, _)| reads(task));
        let servers = to_read.map(|(_, task, service)| (*task, &service.invitation.group_link.server));
        let read = servers.filter_map(|(task, server)| shares.take(server).then_some(task));
        tasks.extend(read.take(self.settings.workers));
        tasks.extend(self.chosen_checks(now, checks));
        tasks.extend(self.tests.iter().filter_map(|(request, test)| {
            let connection = ConnectionName::Test(*request);
            match test.answered {
                false => Some(TaskId::Answer(connection)),
                true => (test.delete_at <= now).then_some(TaskId::DeleteConnection(connection)),
            }
        }));
        tasks.extend(self.dismissed.iter().map(|request| TaskId::Dismiss(*request)));
        tasks.retain(|task| self.retries.get(task).is_none_or(|retry| retry.next <= now));
        tasks
    }

    fn chosen_checks(&self, now: Time, checks: impl Iterator<Item = ServiceId>) -> Vec<TaskId> {
        let nobody = Stuck::default();
        let mut shares = self.shares(&nobody, now);
        let considered = checks.take(CONSIDERED).filter_map(|id| self.services.get(&id));
        let servers = considered.map(|service| (service.id, &service.invitation.group_link.server));
        let chosen = servers.filter_map(|(id, server)| shares.take(server).then_some(TaskId::CheckLink(id)));
        chosen.take(self.settings.max_checks).collect()
    }

    fn shares<'a>(&'a self, stuck: &'a Stuck, now: Time) -> Shares<'a> {
        Shares { stuck, most: self.settings.max_reads_per_server, now, taken: BTreeMap::new() }
    }

    /// What the read of a new group link says of its server.
    pub(super) fn read_ended(&mut self, id: ServiceId, reached: bool, now: Time) {
        let Some(service) = self.services.get(&id) else { return };
        let server = &service.invitation.group_link.server;
        if reached {
            return self.stuck.answered(server);
        }
        self.stuck.failed(server, service.work, now);
        let unread = self.index.standing(Standing::Unread).filter_map(|id| self.services.get(&id));
        let wanted: Vec<Place> = unread.map(|service| place(&service.invitation.group_link.server)).collect();
        self.stuck.retain(|place| wanted.contains(place));
    }

    /// The invitation that makes room for another one at `server`: the one that is stuck longest, because it has had its
    /// tries; if none is, the newest one at the server for which most wait, unless that is no more than here. Nobody who
    /// fills one server's share takes others' room.
    pub(super) fn to_give_up(&self, server: &ServerAddress) -> Option<ServiceId> {
        let mut waiting: BTreeMap<Place, Vec<&Service>> = BTreeMap::new();
        for service in self.index.standing(Standing::Unread).filter_map(|id| self.services.get(&id)) {
            waiting.entry(place(&service.invitation.group_link.server)).or_default().push(service);
        }
        let tries =
            |place: &Place, service: &Service| service.work.attempts.max(u32::from(self.stuck.0.contains_key(place)));
        let all = waiting.iter().flat_map(|(place, services)| services.iter().map(move |service| (place, *service)));
        let stuck = all.map(|(place, service)| (tries(place, service), Reverse(service.id))).max();
        if let Some((1.., Reverse(id))) = stuck {
            return Some(id);
        }
        let here = waiting.get(&place(server)).map_or(0, Vec::len).saturating_add(1);
        let longest = waiting.values().max_by_key(|services| services.len())?;
        longest.last().filter(|_| longest.len() > here).map(|service| service.id)
    }

    /// A server that could not be reached for one look at a group link would not be for the others that are due. This
    /// need not be remembered: after a restart one of them finds out again.
    pub(super) fn postpone_checks(&mut self, id: ServiceId, now: Time) {
        let Some(server) = self.services.get(&id).map(|service| place(&service.invitation.group_link.server)) else {
            return;
        };
        let due: Vec<ServiceId> = self.index.checks(now).collect();
        for id in due {
            let Some(service) = self.services.get_mut(&id) else { continue };
            if place(&service.invitation.group_link.server) == server
                && let Some(watch) = &mut service.watch
            {
                watch.failed(self.settings.check_interval, now);
                self.index.enter(service, &self.settings);
            }
        }
    }
}

impl Service {
    /// When the group link is to be looked at.
    pub(super) fn check_at(&self) -> Option<Time> {
        self.watch.as_ref().filter(|_| self.status.is_serving()).map(|watch| watch.next)
    }

    /// When anything else may be due; what is due whenever it is, since ever.
    pub(super) fn moments(&self, settings: &RelaySettings) -> Vec<Time> {
        let work = self.work_task(settings).map(|_| self.work.next);
        let deletions = self.owners.iter().filter_map(|connection| connection.delete_at);
        let at_once = self.is_due_at_once().then(Time::default);
        work.into_iter().chain(deletions).chain(at_once).chain(self.deadlines(settings)).collect()
    }

    fn is_due_at_once(&self) -> bool {
        let has_news = |number| self.outbox.iter().any(|outgoing| outgoing.connection == number);
        self.link.as_ref().is_some_and(super::link::RelayLink::is_deleting)
            || self.owners.iter().any(|connection| match connection.state {
                OwnerState::Asked => self.status != Status::Invited,
                OwnerState::Answered => false,
                OwnerState::Connected => has_news(connection.number),
            })
    }

    /// Everything that it counts as.
    pub(super) fn standings(&self) -> Vec<Standing> {
        let current = self.status.is_current();
        let awaited = self.owners.iter().any(|connection| connection.delete_at.is_none());
        let standings = [
            (Standing::Unread, self.status == Status::Invited && self.group.is_none()),
            (Standing::Current, current),
            (Standing::Unlisted, current && self.status != Status::Active),
            (Standing::Refused, matches!(self.status, Status::Rejected(Rejection::Refused(_))) && awaited),
            (Standing::Left, self.status.is_left()),
            (Standing::Over, self.is_over() && !self.status.is_left()),
        ];
        standings.into_iter().filter_map(|(standing, holds)| holds.then_some(standing)).collect()
    }
}
