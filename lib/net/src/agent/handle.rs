//! The application's side.

use std::convert::Infallible;
use std::sync::Arc;

use agent::connection::keep::{ConnectionId, Keep};
use agent::connection::{Connection, Status, Subscription};
use agent::time::Env;
use crypto::Random;
use smp::response::QueueDescription;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::driver::Driver;
use super::event::AgentEvents;
use super::flights::Flights;
use super::hold::Hold;
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::request::{Change, Open, Ready, Request, Stepped};
use super::rounds::Rounds;
use super::servers::Servers;
use super::steps::Steps;
use super::waking::Waking;
use super::{AgentError, AgentOptions, ChangeError, Clock, LookError};
use crate::client::Collector;
use crate::shared_random::SharedRandom;
use crate::steady::Delays;
use crate::tls::Connector;

/// Room in a client's queue for what the agent does not count.
const SPARE: usize = 256;
/// Connections that are loaded together.
const LOADED_TOGETHER: usize = 512;

/// A handle on an agent. Cheap to clone; the agent ends with its last handle.
#[derive(Clone)]
pub struct Agent {
    requests: mpsc::Sender<Request>,
    ended: watch::Receiver<()>,
}

impl Agent {
    /// Starts an agent without connections: [`load_all`](Self::load_all) brings those that are kept. Must be called within
    /// a Tokio runtime.
    pub fn start<K: Keep>(
        keep: K,
        connector: Connector,
        options: AgentOptions,
        random: Box<dyn Random + Send>,
        clock: Clock,
    ) -> (Self, AgentEvents) {
        let (requests, requested) = mpsc::channel(options.requests.max(1));
        let (events, told) = mpsc::channel(options.events.max(1));
        let (ended, end) = watch::channel(());
        let random = SharedRandom::new(random);
        let (collector, collected) = Collector::new();
        let mut steady = options.steady;
        steady.client.queue = steady.client.queue.max(options.window.saturating_add(SPARE));
        let driver = Driver {
            keep: Arc::new(keep),
            clock,
            requests: requested,
            collector,
            collected,
            steps: Steps::new(random.clone()),
            servers: Servers::new(connector, steady, random.clone()),
            flights: Flights::new(steady.client.command_timeout),
            rounds: Rounds::new(),
            inbox: Inbox::default(),
            loads: Vec::new(),
            waking: Waking::default(),
            outbox: Outbox::new(events),
            hold: Hold::Released,
            stale: Default::default(),
            failure: None,
            delays: Delays::new(options.keep_backoff),
            works_since: Instant::now(),
            alarm: Alarm::new(),
            more: false,
            closing: false,
            random,
            options,
            ended,
        };
        tokio::spawn(driver.run());
        (Agent { requests, ended: end }, AgentEvents(told))
    }

    /// Adds a new connection under a name that was never used. It is durable on return.
    pub async fn open(&self, id: ConnectionId, connection: Connection) -> Result<(), AgentError> {
        let (job, answer) = Open::of(id, Ready(connection));
        self.ask(Request::Job(Box::new(job))).await?;
        match answered(answer).await? {
            Ok(()) => Ok(()),
            Err(ChangeError::Agent(error)) => Err(error),
            Err(ChangeError::Refused(never)) => match never {},
        }
    }

    /// Adds the connection that a step of another connection makes, such as accepting a request. Both are durable on
    /// return, or nothing has happened.
    pub async fn open_from<E: Send + 'static>(
        &self,
        id: ConnectionId,
        other: ConnectionId,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<Connection, E> + Send + 'static,
    ) -> Result<(), ChangeError<E>> {
        let (job, answer) = Open::of(id, Stepped(other, step));
        self.ask(Request::Job(Box::new(job))).await?;
        answered(answer).await?
    }

    /// Makes a step of a connection. It is durable on return. The step runs in the agent's task, so it must be short.
    pub async fn change<T: Send + 'static, E: Send + 'static>(
        &self,
        id: &ConnectionId,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ChangeError<E>> {
        let made = self.change_many(vec![(id.clone(), step)]).await?;
        made.into_iter().next().unwrap_or_else(|| Err(AgentError::Unknown(id.clone()).into()))
    }

    /// Makes steps of many connections, in order, which become durable together.
    pub async fn change_many<T: Send + 'static, E: Send + 'static, F>(
        &self,
        steps: Vec<(ConnectionId, F)>,
    ) -> Result<Vec<Result<T, ChangeError<E>>>, AgentError>
    where
        F: FnOnce(&mut Connection, &mut Env<'_>) -> Result<T, E> + Send + 'static,
    {
        let (job, answer) = Change::of(steps);
        self.ask(Request::Job(Box::new(job))).await?;
        answered(answer).await?
    }

    /// How a connection stands.
    pub async fn status(&self, id: &ConnectionId) -> Result<Status, AgentError> {
        let looked = self.change(id, |connection, _| Ok::<_, Infallible>(connection.status())).await;
        looked.map_err(|error| match error {
            ChangeError::Agent(error) => error,
            ChangeError::Refused(never) => match never {},
        })
    }

    /// Brings a connection that is kept into memory and lets it go on.
    pub async fn load(&self, id: &ConnectionId) -> Result<(), AgentError> {
        let loaded = self.load_some(vec![id.clone()]).await?;
        loaded.into_iter().next().map_or_else(|| Err(AgentError::Unknown(id.clone())), |(_, outcome)| outcome)
    }

    /// Brings all connections that are kept to life, and into memory unless they may [rest](super::AgentOptions::idle).
    /// One that cannot be read does not keep others from it.
    pub async fn load_all(&self) -> Result<Vec<(ConnectionId, Result<(), AgentError>)>, AgentError> {
        let (answer, listed) = oneshot::channel();
        self.ask(Request::List(answer)).await?;
        let mut loaded = Vec::new();
        for some in answered(listed).await??.chunks(LOADED_TOGETHER) {
            loaded.extend(self.load_some(some.to_vec()).await?);
        }
        Ok(loaded)
    }

    async fn load_some(
        &self,
        ids: Vec<ConnectionId>,
    ) -> Result<Vec<(ConnectionId, Result<(), AgentError>)>, AgentError> {
        let (answer, loaded) = oneshot::channel();
        self.ask(Request::Load(ids, answer)).await?;
        answered(loaded).await?
    }

    /// Receives from a connection's queue again, after another session took over.
    pub async fn subscribe(&self, id: &ConnectionId) -> Result<(), AgentError> {
        let (answer, subscribed) = oneshot::channel();
        self.ask(Request::Subscribe(id.clone(), answer)).await?;
        answered(subscribed).await?
    }

    /// What the server says of the queue through which a connection receives: how many messages it still has.
    pub async fn look(&self, id: &ConnectionId) -> Result<QueueDescription, LookError> {
        let (answer, session) = oneshot::channel();
        self.ask(Request::Session(id.clone(), answer)).await?;
        let (client, Subscription { queue, key, .. }) = answered(session).await??;
        Ok(client.client().await?.describe(&queue, &key).await?)
    }

    /// Ends in good order: starts nothing more, waits for what is under way and closes all connections to servers. Events
    /// that were not taken are told again after a restart.
    pub async fn close(mut self) {
        // If it has ended, that is what was wanted.
        let _ = self.ask(Request::Close).await;
        while self.ended.changed().await.is_ok() {}
    }

    async fn ask(&self, request: Request) -> Result<(), AgentError> {
        self.requests.send(request).await.map_err(|_| AgentError::Closed)
    }
}

async fn answered<T>(answer: oneshot::Receiver<T>) -> Result<T, AgentError> {
    answer.await.map_err(|_| AgentError::Closed)
}
