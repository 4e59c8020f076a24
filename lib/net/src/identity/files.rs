//! The identity in files, named as existing servers name them, all with mode 0600.
//!
//! | file | holds |
//! |---|---|
//! | `ca.key` | the authority's key; to be moved off the server |
//! | `ca.crt` | the identity certificate, then the ones above it if there are any |
//! | `server.key`, `server.crt` | the leaf |
//! | `fingerprint` | what the address must say; the server refuses to start if `ca.crt` says otherwise |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use codec::text;
use crypto::Random;
use crypto::certificate::Fingerprint;

use super::{Algorithm, CertificateAuthority, IdentityError, ServerIdentity};

/// Where the parts of an identity are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The authority's private key.
    pub ca_key: PathBuf,
    /// The authority's certificate.
    pub ca_certificate: PathBuf,
    /// The leaf's private key.
    pub key: PathBuf,
    /// The leaf certificate.
    pub certificate: PathBuf,
    /// The fingerprint that the address shows.
    pub fingerprint: PathBuf,
}

/// Why the files do not give an identity.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The files can be read, but do not belong together.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The authority was replaced: the address that people know would no longer lead here.
    #[error("{} does not have the fingerprint in {}", certificate.display(), fingerprint.display())]
    Fingerprint {
        /// The certificate file.
        certificate: PathBuf,
        /// The fingerprint file.
        fingerprint: PathBuf,
    },
}

impl IdentityFiles {
    /// The usual names in one directory.
    pub fn in_dir(dir: &Path) -> Self {
        IdentityFiles {
            ca_key: dir.join("ca.key"),
            ca_certificate: dir.join("ca.crt"),
            key: dir.join("server.key"),
            certificate: dir.join("server.crt"),
            fingerprint: dir.join("fingerprint"),
        }
    }

    /// True when there is an identity to load.
    pub fn exist(&self) -> bool {
        self.ca_certificate.exists()
    }

    /// Creates a new identity. A file that is already there is never replaced.
    ///
    /// The fingerprint is written last but for the certificate that makes [`exist`](Self::exist) true: a creation
    /// that was cut off leaves no identity that could be mistaken for a whole one.
    pub fn create(
        &self,
        algorithm: Algorithm,
        host: &str,
        now: i64,
        random: &mut dyn Random,
    ) -> Result<ServerIdentity, FileError> {
        let authority = CertificateAuthority::create(algorithm, now, random)?;
        let leaf = authority.issue(host, now, random)?;
        let ca_certificate = authority.certificate_pem()?;
        let identity = ServerIdentity::from_pem(&leaf.certificate_pem()?, &leaf.key_pem()?, &ca_certificate, now)?;
        write_new(&self.ca_key, &authority.key_pem()?)?;
        write_new(&self.key, &leaf.key_pem()?)?;
        write_new(&self.certificate, &leaf.certificate_pem()?)?;
        write_new(&self.fingerprint, fingerprint_line(identity.fingerprint()).as_bytes())?;
        write_new(&self.ca_certificate, &ca_certificate)?;
        Ok(identity)
    }

    /// Creates a new identity in the usual files of `dir`.
    ///
    /// If there is no such directory yet, it appears with all its files in it: a creation that was cut off can be
    /// repeated. Nobody else may create the same one meanwhile.
    pub fn create_in_dir(
        dir: &Path,
        algorithm: Algorithm,
        host: &str,
        now: i64,
        random: &mut dyn Random,
    ) -> Result<ServerIdentity, FileError> {
        if dir.exists() {
            return Self::in_dir(dir).create(algorithm, host, now, random);
        }
        let draft = new_draft_dir(dir)?;
        let identity = Self::in_dir(&draft).create(algorithm, host, now, random)?;
        sync_dir(&draft)?;
        fs::rename(&draft, dir).map_err(at(dir))?;
        sync_dir(parent(dir))?;
        Ok(identity)
    }

    /// Loads what a server needs to run; the authority's key is not touched. A missing fingerprint file is accepted.
    pub fn load(&self, now: i64) -> Result<ServerIdentity, FileError> {
        let (certificate, key) = (read(&self.certificate)?, read(&self.key)?);
        let identity = ServerIdentity::from_pem(&certificate, &key, &read(&self.ca_certificate)?, now)?;
        if self.fingerprint.exists() && !states(&read(&self.fingerprint)?, identity.fingerprint()) {
            let (certificate, fingerprint) = (self.ca_certificate.clone(), self.fingerprint.clone());
            return Err(FileError::Fingerprint { certificate, fingerprint });
        }
        Ok(identity)
    }

    /// Issues a new leaf with the authority's key and puts it in the place of the old one. The address stays.
    pub fn renew(&self, host: &str, now: i64, random: &mut dyn Random) -> Result<(), FileError> {
        let authority = CertificateAuthority::from_pem(&read(&self.ca_certificate)?, &read(&self.ca_key)?)?;
        let leaf = authority.issue(host, now, random)?;
        replace(&self.key, &leaf.key_pem()?)?;
        replace(&self.certificate, &leaf.certificate_pem()?)
    }
}

fn fingerprint_line(fingerprint: &Fingerprint) -> String {
    format!("{}\n", text::base64url(fingerprint))
}

fn states(file: &[u8], fingerprint: &Fingerprint) -> bool {
    file.trim_ascii() == text::base64url(fingerprint).as_bytes()
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(at(path))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at(path))?;
    store(&mut file, bytes).map_err(at(path))
}

/// An empty directory beside `dir`, to be renamed to it. One that a creation has left behind is of no use to anybody.
fn new_draft_dir(dir: &Path) -> Result<PathBuf, FileError> {
    let draft = draft_of(dir);
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(at(&draft))?;
    }
    fs::create_dir_all(parent(dir)).map_err(at(dir))?;
    DirBuilder::new().mode(0o700).create(&draft).map_err(at(&draft))?;
    Ok(draft)
}

fn sync_dir(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Replaces a file as a whole: it has the old or the new bytes, whatever happens.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let draft = draft_of(path);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(at(&draft))?;
    store(&mut file, bytes).map_err(at(&draft))?;
    fs::rename(&draft, path).map_err(at(path))
}

fn store(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { path, source }
}
