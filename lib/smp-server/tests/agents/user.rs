//! A user: an agent with its file, and what it was told.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent::connection::keep::{ConnectionId, Keep};
use agent::connection::{Connection, Event, InviteLink, JoinLink, QueuePlan, ReceivedMessage, SendOptions, Settings};
use agent::time::{Env, Time};
use net::agent::{Agent, AgentEvent, AgentEvents, AgentOptions};
use net::client::ClientOptions;
use net::handshake::ConnectOptions;
use net::steady::{Backoff, SteadyOptions};
use net::tls::Connector;
use smp::address::ServerAddress;
use smp_server::random::SystemRandom;
use store::connections::Connections;

use crate::support::{Server, in_time};

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time::from_millis(since.as_millis().try_into().unwrap())
}

pub(crate) fn id(name: &str) -> ConnectionId {
    ConnectionId::new(name.as_bytes()).unwrap()
}

pub(crate) fn address(server: &Server) -> ServerAddress {
    let fingerprint = codec::text::base64url(server.identity.fingerprint());
    format!("smp://{fingerprint}@{}", server.address).parse().unwrap()
}

pub(crate) fn options() -> AgentOptions {
    let backoff = Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(200) };
    let steady = SteadyOptions {
        connect: ConnectOptions { timeout: Duration::from_secs(10), ..Default::default() },
        client: ClientOptions::default(),
        backoff,
    };
    AgentOptions { steady, keep_backoff: backoff, ..AgentOptions::default() }
}

/// Of an agent that keeps so few idle connections in memory.
pub(crate) fn forgetful(idle: usize) -> AgentOptions {
    AgentOptions { idle, ..options() }
}

pub(crate) fn start(keep: impl Keep, options: AgentOptions) -> (Agent, AgentEvents) {
    Agent::start(keep, Connector::new().unwrap(), options, Box::new(SystemRandom), Arc::new(now))
}

/// An agent with its file.
pub(crate) struct User {
    pub(crate) agent: Agent,
    pub(crate) server: ServerAddress,
    events: AgentEvents,
    /// What was told while something else was waited for.
    told: VecDeque<AgentEvent>,
    pub(crate) folder: Arc<tempfile::TempDir>,
}

pub(crate) fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("connections.sqlite")
}

impl User {
    /// A new user, whose queues are at `server`.
    pub(crate) fn new(server: &Server) -> Self {
        Self::with(server, options())
    }

    pub(crate) fn with(server: &Server, options: AgentOptions) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let keep = Connections::open(&file(&folder)).unwrap();
        Self::over(folder, address(server), keep, options)
    }

    /// Another agent over the same connections, or one that keeps them as the test likes.
    pub(crate) fn over(
        folder: Arc<tempfile::TempDir>,
        server: ServerAddress,
        keep: impl Keep,
        options: AgentOptions,
    ) -> Self {
        let (agent, events) = start(keep, options);
        User { agent, server, events, told: VecDeque::new(), folder }
    }

    /// The same user after a restart in good order, with all its connections.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(options()).await
    }

    pub(crate) async fn restart_with(self, options: AgentOptions) -> Self {
        let User { agent, server, folder, .. } = self;
        in_time(agent.close()).await;
        let keep = Connections::open(&file(&folder)).unwrap();
        let user = Self::over(folder, server, keep, options);
        user.load_all().await;
        user
    }

    pub(crate) async fn load_all(&self) {
        for (id, outcome) in in_time(self.agent.load_all()).await.unwrap() {
            outcome.unwrap_or_else(|error| panic!("{id}: {error}"));
        }
    }

    /// The next event that `pick` wants; others are kept.
    pub(crate) async fn next<T>(&mut self, pick: impl Fn(&AgentEvent) -> Option<T>) -> T {
        let kept = self.told.iter().position(|event| pick(event).is_some());
        if let Some(event) = kept.and_then(|place| self.told.remove(place)) {
            return pick(&event).unwrap();
        }
        loop {
            let event = in_time(self.events.next()).await.expect("the agent is there");
            match pick(&event) {
                Some(picked) => return picked,
                None => self.told.push_back(event),
            }
        }
    }

    /// The next event of a connection that `pick` wants.
    pub(crate) async fn event<T>(&mut self, id: &ConnectionId, pick: impl Fn(&Event) -> Option<T>) -> T {
        let of_connection = |event: &AgentEvent| match event {
            AgentEvent::Connection(of, event) if of == id => pick(event),
            _ => None,
        };
        self.next(of_connection).await
    }

    /// The next event of any connection that `pick` wants.
    pub(crate) async fn any_event<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> (ConnectionId, T) {
        let of_any = |event: &AgentEvent| match event {
            AgentEvent::Connection(id, event) => pick(event).map(|picked| (id.clone(), picked)),
            _ => None,
        };
        self.next(of_any).await
    }

    pub(crate) async fn invite(&mut self, id: &ConnectionId) -> JoinLink {
        let plan = QueuePlan::at(self.server.clone());
        let mut env = Env { now: now(), random: &mut SystemRandom };
        let invitation = Connection::invite(plan, InviteLink::default(), &Settings::default(), &mut env).unwrap();
        in_time(self.agent.open(id.clone(), invitation)).await.unwrap();
        self.event(id, |event| matches!(event, Event::Created).then_some(())).await;
        let invitation = self.change(id, |connection, _| connection.invitation().ok_or("no invitation")).await;
        JoinLink::Full(Box::new(invitation.full))
    }

    pub(crate) async fn join(&mut self, id: &ConnectionId, link: JoinLink) {
        let mut env = Env { now: now(), random: &mut SystemRandom };
        let mut opened = Connection::open(link, &Settings::default(), &mut env);
        opened.join(QueuePlan::at(self.server.clone()), b"joiner".to_vec(), &mut env).unwrap();
        in_time(self.agent.open(id.clone(), opened)).await.unwrap();
    }

    pub(crate) async fn allow(&mut self, id: &ConnectionId) {
        self.event(id, |event| matches!(event, Event::Confirmed { .. }).then_some(())).await;
        self.change(id, |connection, env| connection.allow(b"inviter".to_vec(), env)).await;
    }

    pub(crate) async fn connected(&mut self, id: &ConnectionId) {
        self.event(id, |event| matches!(event, Event::Connected { .. }).then_some(())).await;
        let heard = |connection: &mut Connection, _: &mut Env<'_>| {
            connection.heard();
            Ok::<_, ()>(())
        };
        self.change(id, heard).await;
    }

    /// Makes a step, which must succeed.
    pub(crate) async fn change<T: Send + 'static, E: std::fmt::Debug + Send + 'static>(
        &self,
        id: &ConnectionId,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<T, E> + Send + 'static,
    ) -> T {
        in_time(self.agent.change(id, step)).await.unwrap()
    }

    pub(crate) async fn send(&self, id: &ConnectionId, body: &[u8]) -> i64 {
        let body: Arc<[u8]> = body.into();
        self.change(id, move |connection, env| connection.send(&body, SendOptions::default(), env)).await.number
    }

    /// The next message of a connection, which is acknowledged.
    pub(crate) async fn receive(&mut self, id: &ConnectionId) -> ReceivedMessage {
        let message = |event: &Event| match event {
            Event::Message(message) => Some(message.clone()),
            _ => None,
        };
        let message = self.event(id, message).await;
        self.acknowledge(id, &message).await;
        message
    }

    pub(crate) async fn acknowledge(&self, id: &ConnectionId, message: &ReceivedMessage) {
        let message_id = message.id.clone();
        self.change(id, move |connection, env| connection.acknowledge(&message_id, None, env)).await;
    }
}

/// Connects two users, each with a connection of this name.
pub(crate) async fn connect(inviter: &mut User, joiner: &mut User, id: &ConnectionId) {
    let link = inviter.invite(id).await;
    joiner.join(id, link).await;
    inviter.allow(id).await;
    inviter.connected(id).await;
    joiner.connected(id).await;
}
