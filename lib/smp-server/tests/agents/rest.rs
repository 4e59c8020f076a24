//! Connections at rest: forgotten while nothing is to be done for them, and nobody notices.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use agent::connection::keep::{Batch, ConnectionId, Keep, Record};
use agent::connection::{Connection, Event, ReceivedMessage, SendOptions};
use agent::message_chain::Integrity;
use agent::time::Env;
use crypto::{Random as _, SeededRandom};
use net::agent::AgentOptions;
use smp_server::config::Config;
use store::connections::Connections;

use crate::support::{Server, config, in_time};
use crate::user::{User, address, connect, file, forgetful, id, options};

/// A keep that remembers what was read of it.
#[derive(Clone)]
struct Watched {
    connections: Connections,
    loaded: Arc<Mutex<Vec<ConnectionId>>>,
}

impl Watched {
    fn take(&self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.loaded.lock().unwrap())
    }
}

impl Keep for Watched {
    type Error = store::Error;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), store::Error>> + Send + 'static {
        self.connections.commit(batch)
    }

    fn load(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, store::Error>> + Send + 'static {
        self.loaded.lock().unwrap().extend(ids.clone());
        self.connections.load(ids)
    }

    fn outline(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, store::Error>> + Send + 'static {
        self.connections.outline(ids)
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, store::Error>> + Send + 'static {
        self.connections.list()
    }
}

fn watched(server: &Server, options: AgentOptions) -> (User, Watched) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let keep = Watched { connections: Connections::open(&file(&folder)).unwrap(), loaded: Arc::default() };
    (User::over(folder, address(server), keep.clone(), options), keep)
}

async fn sent(user: &mut User, id: &ConnectionId, number: i64) {
    user.event(id, |event| (*event == Event::Sent { number }).then_some(())).await;
}

#[tokio::test]
async fn a_connection_at_rest_is_loaded_when_something_comes_or_is_to_be_sent() {
    let server = Server::start().await;
    let (mut alice, keep) = watched(&server, forgetful(0));
    let mut bob = User::new(&server);
    let (one, other) = (id("one"), id("other"));
    connect(&mut alice, &mut bob, &one).await;
    connect(&mut alice, &mut bob, &other).await;
    keep.take();

    let number = alice.send(&one, b"to be sent").await;
    sent(&mut alice, &one, number).await;
    assert_eq!(bob.receive(&one).await.body, b"to be sent");
    let loaded = keep.take();
    assert!(!loaded.is_empty() && loaded.iter().all(|id| *id == one), "{loaded:?}");

    bob.send(&other, b"something comes").await;
    assert_eq!(alice.receive(&other).await.body, b"something comes");
    let loaded = keep.take();
    assert!(!loaded.is_empty() && loaded.iter().all(|id| *id == other), "{loaded:?}");
    assert_eq!(in_time(alice.agent.look(&one)).await.unwrap().size, 0);
}

#[tokio::test]
async fn as_many_idle_connections_stay_in_memory_as_may() {
    let server = Server::start().await;
    let (mut alice, keep) = watched(&server, forgetful(1));
    let mut bob = User::new(&server);
    let (one, other) = (id("one"), id("other"));
    connect(&mut alice, &mut bob, &one).await;
    connect(&mut alice, &mut bob, &other).await;
    in_time(alice.agent.status(&one)).await.unwrap();
    in_time(alice.agent.status(&other)).await.unwrap();
    keep.take();
    in_time(alice.agent.status(&other)).await.unwrap();
    assert_eq!(keep.take(), []);
    in_time(alice.agent.status(&one)).await.unwrap();
    assert_eq!(keep.take(), [one]);
    in_time(alice.agent.status(&other)).await.unwrap();
    assert_eq!(keep.take(), [other]);
}

#[tokio::test]
async fn after_a_restart_connections_receive_without_being_loaded() {
    let server = Server::start().await;
    let (mut alice, mut bob) = (User::new(&server), User::new(&server));
    let ids: Vec<_> = (0..5).map(|number| id(&format!("friend {number}"))).collect();
    for id in &ids {
        connect(&mut alice, &mut bob, id).await;
    }
    let waits = id("nobody has come");
    alice.invite(&waits).await;
    let User { agent, server: place, folder, .. } = alice;
    in_time(agent.close()).await;
    let keep = Watched { connections: Connections::open(&file(&folder)).unwrap(), loaded: Arc::default() };
    let mut alice = User::over(folder, place, keep.clone(), forgetful(10));
    alice.load_all().await;
    for id in &ids {
        alice.next(|event| matches!(event, net::agent::AgentEvent::Subscribed(of) if of == id).then_some(())).await;
    }
    assert_eq!(keep.take(), [waits]);
    bob.send(&ids[3], b"for one of them").await;
    assert_eq!(alice.receive(&ids[3]).await.body, b"for one of them");
    assert_eq!(keep.take(), [ids[3].clone()]);
}

#[tokio::test]
async fn a_connection_at_rest_sends_what_it_could_not_when_the_server_is_back() {
    let server = Server::start().await;
    let (mut alice, keep) = watched(&server, forgetful(0));
    let mut bob = User::new(&server);
    let id = id("friends");
    connect(&mut alice, &mut bob, &id).await;
    let shut = server.shut().await;
    for number in 0..5 {
        alice.send(&id, &[number]).await;
    }
    // It tries, and rests with all that waits.
    in_time(async {
        loop {
            keep.take();
            assert_eq!(alice.agent.status(&id).await.unwrap().unsent, 5);
            if keep.take().contains(&id) {
                return;
            }
        }
    })
    .await;
    let _server = shut.open_with(config()).await;
    for number in 0..5 {
        assert_eq!(bob.receive(&id).await.body, [number]);
    }
}

#[tokio::test]
async fn a_connection_at_rest_goes_on_when_the_peers_queue_has_room_again() {
    let server = Server::start_with(Config { quota: 2, ..config() }).await;
    let mut alice = User::with(&server, forgetful(0));
    let mut bob = User::new(&server);
    let id = id("friends");
    connect(&mut alice, &mut bob, &id).await;
    for number in 0..5 {
        alice.send(&id, &[number]).await;
    }
    alice.event(&id, |event| matches!(event, Event::QuotaExceeded { .. }).then_some(())).await;
    assert!(in_time(alice.agent.status(&id)).await.unwrap().unsent > 0);
    let _alice = alice.restart_with(forgetful(0)).await;
    for number in 0..5 {
        assert_eq!(bob.receive(&id).await.body, [number]);
    }
}

/// Two users with many connections say something through them at random, restart, and lose their server. One forgets at
/// random, the other nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forgotten_at_random_changes_nothing_that_peers_see() {
    for seed in 0..4 {
        Chat::start(seed).await.run().await;
    }
}

struct Chat {
    server: Server,
    /// The one that forgets, and the other.
    users: [User; 2],
    ids: Vec<ConnectionId>,
    random: SeededRandom,
    /// What was said through each connection, to whom, and not heard yet.
    said: BTreeMap<(ConnectionId, usize), Vec<Vec<u8>>>,
    /// The number of the last message that was heard.
    heard: BTreeMap<(ConnectionId, usize), i64>,
}

impl Chat {
    async fn start(seed: u8) -> Self {
        let server = Server::start().await;
        let mut users = [User::with(&server, forgetful(usize::from(seed))), User::new(&server)];
        let ids: Vec<_> = (0..12).map(|number| id(&format!("friend {number}"))).collect();
        for id in &ids {
            let [forgetful, other] = &mut users;
            connect(forgetful, other, id).await;
        }
        let random = SeededRandom::new(&[seed; 32], "chat");
        Chat { server, users, ids, random, said: BTreeMap::new(), heard: BTreeMap::new() }
    }

    fn draw(&mut self, below: usize) -> usize {
        let mut bytes = [0; 1];
        self.random.fill(&mut bytes);
        usize::from(bytes[0]) % below
    }

    async fn run(mut self) {
        for round in 0..60_u8 {
            match self.draw(12) {
                0 => self = self.restart().await,
                1 => self.server = self.server.restart().await,
                2 | 3 => self.hear().await,
                _ => self.say(round).await,
            }
        }
        self.hear().await;
    }

    /// Somebody says something through one connection, or through several in one step.
    async fn say(&mut self, round: u8) {
        let from = self.draw(2);
        let first = self.draw(self.ids.len());
        let count = 1 + self.draw(6);
        let ids: Vec<_> = self.ids.iter().cycle().skip(first).take(count).cloned().collect();
        let send = move |connection: &mut Connection, env: &mut Env<'_>| {
            connection.send(&[round; 40], SendOptions::default(), env)
        };
        let steps = ids.iter().map(|id| (id.clone(), send)).collect();
        for outcome in in_time(self.users[from].agent.change_many(steps)).await.unwrap() {
            outcome.unwrap();
        }
        for id in ids {
            self.said.entry((id, 1 - from)).or_default().push(vec![round; 40]);
        }
    }

    /// Everybody hears all that was said to it, in order.
    async fn hear(&mut self) {
        for ((id, to), bodies) in std::mem::take(&mut self.said) {
            for body in bodies {
                let message = self.next_message(&id, to).await;
                assert_eq!((message.body, message.integrity), (body, Integrity::Ok), "{id}");
            }
        }
    }

    /// The next message to one of them. The last one may have been told again before it was acknowledged.
    async fn next_message(&mut self, id: &ConnectionId, to: usize) -> ReceivedMessage {
        let last = self.heard.get(&(id.clone(), to)).copied().unwrap_or_default();
        let new = |event: &Event| match event {
            Event::Message(message) if message.number > last => Some(message.clone()),
            _ => None,
        };
        let message = self.users[to].event(id, new).await;
        self.users[to].acknowledge(id, &message).await;
        self.heard.insert((id.clone(), to), message.number);
        message
    }

    async fn restart(mut self) -> Self {
        let idle = self.draw(5);
        let [first, second] = self.users;
        self.users = [first.restart_with(forgetful(idle)).await, second.restart_with(options()).await];
        self
    }
}
