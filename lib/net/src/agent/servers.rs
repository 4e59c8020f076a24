//! The servers of all connections: one steady client each, started when it is first needed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::task::{Context, Poll};

use agent::connection::{Subscription, TaskId};
use smp::address::ServerAddress;
use smp::id::RecipientId;
use tokio::task::JoinSet;

use super::table::Slot;
use crate::client::Client;
use crate::shared_random::SharedRandom;
use crate::steady::{SteadyClient, SteadyEvent, SteadyEvents, SteadyOptions};
use crate::tls::Connector;

/// Names a server while it is needed. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ServerKey(u64);

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
    events: SteadyEvents,
    pub(super) reach: Reach,
    /// Commands under way.
    pub(super) under_way: usize,
    /// Tasks that wait for the connection, or for others to end.
    pub(super) waiting: VecDeque<(Slot, TaskId)>,
    /// Who receives from a queue.
    pub(super) queues: HashMap<RecipientId, Slot>,
    /// Who had a task that failed for want of a connection.
    pub(super) missed: BTreeSet<Slot>,
}

impl Server {
    /// Nobody needs it now.
    fn is_unused(&self) -> bool {
        self.under_way == 0 && self.waiting.is_empty() && self.queues.is_empty()
    }
}

/// All servers.
pub(super) struct Servers {
    connector: Connector,
    options: SteadyOptions,
    random: SharedRandom,
    servers: BTreeMap<ServerKey, Server>,
    keys: HashMap<ServerAddress, ServerKey>,
    last: u64,
    /// Who was heard last.
    heard: ServerKey,
}

impl Servers {
    pub(super) fn new(connector: Connector, options: SteadyOptions, random: SharedRandom) -> Self {
        let (servers, keys) = (BTreeMap::new(), HashMap::new());
        Servers { connector, options, random, servers, keys, last: 0, heard: ServerKey(0) }
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
        let (client, events) = SteadyClient::start(address.clone(), connector, self.options, random);
        let server = Server {
            address: Arc::new(address.clone()),
            client,
            events,
            reach: Reach::Unknown,
            under_way: 0,
            waiting: VecDeque::new(),
            queues: HashMap::new(),
            missed: BTreeSet::new(),
        };
        self.last = self.last.saturating_add(1);
        let key = ServerKey(self.last);
        self.servers.insert(key, server);
        self.keys.insert(address.clone(), key);
        key
    }

    pub(super) fn get_mut(&mut self, key: ServerKey) -> Option<&mut Server> {
        self.servers.get_mut(&key)
    }

    /// Every server that there is.
    pub(super) fn keys(&self) -> Vec<ServerKey> {
        self.servers.keys().copied().collect()
    }

    /// Receives from a queue for `slot`. `session` is the one on which `NEW` has subscribed to it. Tells the server, and
    /// whether the queue is subscribed to already.
    pub(super) fn subscribe(
        &mut self,
        slot: Slot,
        subscription: Subscription,
        session: Option<&Client>,
    ) -> (ServerKey, bool) {
        let key = self.at(&subscription.server);
        let Some(server) = self.get_mut(key) else { return (key, false) };
        let Subscription { queue, key: auth, .. } = subscription;
        server.queues.insert(queue.clone(), slot);
        let subscribed = match session {
            Some(session) => server.client.keep_subscribed(queue, auth, session),
            None => {
                server.client.subscribe(queue, auth);
                false
            }
        };
        (key, subscribed)
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

    /// Takes up to `limit` events. Every server has its turn.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        limit: usize,
        heard: &mut Vec<(ServerKey, SteadyEvent)>,
    ) -> bool {
        let before = heard.len();
        let (first, last) = (self.heard, ServerKey(u64::MAX));
        for half in [(Bound::Excluded(first), Bound::Included(last)), (Bound::Unbounded, Bound::Included(first))] {
            for (key, server) in self.servers.range_mut(half) {
                while heard.len() < limit
                    && let Poll::Ready(Some(event)) = server.events.poll_next(context)
                {
                    heard.push((*key, event));
                    self.heard = *key;
                }
            }
        }
        heard.len() > before
    }

    /// No task waits for a connection.
    pub(super) fn wait_for_nothing(&self) -> bool {
        self.servers.values().all(|server| server.waiting.is_empty())
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
