//! A client that outlives its connections: it connects again after a growing, random delay, and subscribes again to
//! every queue that its caller wants.
//!
//! Subscriptions are declared, not commanded: [`SteadyClient::subscribe`] says which queue is wanted, [`SteadyEvents`] tell
//! how that went, now and after every reconnection. Other commands are given to [`SteadyClient::client`], the client of the
//! current connection. A command that was under way when a connection ended is never repeated here, because only the
//! caller knows whether that is harmless; it fails with [`ClientError::OutcomeUnknown`] or [`ClientError::NotSent`].

mod backoff;
mod supervise;
mod wishes;

use std::sync::Arc;

use crypto::Random;
use crypto::authorize::AuthPrivateKey;
use smp::address::ServerAddress;
use smp::id::RecipientId;
use smp::response::Response;
use tokio::sync::{mpsc, watch};

pub use backoff::Backoff;
pub(crate) use backoff::Delays;

use crate::Blame;
use crate::client::{Client, ClientError, ClientOptions, End, Event};
use crate::handshake::{ConnectError, ConnectOptions};
use crate::tls::Connector;
use supervise::Supervisor;
use wishes::Wishes;

/// How a steady client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SteadyOptions {
    /// For every connection.
    pub connect: ConnectOptions,
    /// For the client of every connection.
    pub client: ClientOptions,
    /// Between connections.
    pub backoff: Backoff,
}

/// What a steady client tells its owner.
#[derive(Debug, Clone)]
pub enum SteadyEvent {
    /// Connected; subscribing to all wanted queues begins.
    Connected {
        /// Agreed with the server.
        version: u16,
    },
    /// The connection ended; another will be tried.
    Disconnected(End),
    /// Connecting failed; it will be tried again.
    ConnectFailed(Arc<ConnectError>),
    /// The server answered to the subscription of a wanted queue.
    Subscribed(Subscribed),
    /// The server said something. After `END` and `DELD` the queue is no longer wanted.
    Event(Event),
}

/// A subscription that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// The queue.
    pub queue: RecipientId,
    /// The answer; the body of a message comes as an event. After an error the queue is no longer wanted.
    pub outcome: Result<Response, ClientError>,
    /// Bytes of the command's transmission.
    pub sent: usize,
}

/// The events of a steady client, in order.
#[derive(Debug)]
pub struct SteadyEvents(mpsc::Receiver<Numbered>);

/// An event with the number of its client, for whoever has many clients.
pub(crate) type Numbered = (u64, SteadyEvent);

impl SteadyEvents {
    /// The next event, or `None` after it was closed.
    pub async fn next(&mut self) -> Option<SteadyEvent> {
        self.0.recv().await.map(|(_, event)| event)
    }
}

/// Where a client tells its events, under which number.
pub(crate) struct Outlet {
    pub(crate) number: u64,
    pub(crate) channel: mpsc::Sender<Numbered>,
}

/// Why there is no client to give a command to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// Not connected; this is how the last attempt failed.
    #[error(transparent)]
    ConnectFailed(Arc<ConnectError>),
    /// Not connected, and the first attempt is still under way.
    #[error("not connected yet")]
    NotYet,
    /// It was closed.
    #[error("the client was closed")]
    Closed,
}

impl Unavailable {
    /// Who is at fault.
    pub fn blame(&self) -> Blame {
        match self {
            Self::ConnectFailed(error) => error.blame(),
            Self::NotYet => Blame::TimedOut,
            Self::Closed => Blame::Caller,
        }
    }
}

/// How the connection stands.
#[derive(Clone, Default)]
enum Status {
    #[default]
    Connecting,
    Connected(Client),
    Failing(Arc<ConnectError>),
    Closed,
}

/// A handle on a steady client. Cheap to clone; it closes with the last handle.
#[derive(Clone)]
pub struct SteadyClient(Arc<Handle>);

struct Handle {
    wishes: Arc<Wishes>,
    status: watch::Receiver<Status>,
    patience: std::time::Duration,
    /// Asks the supervisor to end, also by being dropped; closed when it has.
    stop: watch::Sender<bool>,
}

impl SteadyClient {
    /// Starts to connect. `random` gives keys, correlation IDs and jitter. Must be called within a Tokio runtime.
    pub fn start(
        address: ServerAddress,
        connector: Connector,
        options: SteadyOptions,
        random: Box<dyn Random + Send>,
    ) -> (Self, SteadyEvents) {
        let (channel, events) = mpsc::channel(options.client.events.max(1));
        let client = Self::start_numbered(address, connector, options, random, Outlet { number: 0, channel });
        (client, SteadyEvents(events))
    }

    /// The same, with the events of many clients in one channel.
    pub(crate) fn start_numbered(
        address: ServerAddress,
        connector: Connector,
        options: SteadyOptions,
        random: Box<dyn Random + Send>,
        outlet: Outlet,
    ) -> Self {
        let wishes = Arc::new(Wishes::default());
        let (status, status_seen) = watch::channel(Status::default());
        let (stop, stopped) = watch::channel(false);
        let supervisor = Supervisor::new(address, connector, options, random, wishes.clone(), status, outlet);
        tokio::spawn(supervisor.run(stopped));
        let patience = options.connect.timeout;
        SteadyClient(Arc::new(Handle { wishes, status: status_seen, patience, stop }))
    }

    /// Wants a queue: it is subscribed to as soon as there is a connection, and after every reconnection.
    pub fn subscribe(&self, queue: RecipientId, key: AuthPrivateKey) {
        self.0.wishes.add(queue, key);
    }

    /// Wants a queue that `NEW` has subscribed to through `client`. If that connection has ended, it is subscribed to
    /// as any other.
    pub fn keep_subscribed(&self, queue: RecipientId, key: AuthPrivateKey, client: &Client) {
        let status = &self.0.status;
        let still = || matches!(&*status.borrow(), Status::Connected(current) if current == client);
        self.0.wishes.add_subscribed(queue, key, still);
    }

    /// No longer wants a queue. The server keeps the subscription until the connection ends.
    pub fn unsubscribe(&self, queue: &RecipientId) {
        self.0.wishes.remove(queue);
    }

    /// The client of the current connection. Waits for one as long as connecting may take.
    pub async fn client(&self) -> Result<Client, Unavailable> {
        self.client_when(|status| !matches!(status, Status::Connecting | Status::Failing(_))).await
    }

    /// The same, but waits no longer once a try has failed.
    pub async fn client_unless_failing(&self) -> Result<Client, Unavailable> {
        self.client_when(|status| !matches!(status, Status::Connecting)).await
    }

    async fn client_when(&self, settled: impl Fn(&Status) -> bool) -> Result<Client, Unavailable> {
        let mut status = self.0.status.clone();
        let usable = |status: &Status| match status {
            Status::Connected(client) => !client.is_closed(),
            other => settled(other),
        };
        let _ = tokio::time::timeout(self.0.patience, status.wait_for(usable)).await;
        let status = status.borrow().clone();
        match status {
            Status::Connected(client) => Ok(client),
            Status::Connecting => Err(Unavailable::NotYet),
            Status::Failing(error) => Err(Unavailable::ConnectFailed(error)),
            Status::Closed => Err(Unavailable::Closed),
        }
    }

    /// The client of the current connection, if there is one.
    pub fn connected(&self) -> Option<Client> {
        match &*self.0.status.borrow() {
            Status::Connected(client) if !client.is_closed() => Some(client.clone()),
            _ => None,
        }
    }

    /// Closes the connection, and waits until that is done.
    pub async fn close(&self) {
        self.0.stop.send_replace(true);
        self.0.stop.closed().await;
    }
}
