//! The servers of all connections: one steady client each, started when it is first needed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use agent::connection::{Subscription, TaskId};
use smp::address::ServerAddress;
use smp::id::RecipientId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::table::Slot;
use crate::client::Client;
use crate::shared_random::SharedRandom;
use crate::steady::{Numbered, Outlet, SteadyClient, SteadyOptions};
use crate::tls::Connector;

/// A server that owes an answer for so long says nothing.
const STALLED: Duration = Duration::from_secs(5);

/// Names a server while it is needed. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ServerKey(pub(super) u64);

/// What is known of the connection to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// A connection is being tried, and may yet succeed: tasks wait.
    Unknown,
    /// There is a connection.
    Connected,
    /// The last try failed: tasks fail at once.
    Failing,
}

/// One server.
pub(super) struct Server {
    pub(super) address: Arc<ServerAddress>,
    pub(super) client: SteadyClient,
    pub(super) reach: Reach,
    /// Commands under way.
    pub(super) under_way: usize,
    /// Since when it has answered nothing although there are tasks for it.
    owes_since: Option<Instant>,
    /// Tasks that wait for the connection, or for others to end.
    waiting: VecDeque<(Slot, TaskId)>,
    /// Who receives from a queue.
    pub(super) queues: HashMap<RecipientId, Slot>,
    /// Who had a task that failed for want of a connection.
    pub(super) missed: BTreeSet<Slot>,
}

impl Server {
    /// Nobody needs it now.
    fn is_unused(&self) -> bool {
        self.tasks() == 0 && self.queues.is_empty()
    }

    /// Tasks that are under way or wait.
    fn tasks(&self) -> usize {
        self.under_way.saturating_add(self.waiting.len())
    }

    fn is_stalled(&self, now: Instant) -> bool {
        self.owes_since.is_some_and(|since| now.duration_since(since) >= STALLED)
    }

    /// A command has its outcome.
    pub(super) fn answered(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.owes_since = (self.tasks() > 0).then(Instant::now);
    }
}

/// All servers.
pub(super) struct Servers {
    connector: Connector,
    options: SteadyOptions,
    random: SharedRandom,
    servers: HashMap<ServerKey, Server>,
    keys: HashMap<ServerAddress, ServerKey>,
    last: u64,
    /// Servers for which tasks wait.
    wanted: BTreeSet<ServerKey>,
    channel: mpsc::Sender<Numbered>,
    events: mpsc::Receiver<Numbered>,
}

impl Servers {
    pub(super) fn new(connector: Connector, options: SteadyOptions, random: SharedRandom) -> Self {
        let (channel, events) = mpsc::channel(options.client.events.max(1));
        let (servers, keys) = (HashMap::new(), HashMap::new());
        Servers { connector, options, random, servers, keys, last: 0, wanted: BTreeSet::new(), channel, events }
    }

    /// The server at an address; connecting begins if it was not needed before.
    pub(super) fn at(&mut self, address: &ServerAddress) -> ServerKey {
        match self.keys.get(address) {
            Some(key) => *key,
            None => self.start(address),
        }
    }

    fn start(&mut self, address: &ServerAddress) -> ServerKey {
        let (connector, random) = (self.connector.clone(), Box::new(self.random.clone()));
        self.last = self.last.saturating_add(1);
        let outlet = Outlet { number: self.last, channel: self.channel.clone() };
        let client = SteadyClient::start_numbered(address.clone(), connector, self.options, random, outlet);
        let server = Server {
            address: Arc::new(address.clone()),
            client,
            reach: Reach::Unknown,
            under_way: 0,
            owes_since: None,
            waiting: VecDeque::new(),
            queues: HashMap::new(),
            missed: BTreeSet::new(),
        };
        let key = ServerKey(self.last);
        self.servers.insert(key, server);
        self.keys.insert(address.clone(), key);
        key
    }

    pub(super) fn get_mut(&mut self, key: ServerKey) -> Option<&mut Server> {
        self.servers.get_mut(&key)
    }

    /// A task waits for the connection to its server, or for others to end.
    pub(super) fn wait(&mut self, key: ServerKey, slot: Slot, task: TaskId) {
        if let Some(server) = self.servers.get_mut(&key) {
            server.owes_since.get_or_insert_with(Instant::now);
            server.waiting.push_back((slot, task));
            self.wanted.insert(key);
        }
    }

    /// It waits again, before all others.
    pub(super) fn wait_again(&mut self, key: ServerKey, slot: Slot, task: TaskId) {
        if let Some(server) = self.servers.get_mut(&key) {
            server.waiting.push_front((slot, task));
            self.wanted.insert(key);
        }
    }

    /// Servers for which tasks wait, in turn.
    pub(super) fn wanted(&self) -> Vec<ServerKey> {
        self.wanted.iter().copied().collect()
    }

    /// The task that has waited longest, unless as many as may be are under way.
    pub(super) fn next_waiting(&mut self, key: ServerKey, window: usize) -> Option<(Slot, TaskId)> {
        let server = self.servers.get_mut(&key).filter(|server| server.under_way < window)?;
        let next = server.waiting.pop_front();
        if server.waiting.is_empty() {
            self.wanted.remove(&key);
        }
        next
    }

    /// A task failed for want of a connection: it is due at once when there is one.
    pub(super) fn missed(&mut self, key: ServerKey, slot: Slot) {
        if let Some(server) = self.servers.get_mut(&key) {
            server.missed.insert(slot);
        }
    }

    /// All tasks that wait for a server wait no more.
    pub(super) fn take_waiting(&mut self, key: ServerKey) -> VecDeque<(Slot, TaskId)> {
        self.wanted.remove(&key);
        let Some(server) = self.servers.get_mut(&key) else { return VecDeque::new() };
        if server.under_way == 0 {
            server.owes_since = None;
        }
        std::mem::take(&mut server.waiting)
    }

    /// Receives from a queue for `slot`. `session` is the one on which `NEW` has subscribed to it.
    pub(super) fn subscribe(&mut self, slot: Slot, wanted: Subscription, session: Option<&Client>) -> ServerKey {
        let key = self.at(&wanted.server);
        if let Some(server) = self.get_mut(key) {
            server.queues.insert(wanted.queue.clone(), slot);
            match session {
                Some(session) => server.client.keep_subscribed(wanted.queue, wanted.key, session),
                None => server.client.subscribe(wanted.queue, wanted.key),
            }
        }
        key
    }

    pub(super) fn unsubscribe(&mut self, key: ServerKey, queue: &RecipientId) {
        if let Some(server) = self.get_mut(key) {
            server.client.unsubscribe(queue);
            server.queues.remove(queue);
        }
    }

    /// Lets go of a server whose connection has ended, if nobody needs it.
    pub(super) fn drop_if_unused(&mut self, key: ServerKey) {
        if self.servers.get(&key).is_some_and(Server::is_unused)
            && let Some(server) = self.servers.remove(&key)
        {
            self.keys.remove(&*server.address);
        }
    }

    /// Takes up to `limit` events of all servers.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, heard: &mut Vec<Numbered>, limit: usize) {
        // There is always a sender, so it never ends; nothing taken is nothing heard.
        let _ = self.events.poll_recv_many(context, heard, limit);
    }

    /// Tasks that are under way or wait at servers that do something.
    pub(super) fn crowd(&self, now: Instant) -> usize {
        let working = self.servers.values().filter(|server| !server.is_stalled(now));
        working.fold(0, |crowd, server| crowd.saturating_add(server.tasks()))
    }

    /// Servers that say nothing although tasks wait for them.
    pub(super) fn stalled(&self, now: Instant) -> Vec<ServerKey> {
        let waited_for = self.wanted.iter().filter(|key| self.servers.get(key).is_some_and(|s| s.is_stalled(now)));
        waited_for.copied().collect()
    }

    /// No task waits for a connection.
    pub(super) fn wait_for_nothing(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Closes every connection, and waits until that is done.
    pub(super) async fn close(self) {
        let mut closing: JoinSet<()> = JoinSet::new();
        for server in self.servers.into_values() {
            closing.spawn(async move { server.client.close().await });
        }
        while closing.join_next().await.is_some() {}
    }
}
