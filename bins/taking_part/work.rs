//! A run in which the member's tasks are done, and what relays deliver reaches the member, until a goal is reached.
//!
//! What relays deliver is acknowledged only by runs that print it, and only after it was printed. Others leave it where it
//! is: the servers keep it for the next run.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use agent::connection::{
    Connection, ConnectionError, Event as ConnectionEvent, JoinLink, QueuePlan, ReceivedMessage, SendOptions, Where,
};
use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use cli::{Code, Context, Error, Kept, OrError as _, State, Timeout};
use crypto::Random;
use group::membership::{Event, MemberError, Membership, Outcome, Received, RelayRecord, Task, TaskId};
use group::owner::{ConnectionName, Outcome as LinkOutcome};
use net::agent::{Agent, AgentError, AgentEvent, AgentEvents, ChangeError, Clock, Unsubscribed};
use net::tls::Connector;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::joining::{Wanted, refused};
use super::lines::GroupEvent;
use super::messages::{Line, Messages, Retention, Tidying};
use super::report::{self, MEMBER, Report};
use crate::Dialler;
use crate::connection::running::{Watch, clock, observer, options};
use crate::documents::Member;
use crate::held::{MemberKeep, id, run_name};
use crate::owning::link_data;
use crate::relay_lines::{RelayLines, Way, agent_error, allow, done, record_body, sleep};
use crate::serving::desk::{Desk, Serves, serve};

/// How long a run that has what it wants goes on when nothing happens.
const LINGER: Duration = Duration::from_secs(1);
/// How long to wait for what the servers have before they are asked again whether they still have it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With what was wanted.
    Reached,
    /// Nothing has happened for too long.
    TimedOut,
}

/// What a run does with what relays deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Nothing: it is left for another run.
    Leaves,
    /// Prints it, then acknowledges it.
    Prints,
    /// Does not even look whether there is something.
    Looks,
}

/// A member at work.
pub struct Work<'a> {
    ctx: &'a mut Context,
    keep: MemberKeep,
    messages: Messages,
    reading: Reading,
    lines: RelayLines,
    events: AgentEvents,
    written: watch::Receiver<u64>,
    network: JoinSet<(TaskId, LinkOutcome)>,
    running: BTreeSet<TaskId>,
    /// What came and is not taken yet.
    held: VecDeque<(ConnectionName, ReceivedMessage)>,
    random: Box<dyn Random + Send>,
    clock: Clock,
    timeout: Timeout,
    /// When the user has waited long enough, unless something happens before.
    patience: Instant,
    report: Report,
    said: u64,
    /// What owners' counts show is told at the end, all together.
    auditing: bool,
    /// The group link could not be read.
    link_problem: Option<String>,
    desk: Desk,
    tidying: Option<Tidying>,
}

/// The membership in a file, and the name of the run.
pub fn restored(document: Member, state: State, kept: &Kept) -> Result<(MemberKeep, String), Error> {
    let run = run_name(&document)?;
    let Member(document) = document;
    let member = Membership::try_from(document).or_error_at(Code::FieldInvalid, kept.state.display())?;
    Ok((MemberKeep::new(member, state), run))
}

impl<'a> Work<'a> {
    /// Begins with the membership as it is kept. `run` names the randomness of this run.
    pub async fn start(
        ctx: &'a mut Context,
        (keep, run): (&MemberKeep, &str),
        messages: Messages,
        reading: Reading,
        timeout: Timeout,
    ) -> Result<Work<'a>, Error> {
        let connector = Connector::new().or_error_at(Code::Bug, "TLS")?;
        let watch = if reading == Reading::Looks { Watch::Send } else { Watch::Follow };
        let options = options(timeout, watch, observer(ctx.trace(), MEMBER));
        let (clock, random) = (clock(ctx.clock()), ctx.random(&format!("agent_{run}")));
        let (agent, events) = Agent::start(keep.clone(), connector, options, random, clock.clone());
        let mut work = Work {
            random: ctx.random(&format!("member_{run}")),
            ctx,
            written: keep.written(),
            keep: keep.clone(),
            messages,
            reading,
            lines: RelayLines::new(agent),
            events,
            network: JoinSet::new(),
            running: BTreeSet::new(),
            held: VecDeque::new(),
            clock,
            timeout,
            patience: Instant::now() + timeout.duration(),
            report: Report::default(),
            said: 0,
            auditing: false,
            link_problem: None,
            desk: Desk::default(),
            tidying: None,
        };
        for (_, outcome) in work.lines.agent.load_all().await.map_err(agent_error)? {
            outcome.map_err(agent_error)?;
        }
        work.keep.look(|member| work.report.show(work.ctx, member));
        if reading == Reading::Prints {
            let waiting = work.messages.waiting()?;
            work.print(waiting).await?;
        }
        Ok(work)
    }

    /// The time.
    fn now(&self) -> Time {
        (self.clock)()
    }

    /// The membership.
    pub fn keep(&self) -> &MemberKeep {
        &self.keep
    }

    /// Where messages are kept.
    pub fn messages(&self) -> &Messages {
        &self.messages
    }

    /// Everything else that the run has at hand.
    pub fn context(&mut self) -> &mut Context {
        self.ctx
    }

    /// How many messages, edits, deletions and reactions were printed.
    pub fn said(&self) -> u64 {
        self.said
    }

    /// Does for other runs on the state file what they want, in [`wait`](Self::wait) and [`follow`](Self::follow).
    pub fn serve_others(&mut self, state: &Path) {
        self.desk = Desk::open(state, self.ctx);
    }

    /// Forgets old messages now and then.
    pub fn keep_for(&mut self, retention: Retention) {
        self.tidying = Some(Tidying::new(retention));
    }

    /// Makes a step of the member, and brings it into the file before anything follows from it.
    pub async fn step<T>(
        &mut self,
        step: impl FnOnce(&mut Membership, &mut Env<'_>) -> Result<T, MemberError>,
    ) -> Result<Result<T, MemberError>, Error> {
        let mut env = Env { now: (self.clock)(), random: self.random.as_mut() };
        let made = self.keep.change(|member| step(member, &mut env));
        self.keep.save().await?;
        Ok(made)
    }

    /// Makes a step that tells something.
    async fn tell(
        &mut self,
        step: impl FnOnce(&mut Membership, &mut Env<'_>) -> Result<Vec<Event>, MemberError>,
    ) -> Result<(), Error> {
        match self.step(step).await? {
            Ok(events) => self.told(events).await,
            // Of a connection that is given up, or of a task that is not wanted any more.
            Err(MemberError::UnknownConnection(_)) => Ok(()),
            Err(error) => Err(Error::bug(error)),
        }
    }

    /// Passes on what the member was told.
    pub async fn told(&mut self, events: Vec<Event>) -> Result<(), Error> {
        self.take(Received { events, changes: Vec::new() }).await
    }

    /// Makes durable what follows from something, and prints it.
    async fn take(&mut self, received: Received) -> Result<(), Error> {
        let Received { events, changes } = received;
        let at = crate::now(self.ctx);
        let mut lines = Vec::new();
        for event in &events {
            if matches!(event, Event::Status { .. } | Event::Heard(_)) {
                self.be_patient();
            }
            if let Event::LinkUnusable { reason } = event {
                self.link_problem = Some(reason.clone());
            }
            self.keep.look(|member| self.report.tell(self.ctx, member, event));
            let line = self.keep.look(|member| GroupEvent::of(event, member, at));
            if let Some(line) = line.filter(|_| self.prints(event)) {
                lines.push(serde_json::to_string(&line).or_error(Code::Bug)?);
            }
        }
        if changes.is_empty() && lines.is_empty() {
            return Ok(());
        }
        let lines = self.messages.write(changes, lines).await?;
        if self.reading == Reading::Prints { self.print(lines).await } else { Ok(()) }
    }

    /// Whether something is printed, by this run or by the next one that prints. What owners' counts show is found by
    /// whichever run has the time.
    fn prints(&self, event: &Event) -> bool {
        match event {
            Event::Compared(_) => !self.auditing,
            _ => self.reading == Reading::Prints,
        }
    }

    async fn print(&mut self, lines: Vec<Line>) -> Result<(), Error> {
        for Line { number, value } in lines {
            let event: GroupEvent = serde_json::from_str(&value).or_error_at(Code::StoreFailed, "a line to print")?;
            self.ctx.emit(&event)?;
            self.said = self.said.saturating_add(u64::from(event.is_message()));
            self.messages.printed(number).await?;
        }
        Ok(())
    }

    fn be_patient(&mut self) {
        self.patience = Instant::now() + self.timeout.duration();
    }

    /// Reads the group link again and joins relays that are new or were lost, until there is enough.
    pub async fn join_again(&mut self, wanted: Wanted) -> Result<End, Error> {
        self.restore().await??;
        self.until(|member| wanted.is_decided(member)).await
    }

    /// Works until `goal` holds, and then on while things go on, or until nothing has happened for too long.
    pub async fn until(&mut self, goal: impl Fn(&Membership) -> bool) -> Result<End, Error> {
        loop {
            self.start_due().await?;
            let reached = self.keep.look(&goal);
            if reached && self.is_quiet().await? {
                return Ok(End::Reached);
            }
            let limit = if reached { Instant::now() + LINGER } else { self.patience };
            if !self.next(Some(limit)).await? {
                return Ok(if reached { End::Reached } else { End::TimedOut });
            }
        }
    }

    /// Works until the servers have everything that was said, and know of every connection that is over.
    pub async fn until_sent(&mut self) -> Result<End, Error> {
        loop {
            self.start_due().await?;
            if self.is_sent().await? {
                return Ok(End::Reached);
            }
            if !self.next(Some(self.patience)).await? {
                return Ok(End::TimedOut);
            }
        }
    }

    /// Works until the servers have nothing left for us, or `enough` says so.
    pub async fn drain(&mut self, enough: impl Fn(&Self) -> bool) -> Result<End, Error> {
        loop {
            self.start_due().await?;
            if enough(self) || (self.is_drained().await? && self.is_sent().await?) {
                return Ok(End::Reached);
            }
            if Instant::now() >= self.patience {
                return Ok(End::TimedOut);
            }
            self.next(Some(Instant::now() + LOOK_AGAIN)).await?;
        }
    }

    /// A run that listens: the group link is read, and what relays owe counts from now.
    pub async fn listen(&mut self) -> Result<(), Error> {
        let now = self.now();
        self.step(|member, _| {
            member.open(now);
            Ok(())
        })
        .await?
        .map_err(Error::bug)
    }

    /// Works until `enough` says so, or until nothing has happened for too long.
    pub async fn wait(&mut self, enough: impl Fn(&Self) -> bool) -> Result<End, Error> {
        loop {
            self.start_due().await?;
            serve(self).await?;
            if enough(self) {
                return Ok(End::Reached);
            }
            if !self.next(Some(self.patience)).await? {
                return Ok(End::TimedOut);
            }
        }
    }

    /// Reads the group link and everything that relays delivered, and waits for posts that owners counted and that are not
    /// here. What is wrong then, [`Membership::findings`] says.
    pub async fn audit(&mut self, patience: Duration) -> Result<(), Error> {
        self.auditing = true;
        self.listen().await?;
        while !(self.start_due_and_drain().await? && self.network.is_empty() && self.is_sent().await?) {
            if Instant::now() >= self.patience {
                let message = format!("not every server has answered within {} s", self.timeout.timeout);
                return Err(Error::new(Code::TimedOut, message).hint("try again, or give a longer --timeout"));
            }
            self.next(Some(Instant::now() + LOOK_AGAIN)).await?;
        }
        if let Some(reason) = &self.link_problem {
            return Err(Error::new(Code::NotYet, format!("the group link cannot be read now: {reason}")));
        }
        let end = Instant::now() + patience;
        loop {
            self.start_due().await?;
            let messages = self.messages.clone();
            let now = self.now();
            let events = self.keep.change(|member| member.audit(&messages, now)).map_err(member_error)?;
            self.told(events).await?;
            if self.keep.look(Membership::outstanding) == 0 || Instant::now() > end + LINGER {
                return self.keep.save().await;
            }
            self.next(Some(Instant::now() + LOOK_AGAIN)).await?;
        }
    }

    async fn start_due_and_drain(&mut self) -> Result<bool, Error> {
        self.start_due().await?;
        self.is_drained().await
    }

    /// Works for ever, or until `enough` says so.
    pub async fn follow(&mut self, enough: impl Fn(&Self) -> bool) -> Result<(), Error> {
        self.step(|member, _| {
            member.go_on();
            Ok(())
        })
        .await?
        .map_err(Error::bug)?;
        loop {
            self.start_due().await?;
            serve(self).await?;
            if enough(self) || self.keep.look(|member| member.ended().is_some() && !member.has_tasks()) {
                return Ok(());
            }
            self.next(None).await?;
        }
    }

    /// Whether everything that was said is with the servers, and everything that is over is deleted.
    async fn is_sent(&self) -> Result<bool, Error> {
        let owes = |record: &RelayRecord| record.unsent() > 0 || record.is_parting();
        if self.keep.look(|member| member.relays().iter().any(owes)) {
            return Ok(false);
        }
        for name in self.connections().iter().filter_map(|name| ConnectionName::new(name)) {
            match self.lines.status(&name).await? {
                Some(status) if status.at == Where::Deleting => return Ok(false),
                Some(status) if status.at == Where::Connected && status.unsent > 0 => return Ok(false),
                Some(_) | None => {}
            }
        }
        Ok(true)
    }

    /// Whether nothing is left to do that needs nobody else.
    async fn is_quiet(&self) -> Result<bool, Error> {
        if !self.network.is_empty() || self.keep.look(Membership::has_tasks) {
            return Ok(false);
        }
        self.lines.are_quiet(&self.connections()).await
    }

    fn connections(&self) -> Vec<String> {
        self.keep.look(|member| member.connections().names().map(str::to_owned).collect())
    }

    /// How many messages of ours the servers do not have, of one connection.
    pub async fn unsent(&self, connection: &ConnectionName) -> Result<usize, Error> {
        self.lines.unsent(connection).await
    }

    /// Whether the servers have nothing left for us.
    async fn is_drained(&self) -> Result<bool, Error> {
        Ok(self.held.is_empty() && self.lines.are_drained(&self.connections()).await?)
    }

    /// Waits for the next thing that happens. False if that takes too long.
    async fn next(&mut self, until: Option<Instant>) -> Result<bool, Error> {
        // What is due has begun.
        let wake =
            self.keep.look(Membership::next_due).map(|at| at.since((self.clock)())).filter(|wait| !wait.is_zero());
        let limit = until.map(|until| until.saturating_duration_since(Instant::now()));
        tokio::select! {
            biased;
            event = self.events.next() => {
                let event = event.ok_or_else(|| Error::bug("the agent has ended"))?;
                self.agent_event(event).await?;
            }
            Some(job) = self.network.join_next() => {
                let (task, outcome) = job.map_err(|_| Error::bug("a task ended early"))?;
                self.running.remove(&task);
                let outcome = of_link(outcome)?;
                self.keep.look(|member| report::read(self.ctx, member, &task, &outcome));
                let was_read = matches!(outcome, Outcome::Retrieved(_));
                self.tell(|member, env| member.finish(&task, outcome, env)).await?;
                if was_read {
                    self.keep.look(|member| report::checked(self.ctx, member, &task));
                }
            }
            _ = self.written.changed() => {}
            () = self.desk.wait() => {}
            () = sleep(wake) => {}
            () = sleep(limit) => return Ok(false),
        }
        Ok(true)
    }

    /// Notes that time has passed, and begins what is due.
    async fn start_due(&mut self) -> Result<(), Error> {
        if let Some(tidying) = &mut self.tidying {
            tidying.tidy(&self.messages, crate::now(self.ctx)).await?;
        }
        let messages = self.messages.clone();
        let now = self.now();
        let events = self.keep.change(|member| member.elapsed(&messages, now)).map_err(member_error)?;
        self.told(events).await?;
        self.take_held().await?;
        loop {
            let now = self.now();
            let running = &self.running;
            let next = self.keep.look(|member| member.due(now).into_iter().find(|task| !running.contains(task)));
            let Some(task) = next else { return Ok(()) };
            match self.keep.look(|member| member.task(&task)).map_err(Error::bug)? {
                Task::ReadLink(link) => {
                    self.spawn_read(task.clone(), link);
                    self.running.insert(task);
                }
                local => self.do_local(task, local).await?,
            }
        }
    }

    fn spawn_read(&mut self, task: TaskId, link: ContactShortLink) {
        let dialler = Dialler::new(self.ctx, MEMBER, "link_read", self.timeout);
        self.network.spawn(async move { (task, link_data::read(link, dialler).await) });
    }

    /// Records that a body is about to be sent through a connection, or came through it.
    fn record_body(&self, connection: &ConnectionName, way: Way, body: &[u8]) {
        let name = self.keep.look(|member| report::called_by_connection(member, connection));
        record_body(self.ctx, MEMBER, &name, way, body);
    }

    /// Does a task that is a step of a connection. Where possible, the step and the member's knowledge of it become
    /// durable together.
    async fn do_local(&mut self, task: TaskId, how: Task) -> Result<(), Error> {
        match how {
            Task::Open { connection, link, server, info } => {
                self.record_body(&connection, Way::Out, &info);
                let plan = QueuePlan { server: server.address, password: server.password, sender_secures: true };
                let mut env = Env { now: (self.clock)(), random: self.random.as_mut() };
                let opened = self.lines.open(&connection, JoinLink::Full(link), plan, info, &mut env).await?;
                let outcome = opened.map_or_else(Outcome::Refused, |()| Outcome::Done);
                self.tell(|member, env| member.finish(&task, outcome, env)).await
            }
            Task::Allow { connection, info } => {
                self.record_body(&connection, Way::Out, &info);
                self.talk(&task, &connection, move |connection, env| allow(connection, info, env)).await
            }
            Task::Send { connection, body } => {
                self.record_body(&connection, Way::Out, &body);
                let send = move |connection: &mut Connection, env: &mut Env<'_>| {
                    connection.send(&body, SendOptions::default(), env).map(drop)
                };
                self.talk(&task, &connection, send).await
            }
            Task::Delete { connection, delivery } => {
                let delete = move |connection: &mut Connection, env: &mut Env<'_>| {
                    connection.delete(delivery, env);
                    Ok(())
                };
                self.talk(&task, &connection, delete).await
            }
            Task::ReadLink(_) => Err(Error::bug("a task of the network")),
        }
    }

    /// Makes a step of a connection and finishes the task with it.
    async fn talk(
        &mut self,
        task: &TaskId,
        name: &ConnectionName,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<(), ConnectionError> + Send + 'static,
    ) -> Result<(), Error> {
        let (keep, finished) = (self.keep.clone(), task.clone());
        let both = move |connection: &mut Connection, env: &mut Env<'_>| {
            step(connection, env)?;
            Ok::<_, ConnectionError>(keep.change(|member| member.finish(&finished, Outcome::Done, env)))
        };
        let reason = match self.lines.agent.change(&id(name)?, both).await {
            Ok(finished) => {
                self.keep.save().await?;
                return self.told(finished.map_err(Error::bug)?).await;
            }
            Err(ChangeError::Refused(error)) => error.to_string(),
            Err(ChangeError::Agent(AgentError::Unknown(_))) => "there is no such connection any more".to_owned(),
            Err(ChangeError::Agent(error)) => return Err(agent_error(error)),
        };
        self.tell(|member, env| member.finish(task, Outcome::Refused(reason), env)).await
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
                Some(name) => self.failed(&name, &format!("the server of our queue: {error}")).await,
                None => Ok(()),
            },
            AgentEvent::Server(server, event) => {
                self.report.problems.take_server(self.ctx, MEMBER, &server, &event);
                Ok(())
            }
            AgentEvent::Keeping(Err(error)) | AgentEvent::Lost(error) => Err(agent_error(error)),
        }
    }

    async fn connection_event(&mut self, name: ConnectionName, event: ConnectionEvent) -> Result<(), Error> {
        match event {
            ConnectionEvent::Confirmed { info } => {
                self.record_body(&name, Way::In, &info);
                self.tell(|member, env| member.answered(&name, &info, env)).await
            }
            ConnectionEvent::Connected { .. } => self.connected(&name).await,
            ConnectionEvent::Message(message) if self.reading == Reading::Prints => {
                self.held.push_back((name, message));
                Ok(())
            }
            ConnectionEvent::Receipts { id: receipt, .. } => {
                let acknowledge = move |connection: &mut Connection, env: &mut Env<'_>| {
                    let _ = connection.acknowledge(&receipt, None, env);
                    Ok::<_, Error>(())
                };
                done(self.lines.agent.change(&id(&name)?, acknowledge).await)
            }
            ConnectionEvent::Stopped(fault) => self.failed(&name, &fault.to_string()).await,
            ConnectionEvent::QueueLost => self.failed(&name, "the server has deleted our queue").await,
            event => {
                self.report.problems.warn_of_connection(self.ctx, &name, &event);
                Ok(())
            }
        }
    }

    /// Tells the member, and the connection that the member was told, at the same time.
    async fn connected(&mut self, name: &ConnectionName) -> Result<(), Error> {
        let (keep, told_name) = (self.keep.clone(), name.clone());
        let both = move |connection: &mut Connection, env: &mut Env<'_>| {
            let told = keep.change(|member| member.connected(&told_name, env));
            connection.heard();
            Ok::<_, Error>(told)
        };
        match self.lines.agent.change(&id(name)?, both).await {
            Ok(Ok(events)) => {
                self.keep.save().await?;
                self.told(events).await
            }
            Ok(Err(MemberError::UnknownConnection(_))) => self.keep.save().await,
            Ok(Err(error)) => Err(Error::bug(error)),
            Err(error) => done(Err(error)),
        }
    }

    /// What a relay delivered: first it is known, then compared and printed, then acknowledged.
    /// Takes what came. What comes while the group link is to be read waits for that: it may be by an owner whom only the
    /// link names. Of each connection one message can wait.
    async fn take_held(&mut self) -> Result<(), Error> {
        while !self.reads_group_link()
            && let Some((name, message)) = self.held.pop_front()
        {
            self.deliver(&name, message).await?;
        }
        Ok(())
    }

    fn reads_group_link(&self) -> bool {
        let now = self.now();
        self.keep.look(|member| member.due(now).contains(&TaskId::ReadGroupLink))
    }

    async fn deliver(&mut self, name: &ConnectionName, message: ReceivedMessage) -> Result<(), Error> {
        self.record_body(name, Way::In, &message.body);
        let messages = self.messages.clone();
        let received = self.step(|member, env| member.received(name, &message.body, &messages, env)).await?;
        match received {
            Ok(received) => self.take(received).await?,
            Err(MemberError::UnknownConnection(_)) => {}
            Err(error) => return Err(member_error(error)),
        }
        let acknowledge = move |connection: &mut Connection, env: &mut Env<'_>| {
            // It was acknowledged before, if there is nothing to acknowledge.
            let _ = connection.acknowledge(&message.id, None, env);
            Ok::<_, Error>(())
        };
        done(self.lines.agent.change(&id(name)?, acknowledge).await)
    }

    async fn failed(&mut self, name: &ConnectionName, reason: &str) -> Result<(), Error> {
        self.tell(|member, env| member.connection_failed(name, reason, env)).await
    }

    /// Ends in good order.
    pub async fn close(self) {
        self.lines.agent.close().await;
    }
}

fn member_error(error: MemberError) -> Error {
    match error {
        MemberError::Records(error) => Error::new(Code::StoreFailed, error),
        error => Error::bug(error),
    }
}

impl Serves for Work<'_> {
    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    async fn restore(&mut self) -> Result<Result<(), Error>, Error> {
        match self.step(|member, env| member.restore(env)).await? {
            Ok(events) => self.told(events).await.map(Ok),
            Err(error) => Ok(Err(refused(error))),
        }
    }

    fn is_restored(&self, wanted: Wanted) -> bool {
        let now = self.now();
        let is_quiet = self.network.is_empty() && self.keep.look(|member| member.due(now).is_empty());
        is_quiet && self.keep.look(|member| wanted.is_decided(member))
    }

    fn outcome(&self, wanted: Wanted, timeout: Timeout) -> Result<(), Error> {
        self.keep.look(|member| wanted.outcome(member, timeout))
    }
}

/// What came of reading a link.
fn of_link(outcome: LinkOutcome) -> Result<Outcome, Error> {
    match outcome {
        LinkOutcome::Retrieved(data) => Ok(Outcome::Retrieved(data)),
        LinkOutcome::Unreachable(reason) => Ok(Outcome::Unreachable(reason)),
        LinkOutcome::Refused(reason) => Ok(Outcome::Refused(reason)),
        LinkOutcome::Done | LinkOutcome::Written(_) => Err(Error::bug("a link that was read has data")),
    }
}
