//! The connections of a group's owner or member with relays, in a run: opening them, seeing how they stand, and telling
//! people what stands in their way.

use std::collections::BTreeSet;
use std::time::Duration;

use agent::connection::keep::ConnectionId;
use agent::connection::{
    Connection, ConnectionError, Event as ConnectionEvent, JoinLink, QueuePlan, Settings, Status, Where,
};
use agent::ratchet::Pq;
use agent::time::Env;
use cli::{Code, Context, Error, Step};
use group::body::names;
use group::owner::ConnectionName;
use net::agent::{Agent, AgentError, ChangeError, LookError, ServerEvent};
use smp::address::ServerAddress;

use crate::held::id;
use crate::trace_name;

/// The agent, and what it has said of the connections.
pub(crate) struct RelayLines {
    pub(crate) agent: Agent,
    /// Connections from whose queues messages come.
    subscribed: BTreeSet<String>,
}

/// Why a connection was not opened: its peer's link cannot be used.
pub(crate) type NotOpened = String;

impl RelayLines {
    pub(crate) fn new(agent: Agent) -> Self {
        RelayLines { agent, subscribed: BTreeSet::new() }
    }

    /// Messages come from the queue of a connection now.
    pub(crate) fn subscribed(&mut self, connection: &ConnectionId) {
        self.subscribed.insert(connection.to_string());
    }

    /// Opens a connection without post-quantum encryption; one of this name is the one that is wanted.
    pub(crate) async fn open(
        &self,
        name: &ConnectionName,
        link: JoinLink,
        plan: QueuePlan,
        info: Vec<u8>,
        env: &mut Env<'_>,
    ) -> Result<Result<(), NotOpened>, Error> {
        let settings = Settings { pq: Pq::Off, ..Settings::default() };
        let mut connection = Connection::open(link, &settings, env);
        if let Err(error) = connection.join(plan, info, env) {
            return Ok(Err(error.to_string()));
        }
        match self.agent.open(id(name)?, connection).await {
            Ok(()) | Err(AgentError::Exists(_)) => Ok(Ok(())),
            Err(error) => Err(agent_error(error)),
        }
    }

    /// How a connection stands; nothing if there is none.
    pub(crate) async fn status(&self, name: &ConnectionName) -> Result<Option<Status>, Error> {
        match self.agent.status(&id(name)?).await {
            Ok(status) => Ok(Some(status)),
            Err(AgentError::Unknown(_)) => Ok(None),
            Err(error) => Err(agent_error(error)),
        }
    }

    /// How many messages of ours the servers do not have, of one connection.
    pub(crate) async fn unsent(&self, name: &ConnectionName) -> Result<usize, Error> {
        Ok(self.status(name).await?.map_or(0, |status| status.unsent))
    }

    /// Whether everything that was said is with the servers, and everything that is to be deleted is deleted.
    pub(crate) async fn are_quiet(&self, names: &[String]) -> Result<bool, Error> {
        for name in names.iter().filter_map(|name| ConnectionName::new(name)) {
            let quiet = |status: Status| matches!(status.at, Where::Asked | Where::Connected) && status.unsent == 0;
            if !self.status(&name).await?.is_none_or(quiet) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the servers have nothing left for us.
    pub(crate) async fn are_drained(&self, names: &[String]) -> Result<bool, Error> {
        for name in names {
            if !self.subscribed.contains(name) {
                return Ok(false);
            }
            let Some(name) = ConnectionName::new(name) else { continue };
            match self.agent.look(&id(&name)?).await {
                Ok(queue) if queue.size == 0 => {}
                Ok(_) | Err(LookError::Unavailable(_) | LookError::Client(_)) => return Ok(false),
                Err(LookError::Agent(AgentError::Unknown(_))) => {}
                Err(LookError::Agent(error)) => return Err(agent_error(error)),
            }
        }
        Ok(true)
    }
}

/// Problems that people were warned of.
#[derive(Default)]
pub(crate) struct Problems(BTreeSet<String>);

impl Problems {
    /// Warns once of each problem.
    pub(crate) fn warn(&mut self, ctx: &Context, code: Code, problem: String) {
        if self.0.insert(problem.clone()) {
            ctx.warn(code, problem);
        }
    }

    /// Warns of what stands in the way of a connection.
    pub(crate) fn warn_of_connection(&mut self, ctx: &Context, name: &ConnectionName, event: &ConnectionEvent) {
        let (code, problem) = match event {
            ConnectionEvent::NotSent { fault, .. } => {
                (Code::MessageNotSent, format!("a message will not be sent: {fault}"))
            }
            ConnectionEvent::Refused(fault) => {
                (Code::PeerMessageRefused, format!("something that came was dropped: {fault}"))
            }
            ConnectionEvent::QuotaExceeded { .. } => {
                (Code::QueueFull, "the relay's queue is full; it will be tried again".to_owned())
            }
            _ => return,
        };
        self.warn(ctx, code, format!("{name}: {problem}"));
    }

    /// Records how a server stands, and warns if it cannot be reached. A problem that is over may be told again.
    pub(crate) fn take_server(&mut self, ctx: &Context, who: &str, server: &ServerAddress, event: &ServerEvent) {
        let (outcome, note) = match event {
            ServerEvent::Connected { version } => ("ok", format!("SMP {version}")),
            ServerEvent::Disconnected(end) => (Code::Unreachable.name(), end.to_string()),
            ServerEvent::ConnectFailed(error) => (crate::code(error.blame()).name(), error.to_string()),
        };
        let to = &server.to_string();
        ctx.trace().step(Step { who, to, name: "smp_connect", outcome, note: &note, ..Step::default() });
        match event {
            ServerEvent::ConnectFailed(error) => {
                let problem = crate::connect_error(server, error);
                self.warn(ctx, Code::ServerDown, format!("{problem}; it will be tried again"));
            }
            ServerEvent::Connected { .. } => {
                let host = server.first_host().to_string();
                self.0.retain(|problem| !problem.starts_with(&host));
            }
            ServerEvent::Disconnected(_) => {}
        }
    }
}

/// Where a body goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// To a relay.
    Out,
    /// From a relay.
    In,
}

/// Records that `who` is about to send a body to a relay, or got it from there.
pub(crate) fn record_body(ctx: &Context, who: &str, relay: &str, way: Way, body: &[u8]) {
    let (name, note) = (trace_name(body), names(body));
    let step = Step { who, to: relay, bytes: Some(body.len()), outcome: "ok", note: &note, ..Step::default() };
    ctx.trace().step(match way {
        Way::Out => Step { name: "chat_send", tells: &name, ..step },
        Way::In => Step { name: "chat_receive", hears: &name, ..step },
    });
}

/// Lets a relay in. One that was let in before, by a run that was cut off, is in.
pub(crate) fn allow(connection: &mut Connection, info: Vec<u8>, env: &mut Env<'_>) -> Result<(), ConnectionError> {
    match connection.allow(info, env) {
        Err(_) if matches!(connection.status().at, Where::Allowed | Where::Greeting | Where::Connected) => Ok(()),
        outcome => outcome,
    }
}

/// A connection that is gone needs nothing more.
pub(crate) fn done(changed: Result<(), ChangeError<Error>>) -> Result<(), Error> {
    match changed {
        Ok(()) | Err(ChangeError::Agent(AgentError::Unknown(_))) => Ok(()),
        Err(ChangeError::Agent(error)) => Err(agent_error(error)),
        Err(ChangeError::Refused(error)) => Err(error),
    }
}

/// What the agent could not do.
pub(crate) fn agent_error(error: AgentError) -> Error {
    match error {
        AgentError::NotKept(error) => match error.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => Error::bug(error),
        },
        AgentError::Unreadable(name, error) => Error::new(Code::FieldInvalid, error)
            .at(format!("connections.{name}"))
            .hint("the state file is damaged, or of a newer version of the tools"),
        error => Error::bug(error),
    }
}

/// Sleeps so long, or for ever.
pub(crate) async fn sleep(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
