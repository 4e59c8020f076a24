//! A running relay: starting it, asking it, ending it.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use agent::connection::ConnectionError;
use agent::short_link::ContactShortLink;
use group::relay::{AddressError, CommandError, GroupSelector, LoadError, Relay, ServiceId};
use net::SharedRandom;
use net::agent::{Agent, AgentError, AgentOptions};
use net::tls::Connector;
use tokio::sync::{mpsc, oneshot};

use crate::address;
use crate::config::{Clock, Config};
use crate::effects::Effects;
use crate::halls::Halls;
use crate::http::Page;
use crate::keep::{Flights, RelayKeep};
use crate::keeper::{Command, Keeper, Order, Parts};
use crate::links::Links;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::rows;
use crate::store::{LogFilter, LogLine, RelayStore};

/// Orders that may wait.
const ORDERS: usize = 64;

/// Connections that stay in memory although nothing is to be done for them: the larger part of what a relay takes.
const IDLE: usize = 1_000;

/// Why a relay cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store fails.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The store holds something else.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The agent fails.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The address cannot be made.
    #[error(transparent)]
    Address(AddressError),
    /// The address cannot be used.
    #[error(transparent)]
    Connection(ConnectionError),
    /// The profile cannot be written.
    #[error("the profile cannot be written")]
    Profile,
    /// What has the name of the address is none.
    #[error("the store holds no address where the relay's should be")]
    NoAddress,
    /// The store belongs to a relay with another key.
    #[error("the store belongs to a relay with another identity")]
    OtherIdentity,
}

/// Why a relay ended.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Nothing can be made durable.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The agent ended by itself.
    #[error("the agent ended")]
    AgentEnded,
    /// The server of the address does not make it.
    #[error("the address is not made: {0}")]
    Address(String),
}

/// A relay that was started; [`RelayService::run`] makes it work.
pub struct RelayService {
    keeper: Keeper,
    handle: Handle,
    ready: Option<oneshot::Receiver<()>>,
}

/// Asks a running relay. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    address: Arc<str>,
    orders: mpsc::Sender<Order>,
    store: Arc<RelayStore>,
    metrics: Arc<Metrics>,
}

impl RelayService {
    /// Goes on from what is in the store; at the first start makes the relay's address there. Must be called within a
    /// Tokio runtime.
    pub async fn start(
        config: Config,
        store: RelayStore,
        connector: Connector,
        random: SharedRandom,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let store = Arc::new(store);
        let relay = Relay::load(config.identity.clone(), config.settings.clone(), store.load()?)?;
        let steady = config.agent.steady;
        let flights = Flights::default();
        let halls: BTreeSet<ServiceId> = store.halls()?.into_iter().map(|(service, _)| service).collect();
        let (agent, events) = Agent::start(
            RelayKeep::new(store.connections()?, flights.clone()),
            connector.clone(),
            AgentOptions { idle: config.agent.idle.min(IDLE), ..config.agent.clone() },
            Box::new(random.clone()),
            clock.clone(),
        );
        for (id, loaded) in agent.load_all().await? {
            if let Err(error) = loaded {
                tracing::error!(connection = %id, %error, "a connection cannot be loaded");
            }
        }
        let server = config.settings.servers.first();
        let address = address::open(&agent, &store, &config.identity, server, random.clone(), &clock).await?;
        let links = Links::new(connector, steady, random.clone(), config.observer.clone());
        let policy = config.policy.map(|program| Arc::new(Policy::new(program)));
        let effects = Effects { agent, links, policy, random, clock, observer: config.observer };
        let metrics = Arc::new(Metrics::default());
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (now_ready, ready) = oneshot::channel();
        let waits = !address.exists;
        let keeper = Keeper::new(Parts {
            relay,
            store: store.clone(),
            halls: Halls::new(store.clone(), flights, halls.clone()),
            kept_halls: halls,
            effects,
            events,
            orders: ordered,
            metrics: metrics.clone(),
            address_ready: waits.then_some(now_ready),
            lines: config.events,
            log_kept: config.log_kept,
            drain_timeout: config.drain_timeout,
        });
        let handle = Handle { address: address_text(&address.link), orders, store, metrics };
        Ok(RelayService { keeper, handle, ready: waits.then_some(ready) })
    }

    /// Asks it, while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Resolves, while it runs, when the server of the address has it. Called once.
    pub fn ready(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let ready = self.ready.take();
        async move {
            if let Some(ready) = ready {
                // If it ends before, nobody needs the address.
                let _ = ready.await;
            }
        }
    }

    /// Works until `shutdown` resolves, and then ends in good order.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServiceError> {
        let RelayService { keeper, handle, ready: _ready } = self;
        drop(handle);
        keeper.run(shutdown).await
    }
}

fn address_text(link: &ContactShortLink) -> Arc<str> {
    link.to_string().into()
}

impl Handle {
    /// Where owners send invitations.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How everything stands; nothing if the relay has ended.
    pub(crate) async fn look(&self) -> Option<Page> {
        let (asker, answer) = oneshot::channel();
        self.orders.send(Order::Look(asker)).await.ok()?;
        let page = answer.await.ok()?;
        let halls = self.store.read(rows::halls).await.ok()?;
        Some(page.with(&halls))
    }

    /// Carries out an order, durably; nothing if the relay has ended.
    pub(crate) async fn change(
        &self,
        command: Command,
        group: GroupSelector,
    ) -> Option<Result<Vec<u64>, CommandError>> {
        let (asker, answer) = oneshot::channel();
        self.orders.send(Order::Change(command, group, asker)).await.ok()?;
        answer.await.ok()
    }

    /// Lines of the log.
    pub(crate) async fn log(
        &self,
        filter: LogFilter,
        after: (u64, u64),
        limit: usize,
    ) -> Result<Vec<LogLine>, store::Error> {
        let store = self.store.clone();
        let read = tokio::task::spawn_blocking(move || store.log(&filter, after, limit));
        read.await.unwrap_or(Err(store::Error::Closed))
    }
}
