//! The agent against servers that do not answer, answer nonsense, or answer late. Servers as they should be are in the
//! tests of the SMP server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent::connection::keep::{Batch, ConnectionId, Keep, Record, Revision};
use agent::connection::{Connection, Event, InviteLink, QueuePlan, RecordKey, Settings, TaskFault, TaskId};
use agent::time::{Env, Time};
use crypto::dh::X25519PrivateKey;
use net::agent::{Agent, AgentEvent, AgentEvents, AgentOptions};
use net::client::ClientOptions;
use net::steady::SteadyOptions;
use net::tls::Connector;
use smp::command::Command;
use smp::error::Error;
use smp::id::{CorrId, EntityId, MessageId, RecipientId, SenderId};
use smp::response::{QueueIds, Response};
use smp::transmission::ClientTransmission;
use support::random;
use support::server::{MiniServer, Reaction, event, reply};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Nothing that a test waits for takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

type Records = BTreeMap<RecordKey, Zeroizing<Vec<u8>>>;

/// A keep that forgets everything with the test.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<ConnectionId, Records>>>);

impl Keep for Memory {
    type Error = Infallible;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        let mut kept = self.0.lock().unwrap();
        for (id, revision) in batch {
            let Revision::Change(changes) = revision else {
                kept.remove(&id);
                continue;
            };
            let records = kept.entry(id).or_default();
            for change in changes {
                match change.value {
                    Some(value) => drop(records.insert(change.key, value)),
                    None => drop(records.remove(&change.key)),
                }
            }
        }
        std::future::ready(Ok(()))
    }

    fn load(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, Infallible>> + Send + 'static {
        let kept = self.0.lock().unwrap();
        let records = |id| kept.get(id).cloned().unwrap_or_default().into_iter().collect();
        std::future::ready(Ok(ids.iter().map(records).collect()))
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Infallible>> + Send + 'static {
        std::future::ready(Ok(self.0.lock().unwrap().keys().cloned().collect()))
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time::from_millis(since.as_millis().try_into().unwrap())
}

fn id(number: u32) -> ConnectionId {
    ConnectionId::new(&number.to_be_bytes()).unwrap()
}

fn start(window: usize, command_timeout: Duration) -> (Agent, AgentEvents) {
    let client = ClientOptions { command_timeout, ..Default::default() };
    let options = AgentOptions { steady: SteadyOptions { client, ..Default::default() }, window, ..Default::default() };
    let connector = Connector::new().unwrap();
    Agent::start(Memory::default(), connector, options, Box::new(random("agent")), Arc::new(now))
}

async fn invite(agent: &Agent, server: &MiniServer, number: u32) {
    let mut source = random(&format!("invitation {number}"));
    let mut env = Env { now: now(), random: &mut source };
    let plan = QueuePlan::at(server.address.clone());
    let invitation = Connection::invite(plan, InviteLink::default(), &Settings::default(), &mut env).unwrap();
    agent.open(id(number), invitation).await.unwrap();
}

/// What a server answers to `NEW`.
fn created(number: u8) -> Response {
    let ids = QueueIds {
        recipient_id: RecipientId::from([number; 24]),
        sender_id: SenderId::from([number; 24]),
        dh_key: X25519PrivateKey::generate(&mut random("server")).public(),
        mode: Some(smp::queue_address::QueueMode::Messaging),
        link_id: None,
        service_id: None,
        notifier: None,
    };
    Response::Ids(Box::new(ids))
}

async fn next_of_connection(events: &mut AgentEvents) -> Event {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("an event in time");
        if let AgentEvent::Connection(_, event) = event.unwrap() {
            return event;
        }
    }
}

#[tokio::test]
async fn a_command_without_an_answer_is_given_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = MiniServer::start(move |block| {
        let answer = |command: &ClientTransmission| match count.fetch_add(1, Ordering::Relaxed) {
            0 => None,
            _ => Some(reply(command, created(1))),
        };
        Reaction::Answer(block.commands.iter().filter_map(answer).collect())
    })
    .await;
    let (agent, mut events) = start(10, Duration::from_millis(300));
    invite(&agent, &server, 1).await;
    assert_eq!(next_of_connection(&mut events).await, Event::Created);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_stops_the_handshake_until_it_is_tried_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = MiniServer::start(move |block| {
        let answer = |command: &ClientTransmission| match count.fetch_add(1, Ordering::Relaxed) {
            0 => (command.corr_id.clone(), EntityId::from(RecipientId::from([9; 24])), created(1)),
            1 => reply(command, Response::Pong),
            _ => reply(command, created(1)),
        };
        Reaction::Answer(block.commands.iter().map(answer).collect())
    })
    .await;
    let (agent, mut events) = start(10, PATIENCE);
    invite(&agent, &server, 1).await;
    for _ in 0..2 {
        let violated = Event::Stopped(TaskFault::Violated(TaskId::CreateQueue));
        assert_eq!(next_of_connection(&mut events).await, violated);
        let again = |connection: &mut Connection, _: &mut Env<'_>| {
            connection.retry();
            Ok::<_, Infallible>(())
        };
        agent.change(&id(1), again).await.unwrap();
    }
    assert_eq!(next_of_connection(&mut events).await, Event::Created);
}

#[tokio::test]
async fn no_more_commands_are_under_way_than_may_be() {
    let most = Arc::new(AtomicUsize::new(0));
    let (seen, number) = (most.clone(), AtomicUsize::new(0));
    let server = MiniServer::start(move |block| {
        assert!(block.commands.iter().all(|command| matches!(command.command, Command::New(_))));
        seen.fetch_max(block.commands.len(), Ordering::Relaxed);
        let answer = |command: &ClientTransmission| {
            reply(command, created(u8::try_from(number.fetch_add(1, Ordering::Relaxed)).unwrap()))
        };
        Reaction::Answer(block.commands.iter().map(answer).collect())
    })
    .await;
    let (agent, mut events) = start(3, PATIENCE);
    for number in 0..30 {
        invite(&agent, &server, number).await;
    }
    for _ in 0..30 {
        assert_eq!(next_of_connection(&mut events).await, Event::Created);
    }
    assert!((1..=3).contains(&most.load(Ordering::Relaxed)), "{most:?} at a time");
}

/// What the server of the next test remembers.
#[derive(Default)]
struct Crossing {
    acknowledgements: usize,
    /// How the first acknowledgement will be answered.
    late: Option<(CorrId, EntityId, Response)>,
}

impl Crossing {
    fn answer(&mut self, command: &ClientTransmission) -> Vec<(CorrId, EntityId, Response)> {
        let message = || event(RecipientId::from([1; 24]), Response::Msg(MessageId::from([5; 24]), vec![0; 100]));
        match (&command.command, self.late.take()) {
            (Command::New(_), None) => vec![reply(command, created(1)), message()],
            (Command::New(_), Some(late)) => vec![late, reply(command, created(2))],
            (Command::Ack(_), _) => {
                self.acknowledgements += 1;
                match self.acknowledgements {
                    1 => {
                        self.late = Some(reply(command, Response::Err(Error::NoMessage)));
                        vec![message()]
                    }
                    _ => vec![reply(command, Response::Ok)],
                }
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}

/// A server pushes a message only a moment after it has answered to the subscription. An acknowledgement in between is
/// refused, and we may see the message before the refusal.
#[tokio::test]
async fn an_acknowledgement_that_crosses_with_its_message_is_given_again() {
    let crossing = Mutex::new(Crossing::default());
    let (acknowledgements, mut seen) = watch::channel(0);
    let server = MiniServer::start(move |block| {
        let mut crossing = crossing.lock().unwrap();
        let answers = block.commands.iter().flat_map(|command| crossing.answer(command)).collect();
        acknowledgements.send_replace(crossing.acknowledgements);
        Reaction::Answer(answers)
    })
    .await;
    let (agent, _events) = start(10, PATIENCE);
    invite(&agent, &server, 1).await;
    tokio::time::timeout(PATIENCE, seen.wait_for(|count| *count == 1)).await.unwrap().unwrap();
    // The server answers to the acknowledgement along with this.
    invite(&agent, &server, 2).await;
    tokio::time::timeout(PATIENCE, seen.wait_for(|count| *count == 2)).await.unwrap().unwrap();
}
