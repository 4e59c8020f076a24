//! A connection in a state file, as the agent wants its connections kept.
//!
//! Every commit replaces the whole file, public part and records, so that a reader sees one step or the next. The lock
//! is held from [`Keep::acquire`] to [`Keep::release`]: as long as the agent has something to do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent::connection::keep::{Batch, ConnectionId, Keep, Record, Revision};
use agent::connection::{Change, Connection, LoadError, RecordKey};
use cli::{Code, Error, Secret, SecretBlob, SharedState};
use codec::text::{base64url_unpadded, from_base64url};
use codec::{Decode as _, Encode as _};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::describe::describe;
use super::documents;

/// The connection of a state file. Clones are the same.
#[derive(Clone)]
pub struct StateKeep(Arc<Shared>);

struct Shared {
    state: SharedState,
    patience: Option<Duration>,
    content: Mutex<Content>,
    /// The last revision that is in the file. Held while it is written, so that one write follows another.
    written: Mutex<u64>,
    /// Whether the agent has the file.
    busy: watch::Sender<bool>,
    /// The document in the file; `None` when it was removed.
    document: watch::Sender<Option<Arc<documents::Connection>>>,
}

type Records = BTreeMap<RecordKey, Zeroizing<Vec<u8>>>;

/// What the file will hold once everything that was committed is written.
#[derive(Clone, Default)]
struct Content {
    records: Records,
    notes: Notes,
    /// Counts the commits.
    revision: u64,
    /// Nothing is kept any more.
    over: bool,
    /// A write failed; until recovery nothing else is written, because it would be built upon what was not.
    failure: Option<Error>,
}

/// What stands in the file beside what the connection keeps itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Which side this is.
    pub role: documents::Role,
    /// The link of the peer that this side uses.
    pub peer_link: Option<String>,
    /// What the link tells whoever reads it.
    pub link_data: Option<documents::Content>,
    /// What the peer says of itself.
    pub peer_info: Option<documents::Content>,
    /// The request that this connection answers.
    pub answers: Option<documents::Answers>,
    /// Signs what a contact address tells.
    pub root_key: Option<Secret<32>>,
    /// What this side says of itself.
    pub info: Vec<u8>,
}

impl From<&documents::Connection> for Notes {
    fn from(document: &documents::Connection) -> Self {
        Notes {
            role: document.role,
            peer_link: document.peer_link.clone(),
            link_data: document.link_data.clone(),
            peer_info: document.peer_info.clone(),
            answers: document.answers.clone(),
            root_key: document.root_key.clone(),
            info: document.info.0.to_vec(),
        }
    }
}

impl StateKeep {
    /// The connection in this file. Who wants the lock waits for it up to `patience`, or as long as it takes.
    pub fn new(state: SharedState, patience: Option<Duration>) -> Self {
        let (content, written) = (Mutex::default(), Mutex::default());
        let (busy, document) = (watch::Sender::new(false), watch::Sender::new(None));
        StateKeep(Arc::new(Shared { state, patience, content, written, busy, document }))
    }

    /// The name of the only connection in a file.
    pub fn id() -> Result<ConnectionId, Error> {
        ConnectionId::new(b"connection").ok_or_else(|| Error::bug("the name of a connection is too long"))
    }

    /// The file, as the user named it.
    pub fn name(&self) -> impl std::fmt::Display {
        self.0.state.name().display()
    }

    /// Whether there is a file.
    pub fn exists(&self) -> bool {
        !self.0.state.is_new()
    }

    /// Takes the file for this run, and reads it if it is there and was changed.
    pub async fn lock(&self) -> Result<bool, Error> {
        if self.0.content().over {
            return Ok(false);
        }
        self.0.state.lock(self.0.patience).await?;
        match self.0.state.is_new() {
            false => self.0.reload(),
            true if self.0.content().records.is_empty() => Ok(false),
            true => Err(Error::new(Code::FileMissing, "another run has deleted the connection").at(self.name())),
        }
    }

    /// Lets other runs have the file.
    pub fn unlock(&self) {
        self.0.state.unlock();
    }

    /// The connection as it is in the file; to be called under the lock.
    pub fn connection(&self) -> Result<Connection, Error> {
        self.0.content().connection().map_err(|error| self.0.unreadable(error))
    }

    /// What is wrong with a file whose records are no connection.
    pub fn unreadable(&self, error: LoadError) -> Error {
        self.0.unreadable(error)
    }

    /// Writes a connection after a step, before anything of it is told. To be called under the lock.
    pub fn save(&self, connection: &mut Connection) -> Result<(), Error> {
        let changes = connection.take_changes();
        let revision = match connection.is_over() {
            true => self.0.revise(vec![Revision::Forget]),
            false => self.0.revise(vec![Revision::Change(changes)]),
        };
        self.0.write(revision)
    }

    /// Notes something about the connection. It is written with the next step.
    pub fn note(&self, change: impl FnOnce(&mut Notes)) {
        change(&mut self.0.content().notes);
    }

    /// What is noted.
    pub fn notes(&self) -> Notes {
        self.0.content().notes.clone()
    }

    /// How many steps were made on the connection.
    pub fn revision(&self) -> u64 {
        self.0.content().revision
    }

    /// Waits until the agent has released the file.
    pub async fn released(&self) {
        let mut busy = self.0.busy.subscribe();
        // The sender lives as long as we do.
        let _ = busy.wait_for(|busy| !busy).await;
    }

    /// What the file says, now and from now on; `None` when it is not there.
    pub fn document(&self) -> watch::Receiver<Option<Arc<documents::Connection>>> {
        self.0.document.subscribe()
    }
}

impl Shared {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self, error: LoadError) -> Error {
        let error = Error::new(Code::FieldInvalid, error).at("records").at(self.state.name().display());
        error.hint("the file is damaged, or of a newer version of the tools")
    }

    /// Reads the file if another run has changed it.
    fn reload(&self) -> Result<bool, Error> {
        let Some(document) = self.state.load_changed::<documents::Connection>()? else { return Ok(false) };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = self.content();
        content.records = records(&document).map_err(|error| error.at(self.state.name().display()))?;
        content.notes = Notes::from(&document);
        content.revision = document.revision;
        *written = document.revision;
        self.document.send_replace(Some(Arc::new(document)));
        Ok(true)
    }

    /// Takes revisions over; returns what must be in the file before anybody may learn of them.
    fn revise(&self, revisions: Vec<Revision>) -> u64 {
        let mut content = self.content();
        for revision in revisions {
            match revision {
                Revision::Change(changes) => content.change(changes),
                Revision::Forget => content.forget(),
            }
        }
        content.revision = content.revision.saturating_add(1);
        content.revision
    }

    /// Waits until the file holds this revision, and writes it if nobody has.
    fn write(&self, revision: u64) -> Result<(), Error> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let content = self.content().clone();
        if let Some(failure) = content.failure {
            return Err(failure);
        }
        if *written >= revision {
            return Ok(());
        }
        match self.replace(&content) {
            Ok(()) => {
                *written = content.revision;
                Ok(())
            }
            Err(error) => {
                self.content().failure = Some(error.clone());
                Err(error)
            }
        }
    }

    fn replace(&self, content: &Content) -> Result<(), Error> {
        if content.over {
            self.document.send_replace(None);
            return self.state.remove();
        }
        let connection = content.connection().map_err(|error| self.unreadable(error))?;
        let mut document = describe(&connection, &content.notes);
        document.revision = content.revision;
        document.records = content.records.iter().map(|(key, value)| stored(key, value)).collect();
        self.state.save(&document)?;
        // The connection keeps it only until it was told.
        self.content().notes.peer_info.clone_from(&document.peer_info);
        self.document.send_replace(Some(Arc::new(document)));
        Ok(())
    }

    /// Forgets what was committed and did not get into the file.
    fn recover(&self) -> Result<(), Error> {
        self.content().failure = None;
        self.state.forget();
        self.reload().map(drop)
    }
}

impl Content {
    fn change(&mut self, changes: Vec<Change>) {
        for Change { key, value } in changes {
            match value {
                Some(value) => self.records.insert(key, value),
                None => self.records.remove(&key),
            };
        }
    }

    fn forget(&mut self) {
        self.records.clear();
        self.over = true;
    }

    fn connection(&self) -> Result<Connection, LoadError> {
        Connection::load(self.records.iter().map(|(key, value)| (*key, value.clone())))
    }
}

fn stored(key: &RecordKey, value: &Zeroizing<Vec<u8>>) -> (String, SecretBlob) {
    (base64url_unpadded(&key.to_bytes()), SecretBlob(value.clone()))
}

fn records(document: &documents::Connection) -> Result<Records, Error> {
    let invalid = || Error::new(Code::FieldInvalid, "records: a name that no record has");
    let record = |(name, value): (&String, &SecretBlob)| {
        let key = from_base64url(name).ok().and_then(|key| RecordKey::decode_all(&key).ok());
        key.map(|key| (key, value.0.clone())).ok_or_else(invalid)
    };
    document.records.iter().map(record).collect()
}

impl Keep for StateKeep {
    type Error = Error;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let revision = self.0.revise(batch.into_iter().map(|(_, revision)| revision).collect());
        let shared = self.0.clone();
        blocking(move || shared.write(revision))
    }

    fn recover(&self) {
        // What cannot be read now is found out when it is loaded.
        let _ = self.0.recover();
    }

    fn load(&self, ids: Vec<ConnectionId>) -> impl Future<Output = Result<Vec<Vec<Record>>, Error>> + Send + 'static {
        let content = self.0.content().clone();
        let records = move |_| content.records.iter().map(|(key, value)| (*key, value.clone())).collect();
        std::future::ready(Ok(ids.into_iter().map(records).collect()))
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Error>> + Send + 'static {
        let is_there = !self.0.content().records.is_empty();
        std::future::ready(Self::id().map(|id| if is_there { vec![id] } else { Vec::new() }))
    }

    fn acquire(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Error>> + Send + 'static {
        let keep = self.clone();
        async move {
            keep.0.busy.send_replace(true);
            Ok(if keep.lock().await? { vec![Self::id()?] } else { Vec::new() })
        }
    }

    fn release(&self) {
        self.unlock();
        self.0.busy.send_replace(false);
    }
}

/// Files block; the runtime must not.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::bug("writing the state file ended early")),
    }
}
