//! What an owner or a member knows of a group, in a state file, as the agent wants connections kept.
//!
//! Every commit replaces the whole file: what is known and the records of all connections. So what is said to a relay,
//! and that it was said, become durable together. The lock is held for the whole run: two runs that advance the
//! same ratchets would use keys twice.

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent::connection::RecordKey;
use agent::connection::keep::{Batch, ConnectionId, Keep, Record, Revision};
use cli::{Code, Context, Document, Error, Kept, OrError as _, State, Timeout};
use codec::text::base64url_unpadded;
use codec::{Decode as _, Encode as _};
use group::document::{ConnectionRecords, GroupDocument, MemberDocument};
use group::membership::Membership;
use group::owner::{ConnectionName, GroupOwner};
use tokio::sync::watch;

use crate::documents::{Group, Member};

/// How often a run that waits for another one looks.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// How much of a hash names a run.
const NAME: usize = 12;

/// The state file, which this run has to itself. Waits until an earlier run has ended.
pub fn lock(kept: &Kept, timeout: Timeout, ctx: &mut Context) -> Result<State, Error> {
    let began = Instant::now();
    loop {
        match ctx.state(&kept.state) {
            Err(error) if error.code() == Code::StateBusy && began.elapsed() < timeout.duration() => sleep(LOOK),
            opened => return opened,
        }
    }
}

/// The name of a run on a document. Runs on the same file follow from each other, and none of them repeats what another
/// drew from a seed.
pub fn run_name(document: &impl Document) -> Result<String, Error> {
    let bytes = serde_json::to_vec(document).or_error(Code::Bug)?;
    let hash = crypto::hash::sha256(&bytes);
    Ok(base64url_unpadded(hash.get(..NAME).unwrap_or(&hash)))
}

/// What stands in a state file together with the records of its connections.
pub trait Held: Send + 'static {
    /// How it stands there.
    type Document: Document;

    /// The records.
    fn connections(&self) -> &ConnectionRecords;

    /// The records, to be changed.
    fn connections_mut(&mut self) -> &mut ConnectionRecords;

    /// The whole.
    fn document(&self) -> Self::Document;
}

impl Held for GroupOwner {
    type Document = Group;

    fn connections(&self) -> &ConnectionRecords {
        self.connections()
    }

    fn connections_mut(&mut self) -> &mut ConnectionRecords {
        self.connections_mut()
    }

    fn document(&self) -> Group {
        Group(GroupDocument::from(self))
    }
}

impl Held for Membership {
    type Document = Member;

    fn connections(&self) -> &ConnectionRecords {
        self.connections()
    }

    fn connections_mut(&mut self) -> &mut ConnectionRecords {
        self.connections_mut()
    }

    fn document(&self) -> Member {
        Member(MemberDocument::from(self))
    }
}

/// What a state file holds. Clones are the same.
pub struct HeldKeep<H>(Arc<Shared<H>>);

/// A group as its owner keeps it.
pub type GroupKeep = HeldKeep<GroupOwner>;

/// A group as a member keeps it.
pub type MemberKeep = HeldKeep<Membership>;

impl<H> Clone for HeldKeep<H> {
    fn clone(&self) -> Self {
        HeldKeep(self.0.clone())
    }
}

struct Shared<H> {
    state: State,
    content: Mutex<Content<H>>,
    /// The last revision that is in the file. Held while it is written, so that one write follows another.
    written: Mutex<u64>,
    /// The same, for those who wait.
    told: watch::Sender<u64>,
}

struct Content<H> {
    held: H,
    /// Counts the changes of this run.
    revision: u64,
    /// A write failed: nothing is built upon what was not written.
    failure: Option<Error>,
}

impl<H: Held> HeldKeep<H> {
    /// What was read from the file, or is to be written there.
    pub fn new(held: H, state: State) -> Self {
        let content = Mutex::new(Content { held, revision: 0, failure: None });
        let (written, told) = (Mutex::new(0), watch::Sender::new(0));
        HeldKeep(Arc::new(Shared { state, content, written, told }))
    }

    /// Where it is kept.
    pub fn path(&self) -> Result<&Path, Error> {
        self.0.state.path().ok_or_else(|| Error::bug("a group with connections is kept in a file"))
    }

    /// Looks at what is known.
    pub fn look<T>(&self, look: impl FnOnce(&H) -> T) -> T {
        look(&self.0.content().held)
    }

    /// Changes what is known. It is in the file after the next commit, or [`save`](Self::save).
    pub fn change<T>(&self, change: impl FnOnce(&mut H) -> T) -> T {
        let mut content = self.0.content();
        content.revision = content.revision.saturating_add(1);
        change(&mut content.held)
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
    pub fn document(&self) -> H::Document {
        self.look(Held::document)
    }
}

impl<H: Held> Shared<H> {
    fn content(&self) -> MutexGuard<'_, Content<H>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revise(&self, batch: Batch) -> u64 {
        let mut content = self.content();
        for (id, revision) in batch {
            revise(content.held.connections_mut(), &id.to_string(), revision);
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
            (content.held.document(), content.revision)
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

impl<H: Held> Keep for HeldKeep<H> {
    type Error = Error;

    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let revision = self.0.revise(batch);
        let shared = self.0.clone();
        blocking(move || shared.write(revision))
    }

    fn load(&self, ids: Vec<ConnectionId>) -> impl Future<Output = Result<Vec<Vec<Record>>, Error>> + Send + 'static {
        let records = self.look(|held| ids.iter().map(|id| records(held.connections(), id)).collect());
        std::future::ready(Ok(records))
    }

    fn list(&self) -> impl Future<Output = Result<Vec<ConnectionId>, Error>> + Send + 'static {
        let names =
            |held: &H| held.connections().names().filter_map(|name| ConnectionId::new(name.as_bytes())).collect();
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
