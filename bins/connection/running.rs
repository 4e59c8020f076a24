//! The part of a run in which servers are talked to: an agent with one connection, until a goal is reached.

mod behaviour;
mod trace;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::connection::keep::ConnectionId;
use agent::connection::{Connection, Event};
use agent::time::Env;
use cli::{Code, Context, Error, OrError as _, Progress, Step, Timeout};
use net::agent::{Agent, AgentError, AgentEvent, AgentEvents, ChangeError, LookError, ServerEvent, Unsubscribed};
use net::tls::Connector;
use smp::address::ServerAddress;
use tokio::sync::watch;

use super::documents;
use super::fault;
use super::keep::StateKeep;
pub(crate) use behaviour::{clock, observer, options};
use trace::traced;

/// How long to wait for what the server has before it is asked again whether it still has it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Whether to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// No: only what is due is sent. Another program may be receiving.
    Send,
    /// Yes, to bring the connection to stand; every server is needed.
    Answer,
    /// Yes; only the server of our queue is needed.
    Receive,
    /// Yes, and go on when servers cannot be reached for a while.
    Follow,
}

/// What happened.
#[derive(Debug)]
pub enum Told {
    /// An event of the connection.
    Event(Event),
    /// The server delivers from now on: first what it has, then what comes.
    Subscribed,
    /// Something else; the state file may say something new.
    Other,
}

/// An agent at work on the connection.
pub struct Running<'a> {
    ctx: &'a mut Context,
    keep: StateKeep,
    agent: Agent,
    events: AgentEvents,
    id: ConnectionId,
    document: watch::Receiver<Option<Arc<documents::Connection>>>,
    timeout: Timeout,
    watch: Watch,
    who: &'static str,
    /// Servers whose user knows that they cannot be reached.
    down: BTreeSet<String>,
    progress: Option<Progress>,
}

impl<'a> Running<'a> {
    pub(super) async fn start(
        ctx: &'a mut Context,
        keep: &StateKeep,
        timeout: Timeout,
        watch: Watch,
    ) -> Result<Self, Error> {
        let connector = Connector::new().or_error_at(Code::Bug, "TLS")?;
        let who = keep.notes().role.name();
        let random = ctx.random(&format!("agent_{}", keep.revision()));
        let options = options(timeout, watch, observer(ctx.trace(), who));
        let (agent, events) = Agent::start(keep.clone(), connector, options, random, clock(ctx.clock()));
        let (id, document) = (StateKeep::id()?, keep.document());
        let keep = keep.clone();
        let running = Running {
            ctx,
            keep,
            agent,
            events,
            id,
            document,
            timeout,
            watch,
            who,
            down: BTreeSet::new(),
            progress: None,
        };
        running.agent.load(&running.id).await.map_err(|error| running.agent_error(error))?;
        Ok(running)
    }

    /// Everything else that the run has at hand.
    pub fn context(&mut self) -> &mut Context {
        self.ctx
    }

    /// The state file.
    pub fn keep(&self) -> &StateKeep {
        &self.keep
    }

    /// What the state file says.
    pub fn document(&self) -> Result<Arc<documents::Connection>, Error> {
        self.document.borrow().clone().ok_or_else(|| Error::bug("the state file is gone"))
    }

    /// Shows what is waited for.
    pub fn show(&mut self, waiting_for: &str) {
        self.progress = Some(self.ctx.progress(waiting_for));
    }

    /// Works until the state file says what is wanted.
    pub async fn until(&mut self, goal: impl Fn(&documents::Connection) -> bool) -> Result<(), Error> {
        while !goal(&*self.document()?) {
            if let Told::Event(event) = self.next().await? {
                self.refuse_failure(event)?;
            }
        }
        Ok(())
    }

    /// Makes a step that the trace names; it is in the state file on return.
    pub async fn step<T: Send + 'static>(
        &mut self,
        name: &str,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let made = self.change(step).await;
        let outcome = made.as_ref().err().map_or("ok", |error| error.code().name());
        let name = &format!("conn_{name}");
        self.ctx.trace().step(Step { who: self.who, name, outcome, ..Step::default() });
        made
    }

    /// Makes a step of the connection; it is in the state file on return.
    pub async fn change<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.agent.change(&self.id, step).await.map_err(|error| match error {
            ChangeError::Agent(error) => self.agent_error(error),
            ChangeError::Refused(error) => error,
        })
    }

    /// The next thing that happens. Waits for it as long as the other side may take, or with [`Watch::Follow`] for ever.
    pub async fn next(&mut self) -> Result<Told, Error> {
        let limit = (self.watch != Watch::Follow).then(|| self.timeout.duration());
        loop {
            let told = tokio::select! {
                biased;
                event = self.events.next() => self.tell(event)?,
                changed = self.document.changed() => changed.map(|()| Some(Told::Other)).unwrap_or_default(),
                () = elapsed(limit) => return Err(self.timed_out()),
            };
            if let Some(told) = told {
                return Ok(told);
            }
        }
    }

    /// What has happened already, without waiting for more.
    pub fn next_ready(&mut self) -> Result<Option<Told>, Error> {
        while let Some(event) = self.events.ready() {
            if let Some(told) = self.tell(Some(event))? {
                return Ok(Some(told));
            }
        }
        Ok(None)
    }

    /// Works until the server has nothing left for us, or `take`, which gets every event, says that this is enough.
    pub async fn drain(
        &mut self,
        mut take: impl AsyncFnMut(&mut Self, Event) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let mut subscribed = false;
        loop {
            let told = match subscribed {
                false => Some(self.next().await?),
                true => self.next_of_rest().await?,
            };
            match told {
                Some(Told::Event(event)) => {
                    if take(self, event).await?.is_break() {
                        return Ok(());
                    }
                }
                Some(Told::Subscribed) => subscribed = true,
                Some(Told::Other) => {}
                None => return Ok(()),
            }
        }
    }

    /// The next thing that happens while the server has something left for us.
    async fn next_of_rest(&mut self) -> Result<Option<Told>, Error> {
        let begun = Instant::now();
        while begun.elapsed() < self.timeout.duration() {
            self.keep.released().await;
            if let Some(told) = self.next_ready()? {
                return Ok(Some(told));
            }
            if self.queue_size().await? == 0 {
                return Ok(None);
            }
            // It is on its way to us; or we know it already, and its acknowledgement is on its way to the server.
            if let Ok(told) = tokio::time::timeout(LOOK_AGAIN, self.next()).await {
                return told.map(Some);
            }
        }
        Err(self.timed_out())
    }

    /// How many messages the server still has for us.
    async fn queue_size(&mut self) -> Result<u64, Error> {
        let looked = self.agent.look(&self.id).await;
        let looked = looked.map(|queue| queue.size).map_err(|error| self.look_error(error));
        self.trace_receiving("smp_que", looked.as_ref().err().map_or("ok", |error| error.code().name()));
        looked
    }

    /// Lets end what was begun: acknowledgements, receipts. What does not end in time is done by the next run.
    pub(super) async fn settle(&mut self) {
        let _ = tokio::time::timeout(self.timeout.duration(), self.keep.released()).await;
    }

    pub(super) async fn close(self) {
        self.agent.close().await;
    }

    fn timed_out(&self) -> Error {
        let lacks = match self.watch {
            Watch::Send => "not everything was sent",
            _ => self.document().map_or("no server has answered", |document| document.lacks()),
        };
        Error::new(Code::TimedOut, format!("{lacks} within {} s", self.timeout.timeout))
            .hint("try again, or give a longer --timeout; nothing is lost")
    }
}

impl Running<'_> {
    /// From what the agent tells to what matters here; what ends the run is an error.
    fn tell(&mut self, event: Option<AgentEvent>) -> Result<Option<Told>, Error> {
        match event.ok_or_else(|| Error::bug("the agent has ended"))? {
            AgentEvent::Connection(_, event) => {
                let (name, outcome) = traced(&event);
                self.ctx.trace().step(Step { who: self.who, name, outcome, ..Step::default() });
                Ok(Some(Told::Event(event)))
            }
            AgentEvent::Subscribed(_) => Ok(Some(Told::Subscribed)),
            AgentEvent::Unsubscribed(_, why) => Err(self.unsubscribed(why)),
            AgentEvent::Server(server, event) => self.server_event(&server, event),
            AgentEvent::Keeping(Ok(())) => Ok(None),
            AgentEvent::Keeping(Err(error)) | AgentEvent::Lost(error) => Err(self.agent_error(error)),
        }
    }

    fn trace_receiving(&self, name: &str, outcome: &str) {
        let document = self.document.borrow();
        let queue = document.as_ref().and_then(|document| document.receive_queue.as_ref());
        let to = queue.map(|queue| queue.server.as_str()).unwrap_or_default();
        self.ctx.trace().step(Step { who: self.who, to, name, outcome, ..Step::default() });
    }

    fn unsubscribed(&self, why: Unsubscribed) -> Error {
        let error = match why {
            Unsubscribed::TakenOver => {
                self.trace_receiving("smp_end", "ok");
                Error::new(Code::TakenOver, "another program receives from this queue now")
            }
            Unsubscribed::Refused(error) => Error::new(crate::code(error.blame()), error)
                .hint("the queue may have been deleted; conn-delete removes what is left here"),
        };
        error.at(self.keep.name())
    }

    /// A run that needs a server says at once that it cannot be reached.
    fn server_event(&mut self, server: &ServerAddress, event: ServerEvent) -> Result<Option<Told>, Error> {
        let (outcome, note) = match &event {
            ServerEvent::Connected { version } => ("ok", format!("SMP {version}")),
            ServerEvent::Disconnected(end) => (Code::Unreachable.name(), end.to_string()),
            ServerEvent::ConnectFailed(error) => (crate::code(error.blame()).name(), error.to_string()),
        };
        let to = &server.to_string();
        self.ctx.trace().step(Step { who: self.who, to, name: "smp_connect", outcome, note: &note, ..Step::default() });
        if let ServerEvent::ConnectFailed(error) = &event {
            let error = crate::connect_error(server, error);
            if self.needs(to) {
                return Err(error);
            }
            if self.down.insert(to.clone()) {
                self.ctx.warn(Code::ServerDown, format!("{error}; it will be tried again"));
            }
        } else if matches!(event, ServerEvent::Connected { .. }) {
            self.down.remove(to);
        }
        Ok(None)
    }

    fn needs(&self, server: &str) -> bool {
        let ours = |document: &documents::Connection| {
            document.receive_queue.as_ref().is_some_and(|queue| queue.server == server)
        };
        match self.watch {
            Watch::Send | Watch::Answer => true,
            Watch::Receive => self.document.borrow().as_deref().is_some_and(ours),
            Watch::Follow => false,
        }
    }

    /// Ends the run if the connection cannot go on, and tells what else is worth knowing.
    pub fn refuse_failure(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Stopped(fault) => Err(fault::task_error(fault)),
            Event::NotSent { number, fault } => {
                let error = fault::task_error(fault);
                self.ctx.warn(Code::MessageNotSent, format!("message {number} will not be sent: {error}"));
                Ok(())
            }
            Event::QueueLost => {
                Err(Error::new(Code::PeerRefused, "the server has deleted the queue").at(self.keep.name()))
            }
            Event::Refused(fault) => {
                self.ctx.warn(Code::PeerMessageRefused, format!("something that came was dropped: {fault}"));
                Ok(())
            }
            Event::QuotaExceeded { .. } => {
                self.ctx.warn(Code::QueueFull, "the peer's queue is full; it will be tried again");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What the agent could not do.
    fn agent_error(&self, error: AgentError) -> Error {
        match error {
            AgentError::NotKept(error) => match error.downcast_ref::<Error>() {
                Some(error) => error.clone(),
                None => Error::bug(error),
            },
            AgentError::Unreadable(_, error) => self.keep.unreadable(error),
            error => Error::bug(error),
        }
    }

    fn look_error(&self, error: LookError) -> Error {
        match error {
            LookError::Agent(error) => self.agent_error(error),
            LookError::Unavailable(error) => Error::new(crate::code(error.blame()), error),
            LookError::Client(error) => Error::new(crate::code(error.blame()), error),
        }
    }
}

async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
