//! A group in a state file, as the agent wants its connections kept.
//!
//! Every commit replaces the whole file: what the owner knows and the records of all connections. So what is said to a
//! relay, and that it was said, become durable together. The lock is held for the whole run: two runs that advance the
//! same ratchets would use keys twice.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent::connection::RecordKey;
use agent::connection::keep::{Batch, ConnectionId, Keep, Record, Revision};
use cli::{Error, State};
use codec::{Decode as _, Encode as _};
use group::document::{ConnectionRecords, GroupDocument};
use group::owner::{ConnectionName, GroupOwner};
use tokio::sync::watch;

use crate::documents::Group;

/// The group of a state file. Clones are the same.
#[derive(Clone)]
pub struct GroupKeep(Arc<Shared>);

struct Shared {
    state: State,
    content: Mutex<Content>,
    /// The last revision that is in the file. Held while it is written, so that one write follows another.
    written: Mutex<u64>,
    /// The same, for those who wait.
    told: watch::Sender<u64>,
}

struct Content {
    owner: GroupOwner,
    /// Counts the changes of this run.
    revision: u64,
    /// A write failed: nothing is built upon what was not written.
    failure: Option<Error>,
}

impl GroupKeep {
    /// The group that was read from the file.
    pub fn new(owner: GroupOwner, state: State) -> Self {
        let content = Mutex::new(Content { owner, revision: 0, failure: None });
        let (written, told) = (Mutex::new(0), watch::Sender::new(0));
        GroupKeep(Arc::new(Shared { state, content, written, told }))
    }

    /// Looks at what the owner knows.
    pub fn look<T>(&self, look: impl FnOnce(&GroupOwner) -> T) -> T {
        look(&self.0.content().owner)
    }

    /// Changes what the owner knows. It is in the file after the next commit, or [`save`](Self::save).
    pub fn change<T>(&self, change: impl FnOnce(&mut GroupOwner) -> T) -> T {
        let mut content = self.0.content();
        content.revision = content.revision.saturating_add(1);
        change(&mut content.owner)
    }

    /// Brings all changes into the file.
    pub async fn save(&self) -> Result<(), Error> {
        let revision = self.0.content().revision;
        let shared = self.0.clone();
        blocking(move || shared.write(revision)).await
    }

    /// Told of every write.
    pub fn written(&self) -> watch::Receiver<u64> {
        self.0.told.subscribe()
    }

    /// The document as it is.
    pub fn document(&self) -> Group {
        self.look(|owner| Group(GroupDocument::from(owner)))
    }
}

impl Shared {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revise(&self, batch: Batch) -> u64 {
        let mut content = self.content();
        for (id, revision) in batch {
            revise(content.owner.connections_mut(), &id.to_string(), revision);
        }
        content.revision = content.revision.saturating_add(1);
        content.revision
    }

    /// Waits until the file holds this revision, and writes it if nobody has.
    fn write(&self, revision: u64) -> Result<(), Error> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (document, newest) = {
            let content = self.content();
            if let Some(failure) = &content.failure {
                return Err(failure.clone());
            }
            if *written >= revision {
                return Ok(());
            }
            (Group(GroupDocument::from(&content.owner)), content.revision)
        };
        match self.state.save(&document) {
            Ok(()) => {
                *written = newest;
                self.told.send_replace(newest);
                Ok(())
            }
            Err(error) => {
                self.content().failure = Some(error.clone());
                Err(error)
            }
        }
    }
}

fn revise(records: &mut ConnectionRecords, name: &str, revision: Revision) {
    match revision {
        Revision::Forget => records.forget(name),
        Revision::Change(changes) => {
            for change in changes {
                records.set(name, &change.key.to_bytes(), change.value);
            }
        }
    }
}

/// The agent's name for a connection.
pub fn id(name: &ConnectionName) -> Result<ConnectionId, Error> {
    ConnectionId::new(name.as_str().as_bytes()).ok_or_else(|| Error::bug("the name of a connection is too long"))
}

impl Keep for GroupKeep {
    type Error = Error;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let revision = self.0.revise(batch);
        let shared = self.0.clone();
        blocking(move || shared.write(revision))
    }

    fn load(&self, ids: Vec<ConnectionId>) -> impl Future<Output = Result<Vec<Vec<Record>>, Error>> + Send + 'static {
        let records = self.look(|owner| ids.iter().map(|id| records(owner.connections(), id)).collect());
        std::future::ready(Ok(records))
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Error>> + Send + 'static {
        let names = |owner: &GroupOwner| {
            owner.connections().names().filter_map(|name| ConnectionId::new(name.as_bytes())).collect()
        };
        std::future::ready(Ok(self.look(names)))
    }
}

/// Records with names of other programs are left alone.
fn records(kept: &ConnectionRecords, id: &ConnectionId) -> Vec<Record> {
    let records = kept.of(&id.to_string()).into_iter();
    records.filter_map(|(name, bytes)| Some((RecordKey::decode_all(&name).ok()?, bytes))).collect()
}

/// Files block; the runtime must not.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::bug("writing the state file ended early")),
    }
}
