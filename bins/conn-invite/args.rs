//! The command line of `conn-invite`, and what it makes of it.

use std::path::PathBuf;

use agent::connection::Settings;
use agent::link_data::Payload;
use cli::{Code, Context, Error, Kept, Timeout};
use grp::connection::args::{PostQuantum, ReceiveAt};
use grp::connection::documents::{self, Role};

/// Arguments of `conn-invite`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) kept: Kept,

    #[command(flatten)]
    pub(crate) receive_at: ReceiveAt,

    /// Make a contact address, for requests from anybody
    #[arg(long, conflicts_with = "recipient_secures")]
    pub(crate) address: bool,

    /// Let the short link tell its reader this: any text, usually JSON
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["no_short_link", "data_file", "recipient_secures"])]
    data: Option<String>,

    /// The same from FILE; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_short_link", "recipient_secures"])]
    data_file: Option<PathBuf>,

    /// Make the full link only
    #[arg(long)]
    no_short_link: bool,

    /// Whether encryption is to be post-quantum [default: on]
    #[arg(long, value_name = "WHEN", value_enum)]
    pq: Option<InvitePostQuantum>,

    /// Prepare everything and send nothing; the next run creates exactly this
    #[arg(long)]
    pub(crate) offline: bool,

    #[command(flatten)]
    pub(crate) timeout: Timeout,
}

/// Whether encryption is to be post-quantum.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum InvitePostQuantum {
    /// If the peer can
    On,
    /// Never
    Off,
    /// If the peer can, from the very first message; the full link is longer by 1.6 KB
    Link,
}

impl Args {
    /// A command may be repeated, but not to make something else.
    pub(crate) fn check_repeated(&self, document: &documents::Connection) -> Result<(), Error> {
        let other = |flag: &str| Err(Error::new(Code::Usage, format!("{flag}: the state file holds something else")));
        if document.role == Role::Joiner || (self.address && document.role != Role::Address) {
            return other("--state");
        }
        let data = self.data.clone().map(|text| documents::Content::from(text.into_bytes()));
        if data.is_some() && data != document.link_data {
            return other("--data");
        }
        self.receive_at.check_repeated(document)
    }

    /// What a new connection may use.
    pub(crate) fn settings(&self) -> Settings {
        let wanted = if self.pq == Some(InvitePostQuantum::Off) { PostQuantum::Off } else { PostQuantum::On };
        wanted.settings()
    }

    /// Refuses what no link can be.
    pub(crate) fn check_new(&self) -> Result<(), Error> {
        match self.address && self.proposes() {
            true => Err(Error::new(Code::Usage, "--pq link: the link of a contact address proposes no keys")),
            false => Ok(()),
        }
    }

    /// Whether the full link is to propose encapsulation.
    pub(crate) fn proposes(&self) -> bool {
        self.pq == Some(InvitePostQuantum::Link)
    }

    /// What the short link tells; `None` where there is to be none.
    pub(crate) fn payload(&self, ctx: &mut Context) -> Result<Option<Payload>, Error> {
        if self.no_short_link || self.receive_at.recipient_secures {
            return Ok(None);
        }
        let bytes = match (&self.data, &self.data_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(path)) => ctx.file(path, "the data of the link")?.to_vec(),
            (None, None) => Vec::new(),
        };
        let length = bytes.len();
        let too_long = || Error::new(Code::FieldInvalid, format!("--data: no link holds {length} bytes"));
        Payload::new(bytes).ok_or_else(too_long).map(Some)
    }
}
