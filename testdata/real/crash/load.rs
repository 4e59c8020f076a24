//! What all workers share: which server runs at the moment, and how much work was done on it.

use std::sync::Arc;

use net::client::{Client, ClientError, Events};
use smp::address::ServerAddress;
use tokio::sync::watch;

use crate::client::dial;
use crate::server::soon;

#[derive(Clone, Default)]
pub(super) struct Load {
    phase: Arc<watch::Sender<Phase>>,
    answered: Arc<watch::Sender<u64>>,
}

/// Where workers find a server.
#[derive(Clone, Default)]
enum Phase {
    #[default]
    NoServer,
    At(ServerAddress),
    /// The last one, which is not killed.
    EndAt(ServerAddress),
}

/// A connection to a server that may be killed at any moment.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) events: Events,
    /// Nothing new is begun on it.
    pub(super) is_last: bool,
}

impl Load {
    /// Lets workers use a server until they got so many more answers.
    pub(super) async fn work_at(&self, server: &ServerAddress, answers: u64) {
        let enough = *self.answered.borrow() + answers;
        self.phase.send_replace(Phase::At(server.clone()));
        soon("answers", self.answered.subscribe().wait_for(|answered| *answered >= enough)).await.unwrap();
    }

    /// Lets workers finish at a server.
    pub(super) fn end_at(&self, server: &ServerAddress) {
        self.phase.send_replace(Phase::EndAt(server.clone()));
    }

    /// A worker got an answer that must stay true.
    pub(super) fn answered(&self) {
        self.answered.send_modify(|answered| *answered += 1);
    }

    /// Connects to the server that runs, or to the next one that does.
    pub(super) async fn session(&self) -> Session {
        let mut phases = self.phase.subscribe();
        loop {
            let phase = phases.borrow_and_update().clone();
            if let Phase::At(server) | Phase::EndAt(server) = &phase
                && let Ok((client, events)) = dial(server).await
            {
                return Session { client, events, is_last: matches!(phase, Phase::EndAt(_)) };
            }
            soon("another server", phases.changed()).await.unwrap();
        }
    }
}

/// The answer of a server that lives; `None` if it was killed. Sessions end in no other way.
pub(super) fn unless_killed<T>(outcome: Result<T, ClientError>) -> Option<T> {
    match outcome {
        Ok(answer) => Some(answer),
        Err(ClientError::NotSent | ClientError::OutcomeUnknown) => None,
        Err(error) => panic!("{error}"),
    }
}
