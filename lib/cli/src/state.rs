//! A document kept in a file, replaced as a whole before anything depends on it.
//!
//! While a [`State`] lives, a lock on the sibling `FILE.lock` keeps other runs out: two runs that both advance the
//! same ratchet would use a key twice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::context::Run;
use crate::document::{self, Document, Incoming};
use crate::lock::{Lock, busy};
use crate::{Error, file, json};

/// The document of a run, kept in a file or passing through pipes.
#[derive(Debug)]
pub struct State {
    run: Arc<Run>,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// The name that the user gave, for messages.
    name: PathBuf,
    /// The file itself, with links followed: replacing a link would leave the file behind.
    file: PathBuf,
    #[expect(dead_code, reason = "holding it is the point")]
    lock: Lock,
}

impl State {
    /// A document that came through a pipe: saving it does nothing, stdout will carry it.
    pub(crate) fn piped(run: Arc<Run>) -> Self {
        State { run, kept: None }
    }

    /// Takes the lock of `path`, which need not exist yet.
    pub(crate) fn open(run: Arc<Run>, path: &Path) -> Result<Self, Error> {
        let file = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let lock = Lock::try_take(&file).and_then(|lock| lock.ok_or_else(busy));
        let lock = lock.map_err(|error| error.at(path.display()))?;
        run.check_mode(path);
        Ok(State { run, kept: Some(Kept { name: path.to_owned(), file, lock }) })
    }

    /// The file, with links followed; nothing for a document that came through a pipe.
    pub fn path(&self) -> Option<&Path> {
        self.kept.as_ref().map(|kept| kept.file.as_path())
    }

    /// Whether there is nothing to load yet.
    pub fn is_new(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| !kept.file.exists())
    }

    /// Reads the document.
    pub fn load<I: Incoming>(&self) -> Result<I, Error> {
        let Some(kept) = &self.kept else { return Err(Error::bug("a piped document is not loaded")) };
        let bytes = file::read(&kept.name, json::MAX_STATE)?;
        self.run.accept_kept(&bytes).map_err(|error| error.at(kept.name.display()))
    }

    /// Replaces the document: on return it is on disk. Call it before every effect that depends on it.
    pub fn save<D: Document>(&self, document: &D) -> Result<(), Error> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let text = document::whole(document, &self.run.marks(), false)?;
        file::replace(&kept.file, text.as_bytes())
    }
}
