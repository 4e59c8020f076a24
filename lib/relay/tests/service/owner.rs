//! An owner over sockets: the owner's machine, with an agent and a client of the server that keeps the group link.

use std::time::Duration;

use agent::connection::keep::ConnectionId;
use agent::connection::{
    Connection, ConnectionError, Event as AgentConnectionEvent, JoinLink, QueuePlan, SendOptions, Settings,
};
use agent::link_read::RetrievedLinkData;
use agent::ratchet::Pq;
use agent::short_link::ContactShortLink;
use agent::time::Env;
use crypto::dh::X25519PrivateKey;
use group::body::single;
use group::identity::MemberId;
use group::membership::{RecordError, RecordKey, Records};
use group::message::Message;
use group::owner::{ConnectionName, Event, GroupOwner, Outcome, Persona, RelayRecord, Task, TaskId};
use group::profile::{GroupProfile, GroupType};
use group::step::keygen::keygen;
use group::step::link_create::{GroupLinkRequest, PreparedGroupLink};
use net::agent::{Agent, AgentEvent, AgentEvents};
use net::client::{Client, ClientError, ClientOptions};
use net::handshake::{ConnectOptions, connect};
use net::tls::Connector;
use smp::address::ServerAddress;
use smp::error::Error as ServerError;
use smp_server::random::SystemRandom;
use store::connections::Connections;

use crate::running::{PATIENCE, Server, Shifted, in_time, options};

/// What an owner keeps of members and of what they say. These owners only pass on what comes.
struct Nothing;

impl Records for Nothing {
    fn read(&self, _: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        Ok(None)
    }
}

pub(crate) struct Owner {
    pub(crate) machine: GroupOwner,
    pub(crate) events: Vec<Event>,
    /// What relays sent.
    pub(crate) bodies: Vec<Vec<u8>>,
    agent: Agent,
    told: AgentEvents,
    clock: Shifted,
    _folder: tempfile::TempDir,
}

pub(crate) async fn client(server: &ServerAddress) -> Client {
    let key = X25519PrivateKey::generate(&mut SystemRandom);
    let connection = connect(server, &Connector::new().unwrap(), ConnectOptions::default(), key).await.unwrap();
    Client::start(connection, ClientOptions::default(), Box::new(SystemRandom)).0
}

impl Owner {
    pub(crate) async fn new(server: &Server, name: &str) -> Self {
        let request = GroupLinkRequest {
            group_type: GroupType::Channel,
            profile: GroupProfile::named(name),
            server: server.address.clone(),
        };
        let identity = keygen(&mut SystemRandom);
        let prepared = PreparedGroupLink::prepare(identity, request, 1_700_000_000, &mut SystemRandom).unwrap();
        let (corr_id, queue) = prepared.new_queue();
        let key = prepared.group().recipient_key();
        let client = client(&server.address.address).await;
        let created = client.create_queue(queue, Some(corr_id), &key).await.unwrap();
        client.close().await;
        let link = prepared.confirm(&created, 1_700_000_000).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let keep = Connections::open(&folder.path().join("owner.sqlite")).unwrap();
        let clock = Shifted::default();
        let connector = Connector::new().unwrap();
        let (agent, told) = Agent::start(keep, connector, options(), Box::new(SystemRandom), clock.clock());
        let mut machine = GroupOwner::from(link);
        machine.introduce(Persona::random(server.address.clone(), &mut SystemRandom)).unwrap();
        Owner { machine, events: Vec::new(), bodies: Vec::new(), agent, told, clock, _folder: folder }
    }

    pub(crate) fn group_link(&self) -> String {
        self.machine.link().group().short_link().to_string()
    }

    pub(crate) fn step(&mut self, step: impl FnOnce(&mut GroupOwner, &mut Env<'_>) -> Vec<Event>) {
        let now = (self.clock.clock())();
        let events = step(&mut self.machine, &mut Env { now, random: &mut SystemRandom });
        self.events.extend(events);
    }

    pub(crate) fn invite(&mut self, address: &ContactShortLink) -> MemberId {
        let mut invited = None;
        self.step(|machine, env| {
            invited = Some(machine.invite(address.clone(), env).unwrap());
            Vec::new()
        });
        invited.unwrap()
    }

    pub(crate) fn relay(&self, member: &MemberId) -> &RelayRecord {
        self.machine.relay(member).unwrap()
    }

    /// Works until something holds.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&Owner) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(tokio::time::Instant::now() < deadline, "{what}: {:?}", self.machine.relays());
            self.work().await;
            if let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(50), self.told.next()).await {
                self.told(event).await;
            }
        }
    }

    /// Says something in the group, unsigned.
    pub(crate) async fn says(&self, relay: &MemberId, event: group::event::Event) {
        let body = single(Message::named(event, &mut SystemRandom)).unwrap();
        let send = move |connection: &mut Connection, env: &mut Env<'_>| {
            connection.send(&body, SendOptions::default(), env).map(drop)
        };
        assert_eq!(self.change(&self.relay(relay).connection(), send).await, Outcome::Done);
    }

    /// Runs everything that is due.
    pub(crate) async fn work(&mut self) {
        for _ in 0..100 {
            let now = (self.clock.clock())();
            let Some(id) = self.machine.due(now).first().cloned() else { return };
            let task = self.machine.task(&id).unwrap();
            let outcome = in_time(self.run(task)).await;
            self.finish(&id, outcome);
        }
    }

    fn finish(&mut self, id: &TaskId, outcome: Outcome) {
        self.step(|machine, env| machine.finish(id, outcome, env).unwrap());
    }

    async fn run(&mut self, task: Task) -> Outcome {
        match task {
            Task::ReadLink(link) => read(&link).await,
            Task::Open { connection, link, server, info } => {
                let settings = Settings { pq: Pq::Off, ..Settings::default() };
                let now = (self.clock.clock())();
                let plan = QueuePlan { server: server.address, password: server.password, sender_secures: true };
                let made = {
                    let mut env = Env { now, random: &mut SystemRandom };
                    let mut made = Connection::open(JoinLink::Full(link), &settings, &mut env);
                    made.join(plan, info, &mut env).unwrap();
                    made
                };
                self.agent.open(id(&connection), made).await.unwrap();
                Outcome::Done
            }
            Task::Allow { connection, info } => {
                let allow = move |connection: &mut Connection, env: &mut Env<'_>| connection.allow(info, env);
                self.change(&connection, allow).await
            }
            Task::Send { connection, bodies } => {
                let send = move |connection: &mut Connection, env: &mut Env<'_>| {
                    bodies.iter().try_for_each(|body| connection.send(body, SendOptions::default(), env).map(drop))
                };
                self.change(&connection, send).await
            }
            Task::Delete { connection, delivery } => {
                let delete = move |connection: &mut Connection, env: &mut Env<'_>| {
                    connection.delete(delivery, env);
                    Ok(())
                };
                self.change(&connection, delete).await
            }
            Task::SetQueueKeys(set) => {
                let client = client(&set.server).await;
                client.set_recipient_keys(&set.recipient_id, set.keys, &set.key).await.unwrap();
                client.close().await;
                Outcome::Done
            }
            Task::WriteLink(write) => {
                let client = client(&write.server).await;
                client.set_link(&write.recipient_id, &write.link_id, write.data, &write.key).await.unwrap();
                client.close().await;
                Outcome::Written(write.version)
            }
            Task::DeleteLink(deletion) => {
                let client = client(&deletion.server).await;
                client.delete_queue(&deletion.recipient_id, &deletion.key).await.unwrap();
                client.close().await;
                Outcome::Done
            }
        }
    }

    async fn change(
        &self,
        name: &ConnectionName,
        step: impl FnOnce(&mut Connection, &mut Env<'_>) -> Result<(), ConnectionError> + Send + 'static,
    ) -> Outcome {
        match self.agent.change(&id(name), step).await {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Unreachable(error.to_string()),
        }
    }

    async fn told(&mut self, event: AgentEvent) {
        let AgentEvent::Connection(connection, event) = event else { return };
        let name = ConnectionName::new(std::str::from_utf8(connection.as_bytes()).unwrap()).unwrap();
        match event {
            AgentConnectionEvent::Confirmed { info } => {
                self.step(|machine, env| machine.answered(&name, &info, env).unwrap_or_default());
            }
            AgentConnectionEvent::Connected { .. } => {
                self.step(|machine, env| machine.connected(&name, env).unwrap_or_default());
                let heard = |connection: &mut Connection, _: &mut Env<'_>| {
                    connection.heard();
                    Ok(())
                };
                self.change(&name, heard).await;
            }
            AgentConnectionEvent::Message(message) => {
                self.bodies.push(message.body.clone());
                self.step(|machine, env| {
                    machine
                        .received(&name, &message.body, &Nothing, env)
                        .map(|received| received.events)
                        .unwrap_or_default()
                });
                let acknowledge = move |connection: &mut Connection, env: &mut Env<'_>| {
                    connection.acknowledge(&message.id, None, env)
                };
                self.change(&name, acknowledge).await;
            }
            _ => {}
        }
    }

    /// The links that the group link lists, as its server returns it.
    pub(crate) async fn listed(&self) -> Vec<String> {
        let link = self.machine.link().group().short_link().clone();
        let Outcome::Retrieved(data) = read(&link).await else { panic!("the group link") };
        data.read(&link).unwrap().user().relays().iter().map(ToString::to_string).collect()
    }
}

fn id(name: &ConnectionName) -> ConnectionId {
    ConnectionId::new(name.as_str().as_bytes()).unwrap()
}

pub(crate) async fn read(link: &ContactShortLink) -> Outcome {
    let client = client(&link.server).await;
    let content = client.get_link(&link.derive().0).await;
    client.close().await;
    match content {
        Ok(content) => {
            Outcome::Retrieved(Box::new(RetrievedLinkData { sender_id: content.sender_id, data: content.data }))
        }
        Err(ClientError::Refused(ServerError::Auth)) => Outcome::Refused("no such link".to_owned()),
        Err(error) => Outcome::Unreachable(error.to_string()),
    }
}
