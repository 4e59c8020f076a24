//! Watching the commands of a session, for a record of the protocol step by step.

use std::sync::Arc;

use smp::id::CorrId;
use smp::response::Response;

use super::ClientError;

/// A command and what came of it.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The command's tag.
    pub command: &'static str,
    /// What the server's answer is known by; subscriptions that are made again have none.
    pub corr_id: Option<&'a CorrId>,
    /// Bytes of its transmission.
    pub sent: usize,
    /// The response, why there is none, or nothing when the caller stopped waiting.
    pub outcome: Option<&'a Result<Response, ClientError>>,
}

/// Told of every exchange when it ends. Must not block.
pub type Observer = Arc<dyn Fn(&Exchange<'_>) + Send + Sync>;

/// One exchange under observation; reports exactly once.
pub(super) struct Observation {
    observer: Option<Observer>,
    command: &'static str,
    corr_id: CorrId,
    sent: usize,
}

impl Observation {
    pub(super) fn new(observer: Option<Observer>, command: &'static str, corr_id: CorrId, sent: usize) -> Self {
        Observation { observer, command, corr_id, sent }
    }

    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    pub(super) fn ended(mut self, outcome: &Result<Response, ClientError>) {
        self.report(Some(outcome));
    }

    fn report(&mut self, outcome: Option<&Result<Response, ClientError>>) {
        if let Some(observer) = self.observer.take() {
            let (command, sent) = (self.command, self.sent);
            observer(&Exchange { command, corr_id: Some(&self.corr_id), sent, outcome });
        }
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.report(None);
    }
}
