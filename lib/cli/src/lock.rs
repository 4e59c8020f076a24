//! The lock beside a state file: `FILE.lock`, held by the one run that may change the file.
//!
//! It is the system's lock, so it ends with the process that holds it, however that ends. The lock file itself may stay
//! behind; it says nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::{Code, Error, OrError};

/// Held while it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    #[expect(dead_code, reason = "holding it is the point")]
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a state file, or finds that another run has it.
    pub(crate) fn try_take(state_file: &Path) -> Result<Option<Self>, Error> {
        let mut path = state_file.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        loop {
            let file = open().or_error_at(Code::FileFailed, "lock file")?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Some(Lock { file, path })),
                // Its holder removed it; the next one is another file.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(Error::new(Code::FileFailed, error).at("lock file")),
            }
        }
    }

    /// Ends the lock and removes its file, because there is nothing to lock any more.
    pub(crate) fn remove(self) {
        // One that stays behind is harmless.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().ok().map(place) == path.metadata().ok().map(place)
}

/// What a run is told that cannot have the lock.
pub(crate) fn busy() -> Error {
    Error::new(Code::StateBusy, "another run is using this file").hint("wait until it has ended")
}
