//! Local files: read with a limit, written whole or not at all, 0600 from the first byte.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::signal::Uninterrupted;
use crate::{Code, Error, OrError};

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    read_from(open(path)?, limit, path.display())
}

/// Reads at most `limit` bytes of anything; more is an error.
pub(crate) fn read_from(
    source: impl Read,
    limit: usize,
    name: impl std::fmt::Display,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::new());
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source.take(one_more).read_to_end(&mut bytes).or_error_at(Code::FileFailed, &name)?;
    if bytes.len() > limit {
        return Err(Error::new(Code::JsonMalformed, format!("larger than {limit} bytes")).at(name));
    }
    Ok(bytes)
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|error| {
        let code = if error.kind() == ErrorKind::NotFound { Code::FileMissing } else { Code::FileFailed };
        Error::new(code, error).at(path.display())
    })
}

/// Whether anybody but the owner of a file may read it.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
}

/// Fails early if [`create`] would fail late.
pub(crate) fn check_creatable(path: &Path, force: bool) -> Result<(), Error> {
    if !force && path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let folder = folder(path);
    if !folder.is_dir() {
        return Err(Error::new(Code::FileMissing, "no such folder").at(folder.display()));
    }
    Ok(())
}

fn exists(path: &Path) -> Error {
    Error::new(Code::FileExists, "the file exists")
        .at(path.display())
        .hint("choose another name, or replace it with --force")
}

/// Writes a new file; an existing one is an error, and nothing is left behind if writing fails.
pub(crate) fn create(path: &Path, content: &[u8]) -> Result<(), Error> {
    let _whole = Uninterrupted::begin();
    prepared(path, content)?.persist_noclobber(path).map_err(|error| match error.error.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => Error::new(Code::FileFailed, error.error).at(path.display()),
    })?;
    sync_folder(path)
}

/// Replaces a file in one step: a reader, or a run after a crash, sees the old content or the new.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let _whole = Uninterrupted::begin();
    let place = || path.display();
    prepared(path, content)?.persist(path).map_err(|error| error.error).or_error_at(Code::FileFailed, place())?;
    sync_folder(path)
}

/// A synced temporary file with the content, in the same folder so that it can be renamed.
fn prepared(path: &Path, content: &[u8]) -> Result<tempfile::NamedTempFile, Error> {
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".grp-").suffix(".tmp").tempfile_in(folder(path))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(|error: std::io::Error| Error::new(Code::FileFailed, error).at(path.display()))
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = folder(path);
    File::open(&folder).and_then(|folder| folder.sync_all()).or_error_at(Code::FileFailed, folder.display())
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
