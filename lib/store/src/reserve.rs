//! Space on the disk that is held until it is needed most.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;

use crate::{Error, file};

/// At most this part of the disk is held.
const PART: u64 = 8;

/// A file of which only the size matters.
pub(crate) struct Reserve(Option<Held>);

struct Held {
    file: File,
    size: u64,
}

impl Reserve {
    /// A reserve of `size` bytes beside the database at `path`; none if that is 0.
    pub(crate) fn open(path: &Path, size: u64) -> Result<Self, Error> {
        if size == 0 {
            return Ok(Reserve(None));
        }
        let path = file::beside(path, "-reserve");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|cause| Error::File { path, cause: Arc::new(cause) })?;
        let disk = fstatvfs(&file).map_or(u64::MAX, |disk| disk.f_blocks.saturating_mul(disk.f_frsize));
        Ok(Reserve(Some(Held { file, size: size.min(disk / PART) })))
    }

    /// Bytes to hold.
    pub(crate) fn size(&self) -> u64 {
        self.0.as_ref().map_or(0, |held| held.size)
    }

    /// Takes the space, or finds that it is held already; false if the disk does not have it.
    pub(crate) fn take(&mut self) -> bool {
        let Some(held) = &self.0 else { return true };
        let is_held = held.file.metadata().is_ok_and(|metadata| metadata.len() == held.size);
        if is_held {
            return true;
        }
        match fallocate(&held.file, FallocateFlags::empty(), 0, held.size).and_then(|()| held.resize(held.size)) {
            Ok(()) => true,
            Err(Errno::NOSPC | Errno::DQUOT) => {
                self.give_up();
                false
            }
            Err(error) => {
                tracing::info!(%error, "no space can be reserved here");
                self.0 = None;
                true
            }
        }
    }

    /// Gives the space back to the disk.
    pub(crate) fn give_up(&self) {
        // Shortening a file needs no space; if it fails all the same, there is nothing left to try.
        let _ = self.0.as_ref().map(|held| held.resize(0));
    }
}

impl Held {
    fn resize(&self, size: u64) -> Result<(), Errno> {
        rustix::fs::ftruncate(&self.file, size)
    }
}
