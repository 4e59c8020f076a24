//! Runs on one state file that serve each other.
//!
//! Whoever is at work on a state file has it alone: two runs that advance the same ratchets would use keys twice. A run
//! that has it for long, such as `grp-recv --follow`, therefore does for other runs what they would do with the file. It
//! listens at a Unix socket beside the file, `FILE.sock`, which only its own user can open. A run that finds the file
//! taken and somebody at the socket hands over what it wants done, and prints what comes back; a run that finds nobody
//! there waits for the file.
//!
//! ```text
//! the other run     {"job":{"say":{…}},"timeout":30}
//! whoever has it    {"line":{…}}                       for every document
//!                   {"ok":true}                        or {"ok":false,"error":{…}}
//! ```
//!
//! What is wanted can be done twice without harm: it carries the names of what comes of it. So a run whose answer does
//! not come, because whoever had the file was killed, does it itself as soon as the file is free.
//!
//! | module | holds |
//! |---|---|
//! | [`job`] | what one run wants from another, and the answer |
//! | [`asking`] | the run that has not the file |
//! | [`desk`] | the run that has it |

pub mod asking;
pub mod desk;
pub mod job;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".sock";

/// The socket that belongs to a state file.
fn socket(state: &Path) -> PathBuf {
    let mut name = OsString::from(state.canonicalize().unwrap_or_else(|_| state.to_owned()));
    name.push(SUFFIX);
    PathBuf::from(name)
}
