//! Commands and events of one session with a server.
//!
//! Commands are pipelined: any number may be under way, and those that wait together travel in one block. A response
//! finds its command by correlation ID and must be about the same entity. What the server says on its own (messages,
//! `END`, `DELD`) comes out of [`Events`].
//!
//! A [`Client`] is a handle; the session ends when it is closed, when the last handle is dropped, or when the
//! connection breaks. It does not connect again: that is what [`crate::steady`] is for.

mod collect;
mod error;
mod events;
mod observe;
mod operations;
mod request;
mod run;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crypto::Random;
use crypto::dh::X25519PublicKey;
use smp::id::{CorrId, EntityId};
use smp::response::Response;
use smp::transmission::encode_command;
use tokio::sync::{mpsc, oneshot, watch};

pub use collect::{Collected, Collector, NotSubmitted};
pub use error::{ClientError, Violation};
pub use events::{Event, Events};
pub use observe::{Exchange, Observer};
pub use operations::{LinkContent, Message};
pub use request::{PendingResponse, Request};
pub use run::End;

use crate::handshake::ClientConnection;
use observe::Observation;

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long [`Client::send`] waits for a response: 10 s where a person waits, 30 s in the background.
    pub command_timeout: Duration,
    /// How many commands may wait for the connection before [`Client::submit`] does.
    pub queue: usize,
    /// How many events may wait for the caller before the client stops reading; see [`Events`].
    pub events: usize,
    /// With a subscription, the server is asked for a sign of life after so long a silence.
    pub ping_after: Duration,
    /// With a subscription, so long a silence after that question ends the session.
    pub give_up_after: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            command_timeout: Duration::from_secs(10),
            queue: 256,
            events: 256,
            ping_after: Duration::from_secs(10 * 60),
            give_up_after: Duration::from_secs(5 * 60),
        }
    }
}

/// A handle on a session. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    outgoing: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
    observer: Option<Observer>,
}

/// A command as it goes out.
struct Encoded {
    corr_id: CorrId,
    entity_id: EntityId,
    transmission: Vec<u8>,
}

impl Encoded {
    fn answered_to(self, answer: Answer) -> Outgoing {
        let waiter = Waiter { entity_id: self.entity_id, answer };
        Outgoing { corr_id: self.corr_id, transmission: self.transmission, waiter }
    }
}

/// A transmission on its way to the writer.
struct Outgoing {
    corr_id: CorrId,
    transmission: Vec<u8>,
    waiter: Waiter,
}

/// A command whose response has not come.
struct Waiter {
    entity_id: EntityId,
    answer: Answer,
}

/// Who is told of the response.
enum Answer {
    Caller(oneshot::Sender<Result<Response, ClientError>>),
    Collector(collect::Entry),
}

impl Answer {
    /// An answer that nobody wants comes back.
    fn send(self, outcome: Result<Response, ClientError>) -> Result<(), Result<Response, ClientError>> {
        match self {
            Answer::Caller(caller) => caller.send(outcome),
            Answer::Collector(entry) => entry.send(outcome),
        }
    }

    fn is_unwanted(&self) -> bool {
        match self {
            Answer::Caller(caller) => caller.is_closed(),
            Answer::Collector(entry) => entry.is_unwanted(),
        }
    }
}

/// What handles, reader and writer share.
struct Shared {
    version: u16,
    session_id: Vec<u8>,
    server_key: X25519PublicKey,
    command_timeout: Duration,
    random: Mutex<Box<dyn Random + Send>>,
    pending: Mutex<HashMap<CorrId, Waiter>>,
    subscribed: AtomicBool,
    events: events::EventQueue,
    end: OnceLock<End>,
    /// Asks the session to end; closed when it has.
    stop: watch::Sender<bool>,
}

impl Client {
    /// Starts to serve a session. `random` gives correlation IDs. Must be called within a Tokio runtime.
    pub fn start(
        connection: ClientConnection,
        options: ClientOptions,
        random: Box<dyn Random + Send>,
    ) -> (Self, Events) {
        let (outgoing, queue) = mpsc::channel(options.queue.max(1));
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            version: connection.version,
            session_id: connection.session_id,
            server_key: connection.server_key,
            command_timeout: options.command_timeout,
            random: Mutex::new(random),
            pending: Mutex::default(),
            subscribed: AtomicBool::new(false),
            events: events::EventQueue::new(options.events),
            end: OnceLock::new(),
            stop,
        });
        let events = Events::new(shared.clone());
        let run = run::Run { shared: shared.clone(), options, queue, pings: outgoing.downgrade(), stopped };
        tokio::spawn(run.run(connection.reader, connection.writer));
        (Client { outgoing, shared, observer: None }, events)
    }

    /// Tells `observer` of every command given through this handle and its clones.
    pub fn observed_by(self, observer: Observer) -> Self {
        Client { observer: Some(observer), ..self }
    }

    /// The agreed version.
    pub fn version(&self) -> u16 {
        self.shared.version
    }

    /// Gives a command and waits for its response. An `ERR` is [`ClientError::Refused`].
    pub async fn send(&self, request: Request<'_>) -> Result<Response, ClientError> {
        let answered = async { self.submit(request).await?.response().await };
        let outcome = tokio::time::timeout(self.shared.command_timeout, answered).await;
        outcome.unwrap_or(Err(ClientError::TimedOut(self.shared.command_timeout)))
    }

    /// Gives a command, waiting only for room in the queue. The response may be awaited later, or never.
    pub async fn submit(&self, request: Request<'_>) -> Result<PendingResponse, ClientError> {
        let tag = request.command.tag();
        let (sender, receiver) = oneshot::channel();
        let encoded = self.encode(request)?;
        let corr_id = encoded.corr_id.clone();
        let observation = Observation::new(self.observer.clone(), tag, corr_id.clone(), encoded.transmission.len());
        self.outgoing.send(encoded.answered_to(Answer::Caller(sender))).await.map_err(|_| ClientError::NotSent)?;
        Ok(PendingResponse::new(corr_id, receiver, self.shared.clone(), observation))
    }

    fn encode(&self, request: Request<'_>) -> Result<Encoded, ClientError> {
        let corr_id = request.corr_id.unwrap_or_else(|| CorrId::random(lock(&self.shared.random).as_mut()));
        let (entity_id, command) = (request.entity_id, &request.command);
        let transmission = encode_command(self.shared.session(), &corr_id, &entity_id, command, request.key)?;
        if transmission.len() > smp::block::MAX_TRANSMISSION {
            return Err(ClientError::TooLarge);
        }
        if request::subscribes(command) {
            self.shared.subscribed.store(true, Ordering::Relaxed);
        }
        Ok(Encoded { corr_id, entity_id, transmission })
    }

    /// Sends what is queued, says goodbye and waits until the session has ended.
    pub async fn close(&self) {
        self.shared.stop.send_replace(true);
        self.shared.stop.closed().await;
    }

    /// True when the session has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.stop.is_closed()
    }
}

impl PartialEq for Client {
    /// Whether both are handles on the same session.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, HashMap<CorrId, Waiter>> {
        lock(&self.pending)
    }

    fn forget(&self, corr_id: &CorrId) {
        self.pending().remove(corr_id);
    }
}

/// A lock is never held over anything that can panic.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
