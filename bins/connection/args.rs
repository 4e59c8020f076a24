//! Arguments that several `conn-` binaries take.

use std::path::PathBuf;

use agent::connection::{QueuePlan, Settings};
use agent::ratchet::Pq;
use cli::{Code, Context, Error};

use super::documents::Connection;

/// Where this side receives.
#[derive(clap::Args)]
pub struct ReceiveAt {
    /// Receive through a queue on this server, given without a password (required for a new connection)
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,

    /// Create the queue with the password in FILE
    #[arg(long, value_name = "FILE", requires = "server")]
    password_file: Option<PathBuf>,

    /// Make a queue that this side secures, which takes more messages and has no short link; some old peers can do no
    /// better
    #[arg(long, requires = "server")]
    pub recipient_secures: bool,
}

impl ReceiveAt {
    /// The queue of a new connection.
    pub fn plan(&self, ctx: &mut Context) -> Result<QueuePlan, Error> {
        let missing = || Error::new(Code::Usage, "--server: needed for a new connection").hint("no server is built in");
        let server = crate::server_address("--server", self.server.as_deref().ok_or_else(missing)?)?;
        let password = self.password_file.as_deref().map(|path| crate::password_from_file(path, ctx)).transpose()?;
        Ok(QueuePlan { server, password, sender_secures: !self.recipient_secures })
    }

    /// Refuses a server other than the one that a connection has already: a command may be repeated, not changed.
    pub fn check_repeated(&self, document: &Connection) -> Result<(), Error> {
        let used = document.receive_queue.as_ref().map(|queue| queue.server.as_str());
        match (&self.server, used) {
            (Some(given), Some(used)) if crate::server_address("--server", given)?.to_string() != used => {
                Err(Error::new(Code::Usage, format!("--server: this connection receives at {used}")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether encryption is to be post-quantum.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PostQuantum {
    /// If the peer can
    #[default]
    On,
    /// Never
    Off,
}

impl From<PostQuantum> for Pq {
    fn from(wanted: PostQuantum) -> Self {
        match wanted {
            PostQuantum::On => Pq::On,
            PostQuantum::Off => Pq::Off,
        }
    }
}

impl PostQuantum {
    /// The settings of a new connection.
    pub fn settings(self) -> Settings {
        Settings { pq: self.into(), ..Settings::default() }
    }
}

/// What this side says of itself.
#[derive(clap::Args)]
pub struct Info {
    /// Tell the peer this about ourselves: any text, usually JSON
    #[arg(long, value_name = "TEXT")]
    info: Option<String>,
}

impl Info {
    /// The bytes that the peer gets.
    pub fn bytes(&self) -> Vec<u8> {
        self.info.clone().unwrap_or_default().into_bytes()
    }
}
