//! A document in a file that several runs share: each holds the lock only while it has something to do.
//!
//! One run may wait for messages for days while others send on the same connection. Whoever takes the lock learns
//! whether the file is still what it was, and reads it again if not; [`crate::State`], in contrast, keeps others out for
//! the whole run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::context::Run;
use crate::document::{self, Document, Incoming};
use crate::lock::{Lock, busy};
use crate::{Code, Error, file, json};

/// How often a run that waits for the lock looks.
const LOOK: Duration = Duration::from_millis(10);

/// The file, and what this run knows of it.
#[derive(Debug)]
pub struct SharedState {
    run: Arc<Run>,
    /// The name that the user gave, for messages.
    name: PathBuf,
    /// The file itself, with links followed: replacing a link would leave the file behind.
    file: PathBuf,
    hold: Mutex<Hold>,
}

#[derive(Debug, Default)]
struct Hold {
    lock: Option<Lock>,
    /// The hash of what this run read or wrote last.
    known: Option<[u8; 32]>,
}

impl SharedState {
    pub(crate) fn new(run: Arc<Run>, path: &Path) -> Self {
        let file = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        run.check_mode(path);
        SharedState { run, name: path.to_owned(), file, hold: Mutex::default() }
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name that the user gave.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Whether there is nothing to load.
    pub fn is_new(&self) -> bool {
        !self.file.exists()
    }

    /// Takes the lock. Waits for it up to `patience`, or as long as it takes.
    pub async fn lock(&self, patience: Option<Duration>) -> Result<(), Error> {
        let waiting = async {
            while !self.try_lock()? {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        match patience {
            None => waiting.await,
            Some(patience) => match tokio::time::timeout(patience, waiting).await {
                Ok(locked) => locked,
                Err(_) => Err(busy().at(self.name.display())),
            },
        }
    }

    fn try_lock(&self) -> Result<bool, Error> {
        let mut hold = self.hold();
        if hold.lock.is_none() {
            hold.lock = Lock::try_take(&self.file).map_err(|error| error.at(self.name.display()))?;
        }
        Ok(hold.lock.is_some())
    }

    /// Lets others use the file.
    pub fn unlock(&self) {
        self.hold().lock = None;
    }

    /// Reads the document if it is not what this run last read or wrote; `None` if it is.
    pub fn load_changed<I: Incoming>(&self) -> Result<Option<I>, Error> {
        let bytes = file::read(&self.name, json::MAX_STATE)?;
        let found = Some(crypto::hash::sha256(&bytes));
        if self.hold().known == found {
            return Ok(None);
        }
        let document = self.run.accept_kept(&bytes).map_err(|error| error.at(self.name.display()))?;
        self.hold().known = found;
        Ok(Some(document))
    }

    /// Forgets what this run knows of the file: it is read again.
    pub fn forget(&self) {
        self.hold().known = None;
    }

    /// Replaces the document: on return it is on disk. Call it before every effect that depends on it, under the lock.
    pub fn save<D: Document>(&self, document: &D) -> Result<(), Error> {
        let mut hold = self.hold();
        if hold.lock.is_none() {
            return Err(Error::bug("a shared document is written without its lock"));
        }
        let text = Zeroizing::new(document::whole(document, &self.run.marks(), false)?);
        hold.known = None;
        file::replace(&self.file, text.as_bytes())?;
        hold.known = Some(crypto::hash::sha256(text.as_bytes()));
        Ok(())
    }

    /// Removes the file, because what it was kept for is over. Ends the lock.
    pub fn remove(&self) -> Result<(), Error> {
        let mut hold = self.hold();
        let Some(lock) = hold.lock.take() else {
            return Err(Error::bug("a shared document is removed without its lock"));
        };
        hold.known = None;
        if let Err(error) = std::fs::remove_file(&self.file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Error::new(Code::FileFailed, error).at(self.name.display()));
        }
        lock.remove();
        Ok(())
    }
}
