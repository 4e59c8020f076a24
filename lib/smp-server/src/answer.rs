//! What is owed to a client: decided already, but told only once everything it rests on is durable.

use std::sync::Arc;

use smp::error::Error;
use smp::id::{CorrId, EntityId};
use smp::response::Response;
use smp::transmission::Refusal;
use store::Ticket;
use tokio::sync::OwnedSemaphorePermit;

use crate::queue::Message;
use crate::registry::Entry;

/// The answers to one block.
pub(crate) struct Answers {
    pub(crate) list: Vec<Answer>,
    /// Another block of the connection may be read when this one is answered.
    pub(crate) in_flight: OwnedSemaphorePermit,
}

/// The answer to one command.
pub(crate) struct Answer {
    pub(crate) corr_id: CorrId,
    pub(crate) entity_id: EntityId,
    pub(crate) content: Content,
    /// The write that must be durable before.
    pub(crate) after: Ticket,
    /// To be done when the answer is under way.
    pub(crate) then: Option<Then>,
}

/// What an answer says.
pub(crate) enum Content {
    /// This.
    Response(Response),
    /// A message of the queue, whose body may have to be read.
    Message(Arc<Entry>, Message),
    /// The link data of the queue, which has to be read.
    LinkData(Arc<Entry>),
}

/// What a durable command leads to.
pub(crate) enum Then {
    /// The queue has a new message.
    Notify(Arc<Entry>),
    /// The connection has subscribed.
    Push(Arc<Entry>),
    /// The queue is deleted.
    Forget(Arc<Entry>),
}

impl Answer {
    /// An answer that rests on nothing.
    pub(crate) fn now(corr_id: CorrId, entity_id: EntityId, response: Response) -> Self {
        let content = Content::Response(response);
        Answer { corr_id, entity_id, content, after: Ticket::START, then: None }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Answer::now(refusal.corr_id, refusal.entity_id, Response::Err(refusal.error))
    }
}

impl From<Result<Response, Error>> for Content {
    fn from(outcome: Result<Response, Error>) -> Self {
        Content::Response(outcome.unwrap_or_else(Response::Err))
    }
}
