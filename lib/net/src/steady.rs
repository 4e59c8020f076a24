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
use std::task::{Context, Poll};

use crypto::Random;
use crypto::authorize::AuthPrivateKey;
use smp::address::ServerAddress;
use smp::id::RecipientId;
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
    /// Subscribed to a wanted queue.
    Subscribed(RecipientId),
    /// The server refused to subscribe to a queue, which is no longer wanted.
    SubscriptionFailed(RecipientId, ClientError),
    /// The server said something. After `END` and `DELD` the queue is no longer wanted.
    Event(Event),
}

/// The events of a steady client, in order.
#[derive(Debug)]
pub struct SteadyEvents(mpsc::Receiver<SteadyEvent>);

impl SteadyEvents {
    /// The next event, or `None` after it was closed.
    pub async fn next(&mut self) -> Option<SteadyEvent> {
        self.0.recv().await
    }

    /// The same for whoever waits for more than one thing.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<SteadyEvent>> {
        self.0.poll_recv(context)
    }
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
        let wishes = Arc::new(Wishes::default());
        let (status, status_seen) = watch::channel(Status::default());
        let (events, events_seen) = mpsc::channel(options.client.events.max(1));
        let (stop, stopped) = watch::channel(false);
        let supervisor = Supervisor::new(address, connector, options, random, wishes.clone(), status, events);
        tokio::spawn(supervisor.run(stopped));
        let patience = options.connect.timeout;
        (SteadyClient(Arc::new(Handle { wishes, status: status_seen, patience, stop })), SteadyEvents(events_seen))
    }

    /// Wants a queue: it is subscribed to as soon as there is a connection, and after every reconnection.
    pub fn subscribe(&self, queue: RecipientId, key: AuthPrivateKey) {
        self.0.wishes.add(queue, key);
    }

    /// Wants a queue that `NEW` has subscribed to through `client`. If that connection has ended, it is subscribed to
    /// as any other; tells whether that is not needed.
    pub fn keep_subscribed(&self, queue: RecipientId, key: AuthPrivateKey, client: &Client) -> bool {
        let status = &self.0.status;
        let still = || matches!(&*status.borrow(), Status::Connected(current) if current == client);
        self.0.wishes.add_subscribed(queue, key, still)
    }

    /// No longer wants a queue. The server keeps the subscription until the connection ends.
    pub fn unsubscribe(&self, queue: &RecipientId) {
        self.0.wishes.remove(queue);
    }

    /// The client of the current connection. Waits for one as long as connecting may take.
    pub async fn client(&self) -> Result<Client, Unavailable> {
        let mut status = self.0.status.clone();
        let usable = |status: &Status| match status {
            Status::Connected(client) => !client.is_closed(),
            Status::Closed => true,
            Status::Connecting | Status::Failing(_) => false,
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
