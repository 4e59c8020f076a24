//! The life of a session: one task that reads and writes independently, until either ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use codec::Malformed;
use smp::block::{BLOCK, BadBlock, Batch, TooLarge, transmissions};
use smp::command::Command;
use smp::error::{CommandError, Error};
use smp::id::{CorrId, EntityId};
use smp::response::Response;
use smp::transmission::{ServerTransmission, Session, encode_command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::{Answer, Client, ClientError, ClientOptions, Event, Outgoing, Shared, Violation, Waiter, lock};
use crate::block_stream::{PayloadReader, PayloadWriter};

/// At most so much is put together before it is sent.
const FLUSH: usize = 8 * BLOCK;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// We closed it.
    #[error("closed")]
    Closed,
    /// The server closed it.
    #[error("closed by the server")]
    ClosedByServer,
    /// The connection broke.
    #[error("connection: {0}")]
    Broken(io::ErrorKind),
    /// The server gave no sign of life.
    #[error("the server fell silent")]
    Silent,
    /// The server sent something that cannot be read.
    #[error("the server sent an unreadable block")]
    Unreadable,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Broken(error.kind())
    }
}

impl From<BadBlock> for End {
    fn from(_: BadBlock) -> Self {
        End::Unreadable
    }
}

impl From<Malformed> for End {
    fn from(_: Malformed) -> Self {
        End::Unreadable
    }
}

/// A session with everything its task needs.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) options: ClientOptions,
    pub(super) queue: mpsc::Receiver<Outgoing>,
    pub(super) pings: mpsc::WeakSender<Outgoing>,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Run {
    pub(super) async fn run(mut self, mut reader: PayloadReader, mut writer: PayloadWriter) {
        let mut stopped = self.stopped.clone();
        let grace = self.options.command_timeout;
        let end = tokio::select! {
            end = read(&self.shared, &self.pings, self.options, &mut reader) => end,
            written = write(&self.shared, &mut self.queue, &mut self.stopped, &mut writer) => match written {
                Ok(()) => End::Closed,
                Err(error) => error.into(),
            },
            () = async { until(&mut stopped).await; sleep(grace).await } => End::Closed,
        };
        let _ = self.shared.end.set(end);
        for (_, waiter) in self.shared.pending().drain() {
            let _ = waiter.answer.send(Err(ClientError::OutcomeUnknown));
        }
        self.shared.events.finish();
    }
}

async fn until(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Hands out what arrives, and watches over silence.
async fn read(
    shared: &Shared,
    pings: &mpsc::WeakSender<Outgoing>,
    options: ClientOptions,
    reader: &mut PayloadReader,
) -> End {
    let mut asked = false;
    loop {
        shared.events.room(|| !shared.pending().is_empty()).await;
        let patience = if asked { options.give_up_after } else { options.ping_after };
        match timeout(patience, reader.read()).await {
            Ok(Ok(Some(payload))) => {
                asked = false;
                if let Err(end) = payload.map_err(End::from).and_then(|payload| shared.receive(payload)) {
                    return end;
                }
            }
            Ok(Ok(None)) => return End::ClosedByServer,
            Ok(Err(error)) => return error.into(),
            Err(_) if !shared.subscribed.load(Ordering::Relaxed) => {}
            Err(_) if asked => return End::Silent,
            Err(_) => asked = shared.ping(pings),
        }
    }
}

/// Sends what handles give, as much as fits in every block.
async fn write(
    shared: &Shared,
    queue: &mut mpsc::Receiver<Outgoing>,
    stopped: &mut watch::Receiver<bool>,
    writer: &mut PayloadWriter,
) -> io::Result<()> {
    loop {
        let first = tokio::select! {
            biased;
            first = queue.recv() => first,
            () = until(stopped) => None,
        };
        let Some(first) = first else { return writer.close().await };
        // Whoever is about to give a command too has its turn before, so that both share a block.
        tokio::task::yield_now().await;
        fill(shared, first, queue, writer).map_err(io::Error::other)?;
        writer.flush().await?;
    }
}

/// Puts waiting transmissions into blocks, and registers who waits for what.
fn fill(
    shared: &Shared,
    first: Outgoing,
    queue: &mut mpsc::Receiver<Outgoing>,
    writer: &mut PayloadWriter,
) -> Result<(), TooLarge> {
    let mut batch = Batch::default();
    let waiting = queue.len().saturating_add(1).saturating_mul(first.transmission.len());
    writer.reserve(waiting.min(FLUSH).next_multiple_of(BLOCK));
    let mut next = Some(first);
    while let Some(outgoing) = next {
        if !batch.push(&outgoing.transmission)? {
            writer.queue(batch.payload())?;
            batch.clear();
            batch.push(&outgoing.transmission)?;
        }
        shared.expect(outgoing.corr_id, outgoing.waiter);
        next = if writer.queued() < FLUSH { queue.try_recv().ok() } else { None };
    }
    writer.queue(batch.payload())
}

impl Shared {
    /// From now on the command may take effect. One whose response nobody wants is not remembered.
    fn expect(&self, corr_id: CorrId, waiter: Waiter) {
        let mut pending = self.pending();
        if !waiter.answer.is_unwanted() {
            pending.insert(corr_id, waiter);
            self.events.reconsider();
        }
    }

    fn receive(&self, payload: &[u8]) -> Result<(), End> {
        for transmission in transmissions(payload)? {
            self.deliver(ServerTransmission::parse(self.version, transmission)?);
        }
        Ok(())
    }

    /// Brings a transmission to whoever waits for it.
    fn deliver(&self, transmission: ServerTransmission) {
        let waiter = if transmission.is_event() { None } else { self.pending().remove(&transmission.corr_id) };
        let ServerTransmission { corr_id, entity_id, response } = transmission;
        let unwanted = match waiter {
            None => response,
            Some(waiter) => {
                let outcome = answer(&waiter.entity_id, &entity_id, response);
                match waiter.answer.send(outcome) {
                    Err(Ok(response)) => Ok(response),
                    Ok(()) | Err(Err(_)) => return,
                }
            }
        };
        // A message is for the recipient even if it comes as the late answer to an acknowledgement.
        if corr_id.is_empty() || matches!(unwanted, Ok(Response::Msg(..))) {
            self.events.push(Event { entity_id, response: unwanted });
        }
    }

    /// Asks for a sign of life; false when no handle is left.
    fn ping(&self, pings: &mpsc::WeakSender<Outgoing>) -> bool {
        let corr_id = CorrId::random(lock(&self.random).as_mut());
        let Ok(transmission) = encode_command(self.session(), &corr_id, &EntityId::default(), &Command::Ping, None)
        else {
            return false;
        };
        let waiter = Waiter { entity_id: EntityId::default(), answer: Answer::Caller(oneshot::channel().0) };
        pings.upgrade().is_some_and(|queue| queue.try_send(Outgoing { corr_id, transmission, waiter }).is_ok())
    }

    pub(super) fn session(&self) -> Session<'_> {
        Session { version: self.version, id: &self.session_id, server_key: &self.server_key }
    }
}

/// The response to a command about `asked`. Only errors about whole transmissions may lack the entity.
fn answer(
    asked: &EntityId,
    answered: &EntityId,
    response: Result<Response, CommandError>,
) -> Result<Response, ClientError> {
    let response = response.map_err(Violation::Unreadable)?;
    let nameless = answered.is_empty() && matches!(response, Response::Err(Error::Block | Error::Session));
    if answered == asked || nameless { Ok(response) } else { Err(Violation::Entity.into()) }
}

impl Client {
    /// Why the session ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.shared.end.get().copied()
    }
}
