//! An application as it should be written: it acts on events, asks the agent where it stands, and survives the death of
//! its process at any moment.

use std::collections::{BTreeMap, BTreeSet};

use agent::connection::keep::{ConnectionId, Keep};
use agent::connection::{Connection, Event, InviteLink, JoinLink, QueuePlan, ReceivedMessage, SendOptions, Settings};
use agent::link_data::Payload;
use agent::message_chain::Integrity;
use agent::time::Env;
use net::agent::{Agent, AgentError, AgentEvent, AgentEvents, AgentOptions, ChangeError};
use smp::address::ServerAddress;
use smp::id::MessageId;
use smp_server::random::SystemRandom;
use store::connections::Connections;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::frail::{Frail, Mishap};
use crate::user::{id, now, start};

/// Messages that each side sends.
pub(crate) const MESSAGES: u8 = 3;

/// Which side an application is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Inviter,
    Joiner,
}

/// What both applications share.
pub(crate) struct World {
    /// The link on its way from the inviter to the joiner.
    mail: watch::Sender<Option<JoinLink>>,
    /// Who has received everything.
    done: watch::Sender<BTreeSet<bool>>,
}

impl World {
    pub(crate) fn new() -> Self {
        World { mail: watch::Sender::default(), done: watch::Sender::default() }
    }

    async fn everybody_is_done(&self) {
        self.done.subscribe().wait_for(|done| done.len() == 2).await.unwrap();
    }
}

/// What survives a process: the file, and what the application has put elsewhere.
pub(crate) struct App {
    side: Side,
    id: ConnectionId,
    server: ServerAddress,
    connections: Connections,
    options: AgentOptions,
    /// Bodies, by the numbers of their messages.
    received: BTreeMap<i64, Vec<u8>>,
    /// The message that came last. Only this one may come again.
    told: Option<MessageId>,
    /// The message that was acknowledged last.
    acknowledged: Option<MessageId>,
    _folder: tempfile::TempDir,
}

impl App {
    pub(crate) fn new(side: Side, server: ServerAddress, options: AgentOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connections = Connections::open(&folder.path().join("connections.sqlite")).unwrap();
        let (received, told, acknowledged) = (BTreeMap::new(), None, None);
        App { side, id: id("friend"), server, connections, options, received, told, acknowledged, _folder: folder }
    }

    /// Lives through one mishap, until everybody has received everything. Tells whether the mishap happened.
    pub(crate) async fn live(&mut self, mishap: Mishap, at: usize, world: &World) -> bool {
        let (keep, mut happened) = Frail::new(self.connections.clone(), mishap, at);
        let mut process = Process::start(keep, self.options.clone());
        let died = tokio::select! {
            () = self.run(&mut process, world) => false,
            _ = happened.wait_for(|mishap| *mishap == Some(true)) => true,
        };
        if died {
            drop(process);
            let mut process = Process::start(self.connections.clone(), self.options.clone());
            self.run(&mut process, world).await;
            process.agent.clone().close().await;
        }
        happened.borrow().is_some()
    }

    /// What it received, in the order of numbers.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        self.received.values().cloned().collect()
    }

    async fn run(&mut self, process: &mut Process, world: &World) {
        for (id, outcome) in process.agent.load_all().await.unwrap_or_default() {
            outcome.unwrap_or_else(|error| panic!("{id}: {error}"));
        }
        loop {
            self.act(&process.agent, world).await;
            tokio::select! {
                event = process.events.next() => self.handle(&process.agent, event.unwrap()).await,
                () = world.everybody_is_done() => return,
            }
        }
    }

    /// Does what is to be done next. What fails is done after a later event.
    async fn act(&mut self, agent: &Agent, world: &World) {
        if self.received.len() == usize::from(MESSAGES) {
            world.done.send_if_modified(|done| done.insert(self.side == Side::Inviter));
        }
        match agent.status(&self.id).await {
            Err(AgentError::Unknown(_)) => self.open(agent, world).await,
            Err(AgentError::NotKept(_)) => {}
            Err(error) => panic!("{error}"),
            Ok(_) => self.talk(agent, world).await,
        }
    }

    async fn open(&self, agent: &Agent, world: &World) {
        let plan = QueuePlan::at(self.server.clone());
        let settings = Settings::default();
        let link = match self.side {
            Side::Inviter => None,
            Side::Joiner => world.mail.subscribe().wait_for(Option::is_some).await.unwrap().clone(),
        };
        let mut env = Env { now: now(), random: &mut SystemRandom };
        let connection = match link {
            None => {
                let link = InviteLink { short: Some(Payload::new(*b"from the inviter").unwrap()), propose: false };
                Connection::invite(plan, link, &settings, &mut env).unwrap()
            }
            Some(link) => Connection::open(link, &settings, &mut env),
        };
        match agent.open(self.id.clone(), connection).await {
            Ok(()) | Err(AgentError::NotKept(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn talk(&self, agent: &Agent, world: &World) {
        if self.side == Side::Inviter && world.mail.borrow().is_none() {
            let link = agent.change(&self.id, |connection, _| Ok::<_, ()>(connection.invitation())).await;
            let short = link.ok().flatten().and_then(|invitation| invitation.short).map(JoinLink::Invitation);
            world.mail.send_if_modified(|mail| short.map(|link| *mail = Some(link)).is_some());
        }
        let said = agent.change(&self.id, |connection, env| {
            // Our confirmation was number 1.
            while connection.can_send()
                && let sent = u8::try_from(connection.status().last_sent - 1).unwrap()
                && sent < MESSAGES
            {
                connection.send(&[sent], SendOptions::default(), env)?;
            }
            Ok(())
        });
        tolerate(said.await);
    }

    async fn handle(&mut self, agent: &Agent, event: AgentEvent) {
        let event = match event {
            AgentEvent::Connection(_, event) => event,
            AgentEvent::Lost(error) => panic!("{error}"),
            _ => return,
        };
        match event {
            // These may be told again after they were answered.
            Event::LinkRead => {
                let plan = QueuePlan::at(self.server.clone());
                let join = move |connection: &mut Connection, env: &mut Env<'_>| {
                    connection.join(plan, b"joiner".to_vec(), env)
                };
                drop(agent.change(&self.id, join).await);
            }
            Event::Confirmed { .. } => {
                let allow = agent.change(&self.id, |connection, env| connection.allow(b"inviter".to_vec(), env));
                drop(allow.await);
            }
            Event::Connected { .. } => tolerate(
                agent
                    .change(&self.id, |connection, _| {
                        connection.heard();
                        Ok(())
                    })
                    .await,
            ),
            Event::Message(message) => self.receive(agent, message).await,
            Event::Created | Event::Info(_) | Event::Sent { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    async fn receive(&mut self, agent: &Agent, message: ReceivedMessage) {
        assert_eq!(message.integrity, Integrity::Ok, "message {}", message.number);
        let again = self.received.insert(message.number, message.body.clone()).is_some();
        assert!(!again || self.told.as_ref() == Some(&message.id), "message {} twice", message.number);
        self.told = Some(message.id.clone());
        // One that waited while the keep failed may be in the channel twice.
        if self.acknowledged.as_ref() == Some(&message.id) {
            return;
        }
        let id = message.id.clone();
        let acknowledged = agent.change(&self.id, move |connection, env| connection.acknowledge(&id, None, env)).await;
        match acknowledged {
            Ok(()) => self.acknowledged = Some(message.id),
            Err(ChangeError::Agent(AgentError::NotKept(_))) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// What cannot be kept now is done later.
fn tolerate(outcome: Result<(), ChangeError<agent::connection::ConnectionError>>) {
    match outcome {
        Ok(()) | Err(ChangeError::Agent(AgentError::NotKept(_))) => {}
        Err(error) => panic!("{error}"),
    }
}

/// An agent with threads of its own, which end with it.
struct Process {
    runtime: Option<Runtime>,
    agent: Agent,
    events: AgentEvents,
}

impl Process {
    fn start(keep: impl Keep, options: AgentOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (agent, events) = {
            let _inside = runtime.enter();
            start(keep, options)
        };
        Process { runtime: Some(runtime), agent, events }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}
