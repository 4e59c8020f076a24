//! The one task that owns the machine.
//!
//! It takes in whatever is ready, makes all changes durable with one commit, and only then acknowledges messages, answers
//! orders and runs what is due. Tasks run beside it, at most one about each connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agent::connection::{Connection, ConnectionError, Event, TaskFault};
use agent::time::{Env, Time};
use group::relay::members::{GroupView, MemberEvent};
use group::relay::{
    Change, CommandError, ConnectionName, Event as RelayEvent, GroupSelector, Outcome, RecordKey, Relay, ServiceId,
    Status, TaskId,
};
use net::SharedRandom;
use net::agent::{AgentEvent, AgentEvents, ServerEvent, Unsubscribed};
use smp::id::MessageId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::config::Clock;
use crate::effects::{Effects, Ran, connection_id};
use crate::halls::{Halls, Worked};
use crate::http::Page;
use crate::joins::Joins;
use crate::members::{MemberInput, MemberStep};
use crate::metrics::Metrics;
use crate::observe::{Done, LinkStep, Observed};
use crate::service::ServiceError;
use crate::store::RelayStore;

/// Inputs that are taken in for one commit.
const TOGETHER: usize = 256;
/// The longest sleep: clocks of machines jump.
const SLEEP: Duration = Duration::from_secs(60);
/// Tasks that may be under way. Further ones stay due.
const UNDER_WAY: usize = 512;
/// Between looks at the size of the log.
const TRIM_EVERY: Duration = Duration::from_secs(3_600);
/// New lines of the log after which its size is looked at in any case.
const TRIM_AFTER: usize = 100_000;

/// What the operator wants, with where to answer once it is durable.
#[derive(Debug)]
pub(crate) enum Order {
    Change(Command, GroupSelector, oneshot::Sender<Result<Vec<u64>, CommandError>>),
    /// How everything stands.
    Look(oneshot::Sender<Page>),
}

/// An order that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Leave,
    Allow,
    Suspend,
    Resume,
}

/// What may happen once the changes of a step are durable.
enum After {
    Acknowledge(ConnectionName, MessageId),
    Heard(ConnectionName),
    Answer(oneshot::Sender<Result<Vec<u64>, CommandError>>, Result<Vec<u64>, CommandError>),
}

/// Everything that the task owns.
pub(crate) struct Keeper {
    pub(crate) relay: Relay,
    pub(crate) store: Arc<RelayStore>,
    /// Groups at work.
    halls: Halls,
    pub(crate) effects: Effects,
    pub(crate) events: AgentEvents,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
    pub(crate) random: SharedRandom,
    /// Told when the address exists.
    pub(crate) address_ready: Option<oneshot::Sender<()>>,
    /// Whoever wants new lines of the log.
    pub(crate) lines: Option<mpsc::Sender<String>>,
    pub(crate) log_kept: Duration,
    pub(crate) drain_timeout: Duration,
    /// Why the address cannot be made.
    refused: Option<String>,
    work: Work,
    after: Vec<After>,
    trimmed: Option<Time>,
    /// Lines of the log since then.
    lines_since: usize,
    joins: Joins,
    /// Groups as members see them, as long as the machine does not change.
    views: BTreeMap<ServiceId, Option<Arc<GroupView>>>,
    /// What happened to members since the last commit.
    steps: Vec<MemberStep>,
    /// Groups with members at the start.
    kept_halls: BTreeSet<ServiceId>,
}

/// What is under way.
#[derive(Default)]
struct Work {
    running: JoinSet<(TaskId, Ran)>,
    ids: BTreeSet<TaskId>,
    /// Connections that tasks are about.
    busy: BTreeMap<ConnectionName, TaskId>,
    /// Links that the agent is creating.
    awaited: BTreeMap<ConnectionName, TaskId>,
    /// What the agent told of links before it said that it has them.
    early: BTreeMap<ConnectionName, Event>,
    /// Acknowledgements and the like, whose outcome does not matter: the agent tells again what they are about.
    small: JoinSet<()>,
}

/// What the keeper is made of.
pub(crate) struct Parts {
    pub(crate) relay: Relay,
    pub(crate) store: Arc<RelayStore>,
    pub(crate) halls: Halls,
    /// Groups with members.
    pub(crate) kept_halls: BTreeSet<ServiceId>,
    pub(crate) effects: Effects,
    pub(crate) events: AgentEvents,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) address_ready: Option<oneshot::Sender<()>>,
    /// Whoever wants new lines of the log.
    pub(crate) lines: Option<mpsc::Sender<String>>,
    pub(crate) log_kept: Duration,
    pub(crate) drain_timeout: Duration,
}

impl Keeper {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { relay, store, halls, kept_halls, effects, events, orders, metrics, .. } = parts;
        let Parts { address_ready, lines, log_kept, drain_timeout, .. } = parts;
        Keeper {
            relay,
            store,
            halls,
            events,
            orders,
            metrics,
            clock: effects.clock.clone(),
            random: effects.random.clone(),
            effects,
            address_ready,
            lines,
            log_kept,
            drain_timeout,
            refused: None,
            work: Work::default(),
            after: Vec::new(),
            trimmed: None,
            lines_since: 0,
            joins: Joins::default(),
            views: BTreeMap::new(),
            steps: Vec::new(),
            kept_halls,
        }
    }

    /// Runs until `shutdown` resolves, and then ends in good order.
    pub(crate) async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ServiceError> {
        tokio::pin!(shutdown);
        self.step(Relay::elapsed);
        let halls = std::mem::take(&mut self.kept_halls);
        self.reconcile(&halls);
        loop {
            self.commit().await?;
            self.start_due();
            tokio::select! {
                () = &mut shutdown => break,
                more = self.take_in() => if !more { return Err(ServiceError::AgentEnded) },
            }
            if !self.take_ready().await {
                return Err(ServiceError::AgentEnded);
            }
            if let Some(fault) = self.refused.take() {
                return Err(ServiceError::Address(fault));
            }
        }
        self.drain().await
    }

    /// Waits for something to happen; whether there is somebody who may make it happen.
    async fn take_in(&mut self) -> bool {
        let sleep = self.sleep();
        tokio::select! {
            // First what tasks did, then what followed from it.
            biased;
            Some(ended) = self.work.running.join_next() => if let Ok((task, ran)) = ended {
                self.ran(task, ran);
            },
            Some((service, worked)) = self.halls.worked() => self.worked(service, worked),
            event = self.events.next() => match event {
                Some(event) => self.told(event),
                None => return false,
            },
            Some(order) = self.orders.recv() => self.ordered(order),
            Some(_) = self.work.small.join_next() => {}
            () = tokio::time::sleep(sleep) => self.step(Relay::elapsed),
        }
        true
    }

    /// Takes in what is ready besides, for the same commit.
    async fn take_ready(&mut self) -> bool {
        for _ in 0..TOGETHER {
            tokio::select! {
                biased;
                Some(ended) = self.work.running.join_next() => if let Ok((task, ran)) = ended {
                    self.ran(task, ran);
                },
                Some((service, worked)) = self.halls.worked() => self.worked(service, worked),
                event = self.events.next() => match event {
                    Some(event) => self.told(event),
                    None => return false,
                },
                Some(order) = self.orders.recv() => self.ordered(order),
                () = std::future::ready(()) => return true,
            }
        }
        true
    }

    fn sleep(&self) -> Duration {
        let now = (self.clock)();
        let next = self.relay.next_due(now).into_iter().chain(self.halls.next()).min();
        next.map_or(SLEEP, |next| next.since(now)).min(SLEEP)
    }

    fn step(&mut self, step: impl FnOnce(&mut Relay, &mut Env<'_>) -> Vec<RelayEvent>) {
        let mut env = Env { now: (self.clock)(), random: &mut self.random };
        let events = step(&mut self.relay, &mut env);
        self.follow_relay(events);
    }

    /// What the machine tells concerns members too.
    fn follow_relay(&mut self, events: Vec<RelayEvent>) {
        self.views.clear();
        for event in events {
            self.metrics.event(&event);
            self.follow_event(event);
        }
    }

    fn follow_event(&mut self, event: RelayEvent) {
        match event {
            RelayEvent::ToForward { service, message, sent_at } => {
                self.member_step(service, MemberInput::OwnerSaid { message, sent_at });
            }
            RelayEvent::OwnerConnected { service, owner, connection, max_version } => {
                self.member_step(service, MemberInput::OwnerConnected { owner, connection, max_version });
            }
            RelayEvent::OwnerLost { service, owner, connection } => {
                self.member_step(service, MemberInput::OwnerLost { owner, connection });
            }
            RelayEvent::OwnerDismissed { service, request } => self.reject(service, request),
            RelayEvent::RosterChanged(service) => self.member_step(service, MemberInput::RosterChanged),
            RelayEvent::Admission { service, accepting: true } => self.admit(service),
            RelayEvent::StatusChanged { service, status } if !status.is_current() => self.end(service),
            RelayEvent::StatusChanged { service, status: Status::Active } => self.admit(service),
            _ => {}
        }
    }

    /// Those who waited for that are let in.
    fn admit(&mut self, service: ServiceId) {
        self.joins.forget(service);
        self.member_step(service, MemberInput::Admitting);
    }

    fn end(&mut self, service: ServiceId) {
        let word = self.relay.service(service).and_then(|service| service.farewell().map(<[u8]>::to_vec));
        self.member_step(service, MemberInput::Ended(word));
    }

    fn member_step(&mut self, service: ServiceId, input: MemberInput) {
        let view = self.view(service);
        self.steps.push(MemberStep { service, view, input });
    }

    fn view(&mut self, service: ServiceId) -> Option<Arc<GroupView>> {
        view(&self.relay, &mut self.views, service)
    }

    /// What members' rows do not know: that owners were connected before anybody kept members, and services that are no
    /// longer there.
    fn reconcile(&mut self, halls: &BTreeSet<ServiceId>) {
        let mut ended: BTreeSet<ServiceId> = halls.clone();
        let mut connected = Vec::new();
        for service in self.relay.services().filter(|service| service.status().is_current()) {
            let owners = service.connected_owners().filter(|_| !ended.remove(&service.id()));
            connected.extend(owners.map(|(owner, number, max)| (service.id(), owner.clone(), number, max)));
            ended.remove(&service.id());
        }
        for (service, owner, connection, max_version) in connected {
            self.member_step(service, MemberInput::OwnerConnected { owner, connection, max_version });
        }
        ended.into_iter().for_each(|service| self.end(service));
    }

    /// What members' rows told, once they are durable.
    fn members_told(&mut self, told: Vec<(ServiceId, Vec<MemberEvent>)>) {
        for (service, events) in told {
            for event in &events {
                self.metrics.member(event);
                if let MemberEvent::Dismissed(request, _) = event {
                    self.joins.release(service, *request);
                    self.reject(service, *request);
                }
            }
            let mut env = Env { now: (self.clock)(), random: &mut self.random };
            self.relay.note(service, &events, &mut env);
        }
    }

    fn reject(&mut self, service: ServiceId, request: u64) {
        let agent = self.effects.agent.clone();
        self.work.small.spawn(async move {
            // What was not rejected is told again after a restart.
            let reject = move |link: &mut Connection, _: &mut Env<'_>| link.reject(request);
            let _ = agent.change(&connection_id(&ConnectionName::Link(service)), reject).await;
        });
    }

    /// Something was done for a group.
    fn worked(&mut self, service: ServiceId, worked: Worked) {
        let (taken, told) = self.halls.take(service, worked, (self.clock)());
        self.metrics.deliveries.add(taken);
        self.members_told(told);
    }

    /// Makes everything durable that changed, and does what waited for that.
    async fn commit(&mut self) -> Result<(), ServiceError> {
        let mut lines = Vec::new();
        // What members' rows tell goes into the log.
        loop {
            let (changes, steps) = (self.relay.take_changes(), std::mem::take(&mut self.steps));
            if changes.is_empty() && steps.is_empty() {
                break;
            }
            lines.extend(new_lines(&changes));
            steps.iter().for_each(|step| self.halls.wake(step.service));
            let told = self.store.commit_steps(changes, steps, (self.clock)(), self.random.clone()).await?;
            self.members_told(told);
        }
        self.lines_since = self.lines_since.saturating_add(lines.len());
        lines.iter().for_each(|line| self.effects.observer.show(&Observed::Logged(line)));
        if let Some(listener) = &self.lines {
            // Who reads too slowly misses lines; the log has them.
            lines.into_iter().for_each(|line| drop(listener.try_send(line)));
        }
        self.trim().await?;
        for after in std::mem::take(&mut self.after) {
            self.follow(after);
        }
        Ok(())
    }

    async fn trim(&mut self) -> Result<(), ServiceError> {
        let now = (self.clock)();
        let is_time = self.trimmed.is_none_or(|trimmed| now.since(trimmed) >= TRIM_EVERY);
        if is_time {
            self.store.forget_messages(now).await?;
        }
        if is_time || self.lines_since >= TRIM_AFTER {
            (self.trimmed, self.lines_since) = (Some(now), 0);
            let kept = u64::try_from(self.log_kept.as_millis()).unwrap_or(u64::MAX);
            self.store.trim_log(now.millis().saturating_sub(kept) / 1_000).await?;
        }
        Ok(())
    }

    fn follow(&mut self, after: After) {
        let agent = self.effects.agent.clone();
        match after {
            After::Acknowledge(connection, message) => {
                self.work.small.spawn(async move {
                    let acknowledge = move |connection: &mut Connection, env: &mut Env<'_>| {
                        connection.acknowledge(&message, None, env)
                    };
                    // What was not acknowledged comes again.
                    let _ = agent.change(&connection_id(&connection), acknowledge).await;
                });
            }
            After::Heard(connection) => {
                self.work.small.spawn(async move {
                    let heard = |connection: &mut Connection, _: &mut Env<'_>| {
                        connection.heard();
                        Ok::<_, ConnectionError>(())
                    };
                    let _ = agent.change(&connection_id(&connection), heard).await;
                });
            }
            After::Answer(asker, answer) => {
                // Whoever asked may have gone.
                let _ = asker.send(answer);
            }
        }
    }

    fn start_due(&mut self) {
        let (relay, views) = (&self.relay, &mut self.views);
        self.halls.start(&self.effects, relay.settings(), (self.clock)(), |service| view(relay, views, service));
        for id in self.relay.due((self.clock)()) {
            if self.work.running.len() >= UNDER_WAY {
                return;
            }
            if self.work.ids.contains(&id) {
                continue;
            }
            let mut env = Env { now: (self.clock)(), random: &mut self.random };
            let Some(task) = self.relay.task(&id, &mut env) else { continue };
            let connection = task.connection();
            if connection.is_some_and(|connection| self.work.busy.contains_key(&connection)) {
                continue;
            }
            self.work.ids.insert(id);
            self.work.busy.extend(connection.map(|connection| (connection, id)));
            let effects = self.effects.clone();
            self.metrics.task(&id);
            self.work.running.spawn(async move { (id, effects.run(task).await) });
        }
    }

    fn ran(&mut self, task: TaskId, ran: Ran) {
        self.work.busy.retain(|_, busy| *busy != task);
        match ran {
            Ran::Finished(outcome) => self.finish(task, outcome),
            Ran::Awaits(connection) => {
                self.work.awaited.insert(connection, task);
                if let Some(event) = self.work.early.remove(&connection) {
                    self.created(connection, event);
                }
            }
        }
    }

    fn finish(&mut self, task: TaskId, outcome: Outcome) {
        self.work.ids.remove(&task);
        self.work.awaited.retain(|_, awaited| *awaited != task);
        if let TaskId::DeleteConnection(ConnectionName::Link(service)) = task {
            self.joins.forget(service);
        }
        if let TaskId::DeleteConnection(connection) = task {
            // Nobody waits any more for what is deleted.
            self.work.early.remove(&connection);
            if let Some(awaited) = self.work.awaited.remove(&connection) {
                self.work.ids.remove(&awaited);
            }
        }
        self.metrics.outcome(&outcome);
        if let Some((service, step, done)) = link_step(&task, &outcome) {
            self.show_link(service, step, done);
        }
        self.step(|relay, env| relay.finish(&task, outcome, env));
    }

    /// Shows what is done about a link. Of a link that is not known any more nothing is shown.
    fn show_link(&self, service: ServiceId, step: LinkStep, done: Done) {
        let link = self.relay.service(service).and_then(|service| match step {
            LinkStep::ReadGroupLink | LinkStep::LookAtGroupLink => Some(&service.invitation().group_link),
            LinkStep::CreateRelayLink | LinkStep::DeleteRelayLink => service.relay_link(),
        });
        if let Some(link) = link {
            self.effects.observer.show(&Observed::Link(service, step, link, done));
        }
    }

    /// Something that the agent tells.
    fn told(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Connection(id, event) => {
                let name = std::str::from_utf8(id.as_bytes()).ok().and_then(|name| name.parse().ok());
                match name {
                    Some(name) => self.connection_told(name, event),
                    None => tracing::warn!(connection = %id, "a connection that is none of the relay's"),
                }
            }
            AgentEvent::Unsubscribed(id, Unsubscribed::TakenOver) => {
                tracing::warn!(connection = %id, "another session receives from a queue of this relay");
            }
            AgentEvent::Unsubscribed(id, Unsubscribed::Refused(error)) => {
                tracing::warn!(connection = %id, %error, "nothing comes from a queue");
            }
            AgentEvent::Server(server, ServerEvent::ConnectFailed(error)) => {
                tracing::info!(server = %server.first_host(), %error, "a server cannot be reached");
            }
            AgentEvent::Server(..) | AgentEvent::Subscribed(_) => {}
            AgentEvent::Keeping(kept) => self.metrics.keeping(kept.is_ok()),
            AgentEvent::Lost(error) => tracing::error!(%error, "a connection is lost"),
        }
    }

    fn connection_told(&mut self, name: ConnectionName, event: Event) {
        if let Some(body) = said(&event) {
            self.effects.observer.show(&Observed::Hears(name, body));
        }
        if let ConnectionName::Member(service, ..) = name {
            return self.member_told(service, name, event);
        }
        match event {
            Event::Created | Event::Stopped(_) if self.work.awaited.contains_key(&name) => self.created(name, event),
            Event::Created | Event::Stopped(_) if self.is_creating(&name) => drop(self.work.early.insert(name, event)),
            Event::Created if name == ConnectionName::Address => {
                if let Some(ready) = self.address_ready.take() {
                    let _ = ready.send(());
                }
            }
            Event::Stopped(fault) if name == ConnectionName::Address && self.address_ready.is_some() => {
                self.refused = Some(fault.to_string());
            }
            Event::QueueLost if name == ConnectionName::Address => {
                tracing::error!("the server has lost the relay's address: nobody can invite it any more");
            }
            Event::Requested(request) if name == ConnectionName::Address => {
                self.step(|relay, env| relay.requested(request.id, &request.info, env));
            }
            Event::Requested(request) => self.join_asked(name, request.id, request.info),
            Event::Info(info) => self.step(|relay, env| relay.informed(&name, &info, env)),
            Event::Connected { .. } => {
                self.step(|relay, env| relay.connected(&name, env));
                self.after.push(After::Heard(name));
            }
            Event::Message(message) => {
                self.step(|relay, env| relay.received(&name, message.sent_at, &message.body, env));
                self.after.push(After::Acknowledge(name, message.id));
            }
            Event::Receipts { id, .. } => self.after.push(After::Acknowledge(name, id)),
            // Whoever was away for so long may come back.
            Event::NotSent { fault: TaskFault::Expired(_), .. } => {
                tracing::info!(connection = %name, "a message was given up");
            }
            Event::QuotaExceeded { .. } => self.owner_step(name, MemberInput::Full(name)),
            Event::QuotaRestored => self.owner_step(name, MemberInput::Restored(name)),
            Event::Stopped(fault) | Event::NotSent { fault, .. } => {
                tracing::info!(connection = %name, %fault, "a connection failed");
                self.step(|relay, env| relay.connection_lost(&name, env));
            }
            Event::QueueLost => self.step(|relay, env| relay.connection_lost(&name, env)),
            Event::Refused(fault) => tracing::debug!(connection = %name, %fault, "refused what came"),
            Event::LinkRead
            | Event::Created
            | Event::Confirmed { .. }
            | Event::Sent { .. }
            | Event::LinkSet
            | Event::Suspended => {}
            Event::Deleted(refused) => {
                if let ConnectionName::Link(service) = name {
                    let done = if refused.is_none() { Done::Yes } else { Done::No };
                    self.show_link(service, LinkStep::DeleteRelayLink, done);
                }
            }
        }
    }

    fn owner_step(&mut self, name: ConnectionName, input: MemberInput) {
        if let ConnectionName::Owner(service, _) = name {
            self.member_step(service, input);
        }
    }

    /// Somebody asks to join. Where nobody is admitted it waits, within bounds.
    fn join_asked(&mut self, name: ConnectionName, request: u64, info: Vec<u8>) {
        self.metrics.joins.add(1);
        let ConnectionName::Link(service) = name else { return };
        let mut env = Env { now: (self.clock)(), random: &mut self.random };
        if let Some(events) = self.relay.owner_requested(service, request, &info, &mut env) {
            return self.follow_relay(events);
        }
        let accepting = self.view(service).is_some_and(|view| view.is_accepting());
        if accepting || self.joins.take(service, request) {
            return self.member_step(service, MemberInput::Requested { request, info });
        }
        self.metrics.refused_joins.add(1);
        self.reject(service, request);
    }

    fn member_told(&mut self, service: ServiceId, name: ConnectionName, event: Event) {
        let input = match event {
            Event::Info(info) => MemberInput::Informed(name, info),
            Event::Connected { .. } => {
                self.after.push(After::Heard(name));
                MemberInput::Connected(name)
            }
            Event::Message(message) => {
                let (id, sent_at, body) = (message.id, message.sent_at, message.body);
                self.after.push(After::Acknowledge(name, id.clone()));
                MemberInput::Received { connection: name, message: id.as_bytes().to_vec(), sent_at, body }
            }
            Event::Receipts { id, .. } => return self.after.push(After::Acknowledge(name, id)),
            Event::QuotaExceeded { .. } => MemberInput::Full(name),
            Event::QuotaRestored => MemberInput::Restored(name),
            // Whoever was away for so long may come back.
            Event::NotSent { fault: TaskFault::Expired(_), .. } => return,
            Event::Stopped(fault) | Event::NotSent { fault, .. } => {
                tracing::debug!(connection = %name, %fault, "a connection with a member failed");
                MemberInput::Lost(name)
            }
            Event::QueueLost => MemberInput::Lost(name),
            _ => return,
        };
        self.member_step(service, input);
    }

    /// Whether a task is about to hand this link to the agent.
    fn is_creating(&self, name: &ConnectionName) -> bool {
        let ConnectionName::Link(service) = name else { return false };
        self.work.busy.get(name) == Some(&TaskId::CreateLink(*service))
    }

    /// The link that a task creates exists, or its server refused it.
    fn created(&mut self, name: ConnectionName, event: Event) {
        let Some(task) = self.work.awaited.remove(&name) else { return };
        let outcome = match event {
            Event::Stopped(fault) => Outcome::Failed(fault.to_string()),
            _ => Outcome::Done,
        };
        self.finish(task, outcome);
    }

    fn ordered(&mut self, order: Order) {
        match order {
            Order::Look(asker) => {
                let under_way = self.work.running.len();
                let page = Page::of(&self.relay, (self.clock)(), under_way, self.joins.count());
                let _ = asker.send(page);
            }
            Order::Change(command, selector, asker) => {
                let selected = self.relay.select(&selector).into_iter().map(|id| id.0).collect();
                let mut env = Env { now: (self.clock)(), random: &mut self.random };
                let made = match command {
                    Command::Leave => self.relay.leave(&selector, &mut env),
                    Command::Allow => self.relay.allow(&selector, &mut env),
                    Command::Suspend => self.relay.suspend(&selector, true, &mut env),
                    Command::Resume => self.relay.suspend(&selector, false, &mut env),
                };
                let answer = made.map(|events| {
                    self.follow_relay(events);
                    selected
                });
                self.after.push(After::Answer(asker, answer));
            }
        }
    }

    /// Starts nothing more, and waits for what is under way.
    async fn drain(mut self) -> Result<(), ServiceError> {
        let timeout = self.drain_timeout;
        let drained = tokio::time::timeout(timeout, async {
            while let Some(ended) = self.work.running.join_next().await {
                if let Ok((task, ran)) = ended {
                    self.ran(task, ran);
                }
            }
            self.halls.drain().await;
            self.commit().await?;
            while self.work.small.join_next().await.is_some() {}
            Ok(())
        });
        let drained = drained.await.unwrap_or(Ok(()));
        self.work.running.abort_all();
        let agent = self.effects.agent.clone();
        // The agent waits until what it tells is taken.
        let events = async { while self.events.next().await.is_some() {} };
        let _ = tokio::time::timeout(timeout, async { tokio::join!(agent.close(), events) }).await;
        drained
    }
}

/// A group as its members' side sees it.
fn view(
    relay: &Relay,
    views: &mut BTreeMap<ServiceId, Option<Arc<GroupView>>>,
    service: ServiceId,
) -> Option<Arc<GroupView>> {
    views.entry(service).or_insert_with(|| relay.view(service).map(Arc::new)).clone()
}

/// The body that an event brings.
fn said(event: &Event) -> Option<&[u8]> {
    match event {
        Event::Requested(request) => Some(&request.info),
        Event::Info(info) => Some(info),
        Event::Message(message) => Some(&message.body),
        _ => None,
    }
}

/// Lines of the log among the changes.
fn new_lines(changes: &[Change]) -> Vec<String> {
    let line = |change: &Change| match (change.key, &change.value) {
        (RecordKey::Log(..), Some(line)) => Some(String::from_utf8_lossy(line).into_owned()),
        _ => None,
    };
    changes.iter().filter_map(line).collect()
}

/// What a task does about a link, and how that ended.
fn link_step(task: &TaskId, outcome: &Outcome) -> Option<(ServiceId, LinkStep, Done)> {
    let (service, step) = match task {
        TaskId::ReadGroupLink(service) => (service, LinkStep::ReadGroupLink),
        TaskId::CheckLink(service) => (service, LinkStep::LookAtGroupLink),
        TaskId::CreateLink(service) => (service, LinkStep::CreateRelayLink),
        _ => return None,
    };
    let done = match outcome {
        Outcome::Done | Outcome::LinkData(_) | Outcome::Verdict(_) => Done::Yes,
        Outcome::Unreachable => Done::NotYet,
        Outcome::NoLink | Outcome::Failed(_) => Done::No,
    };
    Some((*service, step, done))
}
