//! Running the machine's tasks.

use std::sync::Arc;

use agent::connection::keep::ConnectionId;
use agent::connection::{AddressPlan, Connection, ConnectionError, QueuePlan, SendOptions};
use agent::time::Env;
use group::relay::{ConnectionName, Outcome, Task};
use net::SharedRandom;
use net::agent::{Agent, AgentError, ChangeError};

use crate::address::settings;
use crate::config::Clock;
use crate::links::Links;
use crate::observe::{Observed, Observer};
use crate::policy::Policy;

/// What tasks are run with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Effects {
    pub(crate) agent: Agent,
    pub(crate) links: Links,
    pub(crate) policy: Option<Arc<Policy>>,
    pub(crate) random: SharedRandom,
    pub(crate) clock: Clock,
    pub(crate) observer: Observer,
}

/// How a task ended, or that it has not.
#[derive(Debug)]
pub(crate) enum Ran {
    Finished(Outcome),
    /// The agent has it; an event of this connection will tell the outcome.
    Awaits(ConnectionName),
}

/// The agent's name for a connection of the relay.
#[allow(clippy::expect_used, reason = "names are text of 6 to 54 bytes, and 1 to 64 are allowed")]
pub(crate) fn connection_id(name: &ConnectionName) -> ConnectionId {
    ConnectionId::new(name.to_string().as_bytes()).expect("a name of a connection")
}

impl Effects {
    pub(crate) async fn run(self, task: Task) -> Ran {
        match task {
            Task::ReadLink { link, link_id } => Ran::Finished(self.links.read(&link.server, &link_id).await),
            Task::AskPolicy(question) => match &self.policy {
                Some(policy) => Ran::Finished(policy.ask(&question).await),
                None => Ran::Finished(Outcome::Unreachable),
            },
            Task::CreateLink { connection, link, data, server } => {
                let plan = AddressPlan::Linked { link, data, password: server.password };
                self.create(connection, plan).await
            }
            Task::Answer { at, request, connection, server, info } => {
                let plan = QueuePlan { server: server.address, password: server.password, sender_secures: true };
                self.observer.show(&Observed::Says(connection, &info));
                Ran::Finished(self.answer(&at, request, connection, plan, info).await)
            }
            Task::Dismiss(request) => {
                let reject = move |address: &mut Connection, _: &mut Env<'_>| address.reject(request);
                Ran::Finished(self.change(&ConnectionName::Address, reject).await)
            }
            Task::Send { connection, body } => {
                self.observer.show(&Observed::Says(connection, &body));
                let options = SendOptions { notify: true, ..SendOptions::default() };
                let send = move |connection: &mut Connection, env: &mut Env<'_>| {
                    connection.send(&body, options, env).map(drop)
                };
                Ran::Finished(self.send(&connection, send).await)
            }
            Task::DeleteConnection(connection, delivery) => {
                let delete = move |connection: &mut Connection, env: &mut Env<'_>| {
                    connection.delete(delivery, env);
                    Ok(())
                };
                Ran::Finished(self.change(&connection, delete).await)
            }
        }
    }

    /// Opens a contact address. It is created when the agent says so; after a restart it may have been before.
    async fn create(mut self, name: ConnectionName, plan: AddressPlan) -> Ran {
        let now = (self.clock)();
        let made = Connection::address(plan, &settings(), &mut Env { now, random: &mut self.random });
        let connection = match made {
            Ok(connection) => connection,
            Err(error) => return Ran::Finished(Outcome::Failed(error.to_string())),
        };
        match self.agent.open(connection_id(&name), connection).await {
            Ok(()) => Ran::Awaits(name),
            Err(AgentError::Exists(_)) => self.created_before(name).await,
            Err(_) => Ran::Finished(Outcome::Unreachable),
        }
    }

    async fn created_before(&self, name: ConnectionName) -> Ran {
        let look = |connection: &mut Connection, _: &mut Env<'_>| {
            connection.retry();
            Ok::<_, ConnectionError>(connection.subscription().is_some())
        };
        match self.agent.change(&connection_id(&name), look).await {
            Ok(true) => Ran::Finished(Outcome::Done),
            Ok(false) => Ran::Awaits(name),
            Err(_) => Ran::Finished(Outcome::Unreachable),
        }
    }

    /// A request that is gone was answered before, and then there is the connection.
    async fn answer(
        &self,
        at: &ConnectionName,
        request: u64,
        name: ConnectionName,
        plan: QueuePlan,
        info: Vec<u8>,
    ) -> Outcome {
        let (id, address) = (connection_id(&name), connection_id(at));
        let accept = move |address: &mut Connection, env: &mut Env<'_>| address.accept(request, plan, info, env);
        match self.agent.open_from(id, address, accept).await {
            Ok(()) | Err(ChangeError::Agent(AgentError::Exists(_))) => Outcome::Done,
            Err(ChangeError::Agent(_)) => Outcome::Unreachable,
            Err(ChangeError::Refused(error)) => Outcome::Failed(error.to_string()),
        }
    }

    /// Makes a step of a connection; what is no longer there needs none.
    async fn change(
        &self,
        name: &ConnectionName,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<(), ConnectionError> + Send + 'static,
    ) -> Outcome {
        match self.agent.change(&connection_id(name), step).await {
            Ok(()) | Err(ChangeError::Agent(AgentError::Unknown(_)) | ChangeError::Refused(_)) => Outcome::Done,
            Err(ChangeError::Agent(_)) => Outcome::Unreachable,
        }
    }

    /// What cannot be said now may be said later, unless there is nobody to say it to.
    async fn send(
        &self,
        name: &ConnectionName,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<(), ConnectionError> + Send + 'static,
    ) -> Outcome {
        match self.agent.change(&connection_id(name), step).await {
            Ok(()) => Outcome::Done,
            Err(ChangeError::Agent(AgentError::Unknown(_))) => Outcome::Failed("the connection is gone".to_owned()),
            Err(ChangeError::Agent(_) | ChangeError::Refused(ConnectionError::Prohibited(..))) => Outcome::Unreachable,
            Err(ChangeError::Refused(error)) => Outcome::Failed(error.to_string()),
        }
    }
}
