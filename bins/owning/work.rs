//! A run in which the owner's tasks are done, and what relays say reaches the owner, until a goal is reached.
//!
//! Relays tell of themselves, which every run needs, and forward what members say through the same connections. So every
//! run takes all of it, compares and keeps it. One that does not print what is heard leaves the lines for the next run
//! that does.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::connection::{
    Connection, ConnectionError, Event as ConnectionEvent, JoinLink, QueuePlan, ReceivedMessage, SendOptions, TaskFault,
};
use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use cli::{Code, Context, Error, OrError as _, Step, Timeout};
use crypto::Random;
use group::identity::MemberId;
use group::owner::{
    ConnectionName, Event, GroupOwner, LinkCondition, Outcome, OwnerError, Received, RelayRecord, Status, Task, TaskId,
};
use net::agent::{Agent, AgentError, AgentEvent, AgentEvents, ChangeError, Clock, Unsubscribed};
use net::tls::Connector;
use smp::address::ServerAddress;
use smp::error::Error as ServerError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::link_data;
use super::relays;
use super::report::{self, OWNER, Report};
use super::trial::Trials;
use crate::Dialler;
use crate::connection::running::{Watch, clock, observer, options};
use crate::held::{GroupKeep, id};
use crate::relay_lines::{RelayLines, Way, agent_error, allow, done, record_body, sleep};
use crate::serving::desk::{Desk, Serves, serve};
use crate::taking_part::joining::Wanted;
use crate::taking_part::lines::GroupEvent;
use crate::taking_part::messages::{Line, Messages, Retention, Tidying};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With what was wanted.
    Reached,
    /// Everything was said, and somebody else has to act.
    Waiting,
    /// Servers could not be reached: the next run goes on.
    Unsent,
}

/// How often a run that goes on writes how much was said.
const MARK_INTERVAL: Duration = Duration::from_secs(60);
/// How long to wait for what the servers have before they are asked again whether they still have it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A task that is done on the network.
pub(super) enum Job {
    /// Of the owner.
    Owner(TaskId),
    /// Of the test with this number: its address is read.
    Trial(usize),
}

/// An owner at work.
pub struct Work<'a> {
    pub(super) ctx: &'a mut Context,
    keep: GroupKeep,
    messages: Messages,
    /// Whether what is heard is printed.
    prints: bool,
    said: u64,
    lines: RelayLines,
    events: AgentEvents,
    written: watch::Receiver<u64>,
    network: JoinSet<(Job, Outcome)>,
    /// Tasks under way, with the server if a link is read.
    running: BTreeMap<TaskId, Option<ServerAddress>>,
    pub(super) random: Box<dyn Random + Send>,
    clock: Clock,
    timeout: Timeout,
    /// When the user has waited long enough, unless something happens before.
    patience: Instant,
    /// When what was counted may be written again, in a run that goes on.
    mark_after: Instant,
    report: Report,
    pub(super) trials: Trials,
    desk: Desk,
    tidying: Option<Tidying>,
}

impl<'a> Work<'a> {
    /// Begins with the group as it is kept. `run` names the randomness of this run.
    pub async fn start(ctx: &'a mut Context, keep: &GroupKeep, timeout: Timeout, run: &str) -> Result<Work<'a>, Error> {
        let connector = Connector::new().or_error_at(Code::Bug, "TLS")?;
        let options = options(timeout, Watch::Follow, observer(ctx.trace(), OWNER));
        let (clock, random) = (clock(ctx.clock()), ctx.random(&format!("agent_{run}")));
        let (agent, events) = Agent::start(keep.clone(), connector, options, random, clock.clone());
        let mut work = Work {
            random: ctx.random(&format!("owner_{run}")),
            ctx,
            written: keep.written(),
            messages: Messages::beside(keep.path()?)?,
            prints: false,
            said: 0,
            keep: keep.clone(),
            lines: RelayLines::new(agent),
            events,
            network: JoinSet::new(),
            running: BTreeMap::new(),
            clock,
            timeout,
            patience: Instant::now() + timeout.duration(),
            mark_after: Instant::now(),
            report: Report::default(),
            trials: Trials::default(),
            desk: Desk::default(),
            tidying: None,
        };
        work.load().await?;
        let now = work.now();
        work.keep.change(|owner| owner.open(now));
        Ok(work)
    }

    /// Prints what is heard from now on, and before that what earlier runs heard.
    pub async fn print(&mut self) -> Result<(), Error> {
        self.prints = true;
        let waiting = self.messages.waiting()?;
        self.print_lines(waiting).await
    }

    /// Does for other runs on the state file what they want, in [`wait`](Self::wait) and [`follow`](Self::follow).
    pub fn serve_others(&mut self) -> Result<(), Error> {
        self.desk = Desk::open(self.keep.path()?, self.ctx);
        Ok(())
    }

    /// Forgets old messages now and then.
    pub fn keep_for(&mut self, retention: Retention) {
        self.tidying = Some(Tidying::new(retention));
    }

    /// How many messages, edits, deletions and reactions were printed.
    pub fn said(&self) -> u64 {
        self.said
    }

    /// Where messages are kept.
    pub fn messages(&self) -> &Messages {
        &self.messages
    }

    /// Connections that nobody knows are what tests left behind.
    async fn load(&mut self) -> Result<(), Error> {
        for (connection, outcome) in self.lines.agent.load_all().await.map_err(agent_error)? {
            outcome.map_err(agent_error)?;
            let name = ConnectionName::new(&connection.to_string());
            if !name.is_some_and(|name| self.keep.look(|owner| owner.uses(&name))) {
                self.delete(connection).await?;
            }
        }
        self.keep.look(|owner| self.report.show(self.ctx, owner));
        Ok(())
    }

    pub(super) async fn delete(&self, connection: agent::connection::keep::ConnectionId) -> Result<(), Error> {
        let delete = |connection: &mut Connection, env: &mut Env<'_>| {
            connection.delete(agent::connection::Delivery::Drop, env);
            Ok::<_, Error>(())
        };
        done(self.lines.agent.change(&connection, delete).await)
    }

    /// The time.
    pub(super) fn now(&self) -> Time {
        (self.clock)()
    }

    /// The group.
    pub fn keep(&self) -> &GroupKeep {
        &self.keep
    }

    /// Makes a step of the owner, and brings it into the file before anything follows from it.
    pub async fn step<T>(
        &mut self,
        step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Result<T, OwnerError>,
    ) -> Result<Result<T, OwnerError>, Error> {
        let mut env = Env { now: (self.clock)(), random: self.random.as_mut() };
        let made = self.keep.change(|owner| step(owner, &mut env));
        self.keep.save().await?;
        Ok(made)
    }

    /// Makes a step that tells something.
    async fn tell(
        &mut self,
        step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Result<Vec<Event>, OwnerError>,
    ) -> Result<(), Error> {
        match self.step(step).await? {
            Ok(events) => self.take(Received { events, changes: Vec::new() }).await,
            // Of a connection that is given up, or of a task that is not wanted any more.
            Err(OwnerError::UnknownConnection(_)) => Ok(()),
            Err(error) => Err(Error::bug(error)),
        }
    }

    /// Makes durable what follows from something, tells it, and prints what is for printing.
    async fn take(&mut self, received: Received) -> Result<(), Error> {
        let Received { events, changes } = received;
        self.told(&events);
        let at = crate::now(self.ctx);
        let mut lines = Vec::new();
        // How relays stand is told to people; only whoever watches the group wants to have it printed.
        for event in events.iter().filter(|event| self.prints || !matches!(event, Event::Status { .. })) {
            let line = self.keep.look(|owner| GroupEvent::of_owner(event, owner, at));
            lines.extend(line.map(|line| serde_json::to_string(&line).or_error(Code::Bug)).transpose()?);
        }
        if changes.is_empty() && lines.is_empty() {
            return Ok(());
        }
        let lines = self.messages.write(changes, lines).await?;
        if self.prints { self.print_lines(lines).await } else { Ok(()) }
    }

    async fn print_lines(&mut self, lines: Vec<Line>) -> Result<(), Error> {
        for Line { number, value } in lines {
            let event: GroupEvent = serde_json::from_str(&value).or_error_at(Code::StoreFailed, "a line to print")?;
            self.ctx.emit(&event)?;
            self.said = self.said.saturating_add(u64::from(event.is_message()));
            self.messages.printed(number).await?;
        }
        Ok(())
    }

    /// Passes on what the owner was told.
    pub fn told(&mut self, events: &[Event]) {
        for event in events {
            if matches!(event, Event::Status { .. } | Event::LinkWritten { .. } | Event::Group(_)) {
                self.be_patient();
            }
            self.keep.look(|owner| self.report.tell(self.ctx, owner, event));
        }
    }

    pub(super) fn be_patient(&mut self) {
        self.patience = Instant::now() + self.timeout.duration();
    }

    /// Works until `goal` holds and nothing is left to do that needs nobody else, or until nothing has happened for too
    /// long.
    pub async fn until(&mut self, goal: impl Fn(&GroupOwner) -> bool) -> Result<End, Error> {
        loop {
            self.start_due().await?;
            if self.keep.look(&goal) && self.is_quiet().await? && self.is_drained().await? {
                if self.mark_transcript().await? {
                    continue;
                }
                return Ok(End::Reached);
            }
            if !self.next().await? {
                if self.mark_transcript().await? {
                    self.be_patient();
                    continue;
                }
                return Ok(if self.is_quiet().await? { End::Waiting } else { End::Unsent });
            }
        }
    }

    /// Puts what was counted into the group link, if a relay's server has everything that the owner said. Whether there is
    /// something to write.
    pub(super) async fn mark_transcript(&mut self) -> Result<bool, Error> {
        if !self.keep.look(|owner| owner.ledger().has_unmarked() && owner.is_written())
            || !self.has_told_a_relay().await?
        {
            return Ok(false);
        }
        let events = self.step(|owner, env| Ok(owner.mark_transcript(env))).await?.map_err(Error::bug)?;
        self.told(&events);
        Ok(!self.keep.look(GroupOwner::is_written))
    }

    /// A run that goes on puts what was counted into the group link at most once a minute, and when nothing is on its way.
    async fn mark_now_and_then(&mut self) -> Result<(), Error> {
        let is_due = Instant::now() >= self.mark_after;
        if is_due && self.keep.look(|owner| owner.ledger().has_unmarked()) {
            self.mark_after = Instant::now() + MARK_INTERVAL;
            if self.is_quiet().await? && self.mark_transcript().await? {
                self.start_due().await?;
            }
        }
        Ok(())
    }

    async fn has_told_a_relay(&self) -> Result<bool, Error> {
        let told = |record: &&RelayRecord| record.is_connected() && !record.has_tasks();
        let connections: Vec<ConnectionName> =
            self.keep.look(|owner| owner.relays().iter().filter(told).map(RelayRecord::connection).collect());
        for connection in connections {
            if self.lines.unsent(&connection).await? == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Works until the servers have nothing left for us, and have what is for them.
    pub async fn drain(&mut self) -> Result<bool, Error> {
        loop {
            self.start_due().await?;
            if self.is_drained().await? && self.is_quiet().await? {
                if self.mark_transcript().await? {
                    continue;
                }
                return Ok(true);
            }
            if Instant::now() >= self.patience {
                return Ok(false);
            }
            self.next_until(Some(Instant::now() + LOOK_AGAIN)).await?;
        }
    }

    /// Works until `enough` says so; false if nothing has happened for too long before that.
    pub async fn wait(&mut self, enough: impl Fn(&Self) -> bool) -> Result<bool, Error> {
        loop {
            self.start_due().await?;
            serve(self).await?;
            if enough(self) {
                return Ok(true);
            }
            self.mark_now_and_then().await?;
            if !self.next().await? {
                return Ok(false);
            }
        }
    }

    /// Works for ever.
    pub async fn follow(&mut self) -> Result<(), Error> {
        loop {
            self.start_due().await?;
            serve(self).await?;
            self.mark_now_and_then().await?;
            let unmarked = self.keep.look(|owner| owner.ledger().has_unmarked());
            self.next_until(unmarked.then(|| self.mark_after)).await?;
        }
    }

    /// Whether everything that was said is with the servers, and everything that is to be deleted is deleted.
    async fn is_quiet(&self) -> Result<bool, Error> {
        if !self.network.is_empty() || self.keep.look(|owner| owner.has_tasks()) {
            return Ok(false);
        }
        self.lines.are_quiet(&self.connections()).await
    }

    fn connections(&self) -> Vec<String> {
        self.keep.look(|owner| owner.connections().names().map(str::to_owned).collect())
    }

    /// How many messages of ours the servers do not have, of one connection.
    pub async fn unsent(&self, connection: &ConnectionName) -> Result<usize, Error> {
        self.lines.unsent(connection).await
    }

    /// Whether the servers have nothing left for us: a relay may have left the group since we last looked.
    async fn is_drained(&self) -> Result<bool, Error> {
        self.lines.are_drained(&self.connections()).await
    }

    /// Waits for the next thing that happens. False if that takes too long.
    pub(super) async fn next(&mut self) -> Result<bool, Error> {
        self.next_until(Some(self.patience)).await
    }

    async fn next_until(&mut self, until: Option<Instant>) -> Result<bool, Error> {
        // What is due has begun.
        let due =
            self.keep.look(GroupOwner::next_due).map(|at| at.since((self.clock)())).filter(|wait| !wait.is_zero());
        let deadline = self.trials.deadline().map(|at| at.since((self.clock)()));
        let wake = [due, deadline].into_iter().flatten().min();
        let limit = until.map(|until| until.saturating_duration_since(Instant::now()));
        tokio::select! {
            biased;
            event = self.events.next() => {
                let event = event.ok_or_else(|| Error::bug("the agent has ended"))?;
                self.agent_event(event).await?;
            }
            Some(job) = self.network.join_next() => {
                let (job, outcome) = job.map_err(|_| Error::bug("a task ended early"))?;
                self.finish(job, outcome).await?;
            }
            _ = self.written.changed() => {}
            () = self.desk.wait() => {}
            () = sleep(wake) => self.trials.check_time((self.clock)()),
            () = sleep(limit) => return Ok(false),
        }
        Ok(true)
    }

    async fn finish(&mut self, job: Job, outcome: Outcome) -> Result<(), Error> {
        match job {
            Job::Owner(task) => {
                if let Some(Some(server)) = self.running.remove(&task) {
                    self.record_read(&task, &server, &outcome);
                }
                self.tell(|owner, env| owner.finish(&task, outcome, env)).await
            }
            Job::Trial(number) => {
                let now = self.now();
                self.trials.read(number, outcome, now);
                Ok(())
            }
        }
    }

    /// Records that what is behind a link of a relay was read.
    fn record_read(&self, task: &TaskId, server: &ServerAddress, outcome: &Outcome) {
        let (name, relay) = match task {
            TaskId::ReadAddress(relay) => ("relay_address_read", relay),
            TaskId::ReadRelayLink(relay) => ("relay_link_read", relay),
            TaskId::ReadListed(link) => return report::read(self.ctx, "relay_link_read", server, link, outcome),
            _ => return,
        };
        let called = self.keep.look(|owner| relays::called_by_id(owner, relay));
        report::read(self.ctx, name, server, &called, outcome);
    }

    /// Records that a body is about to be sent through a connection, or came through it.
    pub(super) fn record_body(&self, connection: &ConnectionName, way: Way, body: &[u8]) {
        let name = self.keep.look(|owner| relays::called_by_connection(owner, connection));
        record_body(self.ctx, OWNER, &name, way, body);
    }

    /// Records that a relay was chosen.
    pub fn record_choice(&self, relay: &MemberId) {
        let name = self.keep.look(|owner| owner.relay(relay).map(relays::called));
        let step =
            Step { who: OWNER, name: "relay_choose", outcome: "ok", note: Status::New.name(), ..Step::default() };
        self.ctx.trace().step(Step { about: &name.unwrap_or_default(), ..step });
    }

    /// New relays get the posts that they were promised.
    async fn give_posts(&mut self) -> Result<(), Error> {
        while let Some(relay) = self.keep.look(|owner| owner.awaits_posts().cloned()) {
            let messages = self.messages.clone();
            match self.step(|owner, env| owner.give_posts(&relay, &messages, env)).await? {
                Ok(events) => self.told(&events),
                Err(error) => return Err(Error::new(Code::StoreFailed, error)),
            }
        }
        Ok(())
    }

    /// Notes that time has passed, and begins what is due.
    async fn start_due(&mut self) -> Result<(), Error> {
        if let Some(tidying) = &mut self.tidying {
            tidying.tidy(&self.messages, crate::now(self.ctx)).await?;
        }
        self.give_posts().await?;
        let now = self.now();
        if self.keep.look(GroupOwner::next_due).is_some_and(|due| due <= now) {
            self.tell(|owner, env| Ok(owner.elapsed(env))).await?;
        }
        loop {
            let now = self.now();
            let running = &self.running;
            let next = self.keep.look(|owner| owner.due(now).into_iter().find(|task| !running.contains_key(task)));
            let Some(task) = next else { return Ok(()) };
            let begun = self.keep.change(|owner| owner.task(&task));
            let mut reads = None;
            match begun.map_err(Error::bug)? {
                Task::ReadLink(link) => {
                    reads = Some(link.server.clone());
                    self.spawn_read(Job::Owner(task.clone()), link);
                }
                Task::WriteLink(write) => {
                    let dialler = self.dialler("link_update");
                    let job = Job::Owner(task.clone());
                    self.network.spawn(async move { (job, link_data::write(*write, dialler).await) });
                }
                Task::SetQueueKeys(set) => {
                    let dialler = self.dialler("link_keys");
                    let job = Job::Owner(task.clone());
                    self.network.spawn(async move { (job, link_data::set_keys(*set, dialler).await) });
                }
                Task::DeleteLink(deletion) => {
                    let dialler = self.dialler("link_delete");
                    let job = Job::Owner(task.clone());
                    self.network.spawn(async move { (job, link_data::delete(*deletion, dialler).await) });
                }
                local => {
                    self.do_local(task, local).await?;
                    continue;
                }
            }
            self.running.insert(task, reads);
        }
    }

    pub(super) fn spawn_read(&mut self, job: Job, link: ContactShortLink) {
        let dialler = self.dialler("link_read");
        self.network.spawn(async move { (job, link_data::read(link, dialler).await) });
    }

    /// Reads the group link as everybody does, and says so if that is not what its server confirmed.
    pub(super) async fn read_back(&mut self) -> Result<(), Error> {
        if !self.keep.look(|owner| owner.is_written() && owner.closing().is_none()) {
            return Ok(());
        }
        let link = self.keep.look(|owner| owner.link().group().short_link().clone());
        let host = link.server.first_host().to_string();
        let found = link_data::read(link, self.dialler("link_read_back")).await;
        let condition = self.keep.change(|owner| owner.read_back(&found));
        self.keep.save().await?;
        match condition {
            None | Some(LinkCondition::Current) => Ok(()),
            // Another owner wrote it. What that changes is taken now; what it makes necessary, the next run does.
            Some(LinkCondition::Newer) => {
                self.tell(|owner, env| owner.finish(&TaskId::ReadGroupLink, found, env)).await
            }
            Some(found) => {
                let problem = format!("{host} {}", report::condition(found));
                self.report.problems.warn(self.ctx, Code::LinkWithheld, problem);
                Ok(())
            }
        }
    }

    fn dialler(&mut self, step: &str) -> Dialler {
        Dialler::new(self.ctx, OWNER, step, self.timeout)
    }

    /// Does a task that is a step of a connection. Where possible, the step and the owner's knowledge of it become
    /// durable together.
    async fn do_local(&mut self, id: TaskId, task: Task) -> Result<(), Error> {
        let outcome = match task {
            Task::Open { connection, link, server, info } => {
                let plan = QueuePlan { server: server.address, password: server.password, sender_secures: true };
                Some(self.open(&connection, JoinLink::Full(link), plan, info).await?)
            }
            Task::Allow { connection, info } => {
                self.record_body(&connection, Way::Out, &info);
                self.talk(&id, &connection, move |connection, env| allow(connection, info, env)).await?
            }
            Task::Send { connection, bodies } => {
                bodies.iter().for_each(|body| self.record_body(&connection, Way::Out, body));
                self.talk(&id, &connection, move |connection, env| send(connection, &bodies, env)).await?
            }
            Task::Delete { connection, delivery } => {
                let delete = move |connection: &mut Connection, env: &mut Env<'_>| {
                    connection.delete(delivery, env);
                    Ok(())
                };
                self.talk(&id, &connection, delete).await?
            }
            Task::ReadLink(_) | Task::SetQueueKeys(_) | Task::WriteLink(_) | Task::DeleteLink(_) => {
                return Err(Error::bug("a task of the network"));
            }
        };
        match outcome {
            Some(outcome) => self.tell(|owner, env| owner.finish(&id, outcome, env)).await,
            None => Ok(()),
        }
    }

    /// Opens a connection; one of this name is the one that is wanted.
    pub(super) async fn open(
        &mut self,
        name: &ConnectionName,
        link: JoinLink,
        plan: QueuePlan,
        info: Vec<u8>,
    ) -> Result<Outcome, Error> {
        self.record_body(name, Way::Out, &info);
        let mut env = Env { now: (self.clock)(), random: self.random.as_mut() };
        let opened = self.lines.open(name, link, plan, info, &mut env).await?;
        Ok(opened.map_or_else(Outcome::Refused, |()| Outcome::Done))
    }

    /// Makes a step of a connection and finishes the task with it. `None` if that is all.
    async fn talk(
        &mut self,
        task: &TaskId,
        name: &ConnectionName,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<(), ConnectionError> + Send + 'static,
    ) -> Result<Option<Outcome>, Error> {
        let (keep, task) = (self.keep.clone(), task.clone());
        let both = move |connection: &mut Connection, env: &mut Env<'_>| {
            step(connection, env)?;
            Ok::<_, ConnectionError>(keep.change(|owner| owner.finish(&task, Outcome::Done, env)))
        };
        match self.lines.agent.change(&id(name)?, both).await {
            Ok(finished) => {
                let events = finished.map_err(Error::bug)?;
                self.keep.save().await?;
                self.take(Received { events, changes: Vec::new() }).await?;
                Ok(None)
            }
            Err(ChangeError::Refused(error)) => Ok(Some(Outcome::Refused(error.to_string()))),
            Err(ChangeError::Agent(AgentError::Unknown(_))) => {
                Ok(Some(Outcome::Refused("there is no connection with the relay any more".to_owned())))
            }
            Err(ChangeError::Agent(error)) => Err(agent_error(error)),
        }
    }

    async fn agent_event(&mut self, event: AgentEvent) -> Result<(), Error> {
        match event {
            AgentEvent::Connection(id, event) => match ConnectionName::new(&id.to_string()) {
                Some(name) => self.connection_event(name, event).await,
                None => Ok(()),
            },
            AgentEvent::Subscribed(id) => {
                self.lines.subscribed(&id);
                Ok(())
            }
            AgentEvent::Keeping(Ok(())) => Ok(()),
            AgentEvent::Unsubscribed(_, Unsubscribed::TakenOver) => {
                Err(Error::new(Code::TakenOver, "another program receives from the group's queues now"))
            }
            AgentEvent::Unsubscribed(id, Unsubscribed::Refused(error)) => match ConnectionName::new(&id.to_string()) {
                Some(name) => self.failed(name, &format!("the server of our queue: {error}")).await,
                None => Ok(()),
            },
            AgentEvent::Server(server, event) => {
                self.report.problems.take_server(self.ctx, OWNER, &server, &event);
                Ok(())
            }
            AgentEvent::Keeping(Err(error)) | AgentEvent::Lost(error) => Err(agent_error(error)),
        }
    }

    async fn connection_event(&mut self, name: ConnectionName, event: ConnectionEvent) -> Result<(), Error> {
        match event {
            ConnectionEvent::Confirmed { info } => {
                self.be_patient();
                self.record_body(&name, Way::In, &info);
                let now = self.now();
                if self.trials.answered(&name, &info, now) {
                    return Ok(());
                }
                self.tell(|owner, env| owner.answered(&name, &info, env)).await
            }
            ConnectionEvent::Connected { .. } => {
                let heard = |connection: &mut Connection, _: &mut Env<'_>| connection.heard();
                self.hear(&name, heard, |owner, name, env| owner.connected(name, env)).await
            }
            ConnectionEvent::Message(message) => {
                self.record_body(&name, Way::In, &message.body);
                self.deliver(&name, message).await
            }
            ConnectionEvent::Receipts { id, .. } => {
                let acknowledge = move |connection: &mut Connection, env: &mut Env<'_>| {
                    let _ = connection.acknowledge(&id, None, env);
                };
                self.hear(&name, acknowledge, |_, _, _| Ok(Vec::new())).await
            }
            ConnectionEvent::Stopped(fault) => self.failed(name, &fault.to_string()).await,
            ConnectionEvent::QueueLost => self.failed(name, "the server has deleted our queue").await,
            // The relay has given up its queue: nothing reaches it any more.
            ConnectionEvent::NotSent { fault: fault @ TaskFault::Refused { error: ServerError::Auth, .. }, .. } => {
                self.failed(name, &fault.to_string()).await
            }
            event => {
                self.report.problems.warn_of_connection(self.ctx, &name, &event);
                Ok(())
            }
        }
    }

    /// Tells the owner, and the connection that it was told, at the same time.
    async fn hear(
        &mut self,
        name: &ConnectionName,
        heard: impl FnOnce(&mut Connection, &mut Env<'_>) + Send + 'static,
        tell: impl FnOnce(&mut GroupOwner, &ConnectionName, &mut Env<'_>) -> Result<Vec<Event>, OwnerError> + Send + 'static,
    ) -> Result<(), Error> {
        let (keep, told_name) = (self.keep.clone(), name.clone());
        let both = move |connection: &mut Connection, env: &mut Env<'_>| {
            let told = keep.change(|owner| tell(owner, &told_name, env));
            heard(connection, env);
            Ok::<_, Error>(told)
        };
        match self.lines.agent.change(&id(name)?, both).await {
            Ok(Ok(events)) => {
                self.keep.save().await?;
                self.take(Received { events, changes: Vec::new() }).await
            }
            Ok(Err(OwnerError::UnknownConnection(_) | OwnerError::Prohibited(..))) => self.keep.save().await,
            Ok(Err(error)) => Err(Error::bug(error)),
            Err(error) => {
                done(Err(error))?;
                self.keep.save().await
            }
        }
    }

    /// What a relay delivered: first it is known, then compared and kept or printed, then acknowledged.
    async fn deliver(&mut self, name: &ConnectionName, message: ReceivedMessage) -> Result<(), Error> {
        let messages = self.messages.clone();
        let received = self.step(|owner, env| owner.received(name, &message.body, &messages, env)).await?;
        match received {
            Ok(received) => self.take(received).await?,
            Err(OwnerError::UnknownConnection(_)) => {}
            Err(OwnerError::Records(error)) => return Err(Error::new(Code::StoreFailed, error)),
            Err(error) => return Err(Error::bug(error)),
        }
        let acknowledge = move |connection: &mut Connection, env: &mut Env<'_>| {
            // It was acknowledged before, if there is nothing to acknowledge.
            let _ = connection.acknowledge(&message.id, None, env);
            Ok::<_, Error>(())
        };
        done(self.lines.agent.change(&id(name)?, acknowledge).await)
    }

    async fn failed(&mut self, name: ConnectionName, reason: &str) -> Result<(), Error> {
        self.be_patient();
        if self.trials.failed(&name, reason) {
            return Ok(());
        }
        self.tell(|owner, env| owner.connection_failed(&name, reason, env)).await
    }

    /// Ends in good order.
    pub async fn close(self) {
        self.lines.agent.close().await;
    }
}

fn send(connection: &mut Connection, bodies: &[Vec<u8>], env: &mut Env<'_>) -> Result<(), ConnectionError> {
    bodies.iter().try_for_each(|body| connection.send(body, SendOptions::default(), env).map(drop))
}

impl Serves for Work<'_> {
    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    async fn restore(&mut self) -> Result<Result<(), Error>, Error> {
        Ok(self.outcome(Wanted::One, self.timeout))
    }

    fn is_restored(&self, _: Wanted) -> bool {
        true
    }

    fn outcome(&self, _: Wanted, _: Timeout) -> Result<(), Error> {
        Err(Error::new(Code::Usage, "owners restore nothing").hint("grp-relay-invite goes on with relays"))
    }
}
