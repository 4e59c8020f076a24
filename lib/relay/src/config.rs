//! What the operator chooses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent::time::Time;
use group::relay::{RelayIdentity, RelaySettings};
use net::agent::AgentOptions;
use tokio::sync::mpsc;

use crate::observe::Observer;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// What the operator chooses.
#[derive(Clone)]
pub struct Config {
    /// Who the relay is.
    pub identity: RelayIdentity,
    /// Which groups it serves, and how.
    pub settings: RelaySettings,
    /// How its connections behave.
    pub agent: AgentOptions,
    /// The program that is asked about every invitation.
    pub policy: Option<PolicyProgram>,
    /// Where new lines of the log go besides; lines for which there is no room are left out.
    pub events: Option<mpsc::Sender<String>>,
    /// How long lines of the log are kept.
    pub log_kept: Duration,
    /// How long what is under way may take when the service ends.
    pub drain_timeout: Duration,
    /// Whoever watches.
    pub observer: Observer,
}

/// A program that decides about invitations.
#[derive(Debug, Clone)]
pub struct PolicyProgram {
    /// Run without arguments.
    pub path: PathBuf,
    /// How long it may think.
    pub timeout: Duration,
}
