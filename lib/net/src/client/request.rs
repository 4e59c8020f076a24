//! A command on its way out, and its response on the way back.

use std::sync::Arc;

use crypto::authorize::AuthPrivateKey;
use smp::command::Command;
use smp::id::{CorrId, EntityId};
use smp::response::Response;
use tokio::sync::oneshot;

use super::observe::Observation;
use super::{ClientError, Shared};

/// A command with what it is about and what authorises it.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub(crate) corr_id: Option<CorrId>,
    pub(crate) entity_id: EntityId,
    pub(crate) command: Command,
    pub(crate) key: Option<&'a AuthPrivateKey>,
}

impl<'a> Request<'a> {
    /// A command about nothing in particular, without authorization.
    pub fn new(command: Command) -> Self {
        Request { corr_id: None, entity_id: EntityId::default(), command, key: None }
    }

    /// Names what the command is about.
    pub fn about(self, entity_id: impl Into<EntityId>) -> Self {
        Request { entity_id: entity_id.into(), ..self }
    }

    /// Authorises the command.
    pub fn authorized_by(self, key: &'a AuthPrivateKey) -> Self {
        Request { key: Some(key), ..self }
    }

    /// Chooses the correlation ID, which must be fresh and random; a new link depends on it.
    pub fn with_corr_id(self, corr_id: CorrId) -> Self {
        Request { corr_id: Some(corr_id), ..self }
    }
}

/// After these commands the server may speak on its own, so its silence is watched.
pub(super) fn subscribes(command: &Command) -> bool {
    match command {
        Command::New(new) => new.subscribe,
        Command::Sub | Command::Subs | Command::Nsub | Command::Nsubs => true,
        _ => false,
    }
}

/// A response to come. Dropping it does not take the command back; the response is then ignored.
#[must_use = "the response tells whether the command succeeded"]
pub struct PendingResponse {
    corr_id: CorrId,
    receiver: oneshot::Receiver<Result<Response, ClientError>>,
    shared: Arc<Shared>,
    sent: usize,
    observation: Option<Observation>,
}

impl PendingResponse {
    pub(super) fn new(
        corr_id: CorrId,
        receiver: oneshot::Receiver<Result<Response, ClientError>>,
        shared: Arc<Shared>,
        observation: Observation,
    ) -> Self {
        PendingResponse { corr_id, receiver, shared, sent: observation.sent(), observation: Some(observation) }
    }

    /// Bytes of the command's transmission.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Waits for the response, without a time limit of its own. An `ERR` is [`ClientError::Refused`].
    pub async fn response(mut self) -> Result<Response, ClientError> {
        // A sender dropped unused is a command that never left the queue.
        let answer = (&mut self.receiver).await.unwrap_or(Err(ClientError::NotSent));
        let outcome = answer.and_then(|response| match response {
            Response::Err(error) => Err(ClientError::Refused(error)),
            response => Ok(response),
        });
        if let Some(observation) = self.observation.take() {
            observation.ended(&outcome);
        }
        outcome
    }
}

impl Drop for PendingResponse {
    fn drop(&mut self) {
        self.receiver.close();
        self.shared.forget(&self.corr_id);
    }
}
