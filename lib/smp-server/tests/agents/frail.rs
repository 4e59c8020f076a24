//! A keep that fails, or takes its process with it, at a commit that the test chooses.

use std::future::pending;
use std::sync::{Arc, Mutex};

use agent::connection::keep::{Batch, ConnectionId, Keep, Record};
use store::connections::Connections;
use tokio::sync::watch;

/// What happens at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// The process dies before anything is durable.
    DeathBefore,
    /// The process dies once it is durable, and before anybody knows.
    DeathAfter,
    /// It fails, and so does everything after it until the agent has recovered.
    Failure,
}

/// Why something could not be kept.
#[derive(Debug)]
pub(crate) struct FrailError(String);

impl std::fmt::Display for FrailError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FrailError {}

impl From<store::Error> for FrailError {
    fn from(error: store::Error) -> Self {
        FrailError(error.to_string())
    }
}

struct State {
    mishap: Mishap,
    /// Commits until it happens.
    left: usize,
    broken: bool,
}

/// Connections, with a mishap to come.
pub(crate) struct Frail {
    inner: Connections,
    state: Mutex<State>,
    /// Whether the mishap has happened, and was a death.
    happened: Arc<watch::Sender<Option<bool>>>,
}

impl Frail {
    /// The mishap happens at commit number `at`, counted from 1. The receiver tells when it has,
    /// and whether it was a death.
    pub(crate) fn new(inner: Connections, mishap: Mishap, at: usize) -> (Self, watch::Receiver<Option<bool>>) {
        let (happened, told) = watch::channel(None);
        let state = Mutex::new(State { mishap, left: at, broken: false });
        (Frail { inner, state, happened: Arc::new(happened) }, told)
    }

    /// What is to happen at this commit.
    fn mishap(&self) -> Option<Mishap> {
        let mut state = self.state.lock().unwrap();
        state.left = state.left.saturating_sub(1);
        if *self.happened.borrow() == Some(true) {
            return Some(Mishap::DeathBefore);
        }
        if state.left == 0 && state.mishap == Mishap::Failure {
            state.broken = true;
            state.left = usize::MAX;
        }
        match state.broken {
            true => Some(Mishap::Failure),
            false => (state.left == 0).then_some(state.mishap),
        }
    }
}

impl Keep for Frail {
    type Error = FrailError;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), FrailError>> + Send + 'static {
        let mishap = self.mishap();
        let commit = match mishap {
            Some(Mishap::DeathBefore | Mishap::Failure) => None,
            Some(Mishap::DeathAfter) | None => Some(self.inner.commit(batch)),
        };
        let happened = self.happened.clone();
        async move {
            if let Some(commit) = commit {
                commit.await?;
            }
            match mishap {
                None => Ok(()),
                Some(Mishap::Failure) => {
                    happened.send_replace(Some(false));
                    Err(FrailError("this was to fail".to_owned()))
                }
                Some(Mishap::DeathBefore | Mishap::DeathAfter) => {
                    happened.send_replace(Some(true));
                    pending().await
                }
            }
        }
    }

    fn recover(&self) {
        self.state.lock().unwrap().broken = false;
        self.inner.recover();
    }

    fn load(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, FrailError>> + Send + 'static {
        let load = self.inner.load(ids);
        async { Ok(load.await?) }
    }

    fn outline(
        &self,
        ids: Vec<ConnectionId>,
    ) -> impl Future<Output = Result<Vec<Vec<Record>>, FrailError>> + Send + 'static {
        let outline = self.inner.outline(ids);
        async { Ok(outline.await?) }
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, FrailError>> + Send + 'static {
        let list = self.inner.list();
        async { Ok(list.await?) }
    }
}
