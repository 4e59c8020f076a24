//! From what is owed to blocks.

use std::io;
use std::sync::Arc;

use net::block_stream::PayloadWriter;
use smp::block::{BLOCK, Batch};
use smp::command::LinkData;
use smp::delivery::Delivered;
use smp::error::Error;
use smp::id::{CorrId, EntityId};
use smp::response::{MessageKind, Response};
use smp::transmission::put_response;
use store::{Commits, Ticket};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::answer::{Answer, Answers, Content};
use crate::outbox::{Outbox, Outgoing};
use crate::queue::Message;
use crate::registry::Entry;
use crate::state::State;

/// At most so much is put together before it is sent.
const FLUSH: usize = 4 * BLOCK;

pub(super) struct Writer {
    state: Arc<State>,
    version: u16,
    outbox: Arc<Outbox>,
    payloads: PayloadWriter,
    batch: Batch,
    commits: watch::Receiver<Commits>,
    /// The client has gone: nothing is sent any more, but everything is concluded.
    broken: bool,
}

impl Writer {
    pub(super) fn new(state: Arc<State>, version: u16, outbox: Arc<Outbox>, payloads: PayloadWriter) -> Self {
        let commits = state.commits();
        Writer { state, version, outbox, payloads, batch: Batch::default(), commits, broken: false }
    }

    /// Sends until the reading loop has ended; returns whether the client was there to take it.
    pub(super) async fn run(mut self, mut outgoing: UnboundedReceiver<Outgoing>) -> bool {
        loop {
            let next = match outgoing.try_recv() {
                Err(TryRecvError::Empty) => {
                    self.flush().await;
                    outgoing.recv().await
                }
                next => next.ok(),
            };
            match next {
                Some(Outgoing::Answers(answers)) => self.answer_all(*answers).await,
                Some(Outgoing::Push(entry)) => self.push(&entry).await,
                Some(Outgoing::Events(events)) => self.send_events(events).await,
                Some(Outgoing::End) | None => break,
            }
        }
        self.flush().await;
        if !self.broken {
            // Whether the client hears the goodbye makes no difference.
            let _ = timeout(self.state.config.write_timeout, self.payloads.close()).await;
        }
        !self.broken
    }

    async fn answer_all(&mut self, answers: Answers) {
        for answer in answers.list {
            self.answer(answer).await;
        }
        drop(answers.in_flight);
    }

    /// Answers a command once everything that the answer rests on is durable.
    async fn answer(&mut self, answer: Answer) {
        let response = match self.durable(answer.after).await {
            Ok(()) => {
                let response = self.response(answer.content).await;
                if let Some(then) = answer.then {
                    self.state.conclude(then, &self.outbox);
                }
                response
            }
            Err(error) => Response::Err(Error::Store(error.to_string())),
        };
        if let Response::Err(error) = &response {
            self.state.metrics.error(error);
        }
        if let Some(observer) = &self.state.config.observer {
            observer.answered(&answer.corr_id, &response);
        }
        self.send(&answer.corr_id, &answer.entity_id, &response).await;
    }

    /// Waits for a commit; what is ready is sent meanwhile.
    async fn durable(&mut self, ticket: Ticket) -> Result<(), store::Error> {
        loop {
            if let Some(outcome) = self.commits.borrow_and_update().outcome(ticket) {
                return outcome;
            }
            self.flush().await;
            self.commits.changed().await.map_err(|_| store::Error::Closed)?;
        }
    }

    async fn response(&mut self, content: Content) -> Response {
        match content {
            Content::Response(response) => response,
            Content::LinkData(entry) => self.link_data(&entry).await,
            Content::Message(entry, message) => match self.seal(&entry, &message).await {
                Ok(Some(body)) => Response::Msg(message.wire_id(), body),
                Ok(None) => {
                    self.state.retract(&entry, &self.outbox, &message);
                    Response::Ok
                }
                Err(error) => Response::Err(Error::Store(error.to_string())),
            },
        }
    }

    /// The link may have been deleted meanwhile.
    async fn link_data(&mut self, entry: &Arc<Entry>) -> Response {
        let (row, sender_id) = {
            let live = entry.lock();
            (live.queue.row, live.queue.sender_id.clone())
        };
        let data: Result<Option<LinkData>, _> = self.read(move |state| state.store.link_data(row)).await;
        match data {
            Ok(Some(data)) => Response::Lnk(sender_id, data),
            Ok(None) => Response::Err(Error::Auth),
            Err(error) => Response::Err(Error::Store(error.to_string())),
        }
    }

    /// Pushes the head of a queue, if the connection may have it now.
    async fn push(&mut self, entry: &Arc<Entry>) {
        if self.broken {
            return;
        }
        let Some(message) = self.state.take_push(entry, &self.outbox) else { return };
        if self.durable(message.written).await.is_err() {
            // The queue is being read back from disk; whatever is its head then is pushed again.
            return;
        }
        match self.seal(entry, &message).await {
            Ok(Some(body)) => {
                let id = entry.lock().queue.recipient_id.clone();
                self.send(&CorrId::default(), &id.into(), &Response::Msg(message.wire_id(), body)).await;
            }
            Ok(None) => self.state.retract(entry, &self.outbox, &message),
            Err(error) => tracing::error!(%error, "a message cannot be read"),
        }
    }

    /// The encrypted body of a message; `None` if the message has gone meanwhile.
    async fn seal(&mut self, entry: &Arc<Entry>, message: &Message) -> Result<Option<Vec<u8>>, store::Error> {
        let stored;
        let delivered = match (message.kind, &message.body) {
            (MessageKind::Quota, _) => Delivered::Quota { met_at: message.accepted_at },
            (MessageKind::Message, Some(body)) => deliver(message, body.bytes()),
            (MessageKind::Message, None) => {
                let row = message.row;
                let Some(body) = self.read(move |state| state.store.body(row)).await? else { return Ok(None) };
                stored = body;
                deliver(message, &stored)
            }
        };
        self.state.metrics.messages_delivered.add(1);
        let key = crypto::BoxKey::agreed(&entry.lock().queue.delivery_secret);
        // A stored body is short enough to be sealed: `SEND` took care of that.
        Ok(delivered.seal(&key, &message.wire_id()).ok())
    }

    /// Reads from disk on a thread that may block; what is ready is sent before.
    async fn read<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&State) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, store::Error> {
        self.flush().await;
        let state = self.state.clone();
        let _permit = self.state.reads.acquire().await.map_err(|_| store::Error::Closed)?;
        tokio::task::spawn_blocking(move || read(&state)).await.unwrap_or(Err(store::Error::Closed))
    }

    async fn send_events(&mut self, events: Vec<(EntityId, Response)>) {
        for (entity_id, response) in events {
            self.send(&CorrId::default(), &entity_id, &response).await;
        }
    }

    async fn send(&mut self, corr_id: &CorrId, entity_id: &EntityId, response: &Response) {
        let version = self.version;
        let put = |out: &mut Vec<u8>| put_response(out, version, corr_id, entity_id, response);
        match self.batch.push_with(put) {
            Ok(true) => return,
            Ok(false) => self.close_block(),
            Err(error) => return tracing::error!(%error, "an answer is too long"),
        }
        // It fits an empty block: its length was accepted above.
        let _ = self.batch.push_with(put);
        if self.payloads.queued() >= FLUSH {
            self.transmit().await;
        }
    }

    fn close_block(&mut self) {
        let payload = self.batch.take();
        if !self.broken && self.payloads.queue(&payload).is_ok() {
            self.state.metrics.blocks_sent.add(1);
        }
    }

    /// Sends everything that is ready.
    async fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.close_block();
        }
        if self.payloads.queued() > 0 {
            self.transmit().await;
        }
    }

    async fn transmit(&mut self) {
        if self.broken {
            return;
        }
        let sent = timeout(self.state.config.write_timeout, self.payloads.flush()).await;
        match sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(()) => self.outbox.touch(self.state.config.clock.now()),
            Err(_) => {
                self.broken = true;
                self.outbox.stop();
            }
        }
    }
}

fn deliver<'a>(message: &Message, body: &'a [u8]) -> Delivered<&'a [u8]> {
    Delivered::Message { sent_at: message.accepted_at, flags: message.flags, body }
}
