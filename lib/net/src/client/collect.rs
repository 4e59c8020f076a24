//! Responses to many commands, collected in one place.
//!
//! Whoever has thousands of commands under way, and one task that looks after all of them, gives each a number and
//! takes the responses off one channel, in the order in which they come: there is no future to poll for every command.

use smp::id::CorrId;
use smp::response::Response;
use tokio::sync::mpsc;

use super::{Answer, Client, ClientError, Request};

/// Where responses are collected. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Collector(mpsc::UnboundedSender<Collected>);

/// What became of a command.
#[derive(Debug)]
pub struct Collected {
    /// The command's number.
    pub number: u64,
    /// The response, be it an `ERR`, or why there is none. A message among responses has no body here: it comes as an
    /// event, so that all messages of a queue come in order.
    pub outcome: Result<Response, ClientError>,
}

/// Why a command was not given. Nothing will be collected for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSubmitted {
    /// As many commands as may wait do so.
    #[error("too many commands wait for the connection")]
    Full,
    /// It cannot be given.
    #[error(transparent)]
    Failed(#[from] ClientError),
}

impl Collector {
    /// A place to collect, and where to take from it. The number of commands that were given bounds what waits there.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Collected>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Collector(sender), receiver)
    }
}

/// The place of one command; it is told of exactly one outcome.
pub(super) struct Entry {
    number: u64,
    collector: Option<Collector>,
}

impl Entry {
    pub(super) fn is_unwanted(&self) -> bool {
        self.collector.as_ref().is_none_or(|collector| collector.0.is_closed())
    }

    /// A message comes back, for the events.
    pub(super) fn send(mut self, outcome: Result<Response, ClientError>) -> Result<(), Result<Response, ClientError>> {
        let Some(collector) = self.collector.take() else { return Err(outcome) };
        let (outcome, message) = match outcome {
            Ok(Response::Msg(id, body)) => (Ok(Response::Msg(id.clone(), Vec::new())), Some(Response::Msg(id, body))),
            outcome => (outcome, None),
        };
        let sent = collector.0.send(Collected { number: self.number, outcome });
        match message {
            Some(message) => Err(Ok(message)),
            None => sent.map_err(|unwanted| unwanted.0.outcome),
        }
    }
}

impl Drop for Entry {
    /// A command that never left the queue.
    fn drop(&mut self) {
        if let Some(collector) = self.collector.take() {
            let _ = collector.0.send(Collected { number: self.number, outcome: Err(ClientError::NotSent) });
        }
    }
}

impl Client {
    /// Gives a command whose response is collected under `number`, and tells its correlation ID and the length of its
    /// transmission. Never waits.
    pub fn submit_collected(
        &self,
        request: Request<'_>,
        number: u64,
        collector: &Collector,
    ) -> Result<(CorrId, usize), NotSubmitted> {
        let place = self.outgoing.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => NotSubmitted::Full,
            mpsc::error::TrySendError::Closed(()) => NotSubmitted::Failed(ClientError::NotSent),
        })?;
        let encoded = self.encode(request)?;
        let (corr_id, length) = (encoded.corr_id.clone(), encoded.transmission.len());
        place.send(encoded.answered_to(Answer::Collector(Entry { number, collector: Some(collector.clone()) })));
        Ok((corr_id, length))
    }
}
