//! The command line of `grp-link-create`.

use std::path::PathBuf;

use cli::{Code, Context, Error, Source, Timeout};
use group::profile::GroupType;
use group::transcript::{Setting, Strength};
use grp::profile::ProfileArgs;
use smp::address::ServerWithPassword;

/// Arguments of `grp-link-create`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) source: Source,

    /// Put the link on this server, given without a password (required for a new link)
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) server: Option<String>,

    /// Create the link with the password in FILE
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) password_file: Option<PathBuf>,

    /// What the link leads to [default: channel]
    #[arg(long = "type", value_name = "TYPE", value_enum, requires = "server")]
    pub(crate) kind: Option<Kind>,

    #[command(flatten)]
    pub(crate) profile: ProfileArgs,

    /// What the link says of how much was said: how many posts there are, or also digests of what they say [default: count]
    #[arg(long, value_name = "STRENGTH", value_enum)]
    pub(crate) transcript: Option<Transcript>,

    /// Say that the group has N members and owners
    #[arg(long, value_name = "N", requires = "update")]
    pub(crate) member_count: Option<u64>,

    /// Prepare the link and send nothing; the same document, piped in again, creates exactly this link
    #[arg(long, conflicts_with = "update")]
    pub(crate) offline: bool,

    /// Change what a created link says; what is not given stays, what is given empty is removed
    #[arg(long)]
    pub(crate) update: bool,

    #[command(flatten)]
    pub(crate) timeout: Timeout,
}

/// What a link leads to.
#[derive(clap::ValueEnum, Clone, Copy)]
pub(crate) enum Kind {
    /// Members only read by default
    Channel,
    /// Members write
    Group,
}

/// What a link says of how much was said.
#[derive(clap::ValueEnum, Clone, Copy)]
pub(crate) enum Transcript {
    /// How many posts there are, and their IDs: what they say can still be denied
    Count,
    /// Also digests of what they say: members see what was altered
    Digest,
    /// Nothing
    Off,
}

impl From<Transcript> for Setting {
    fn from(transcript: Transcript) -> Self {
        match transcript {
            Transcript::Count => Setting::On(Strength::Count),
            Transcript::Digest => Setting::On(Strength::Digest),
            Transcript::Off => Setting::Off,
        }
    }
}

impl Args {
    pub(crate) fn group_type(&self) -> GroupType {
        match self.kind {
            None | Some(Kind::Channel) => GroupType::Channel,
            Some(Kind::Group) => GroupType::Group,
        }
    }

    /// The server of a new link.
    pub(crate) fn server(&self, ctx: &mut Context) -> Result<ServerWithPassword, Error> {
        let missing = || Error::new(Code::Usage, "--server: needed for a new link").hint("no server is built in");
        let address = grp::server_address("--server", self.server.as_deref().ok_or_else(missing)?)?;
        let password = self.password_file.as_deref().map(|path| grp::password_from_file(path, ctx)).transpose()?;
        Ok(ServerWithPassword { address, password })
    }

    /// Refuses what only a new link can have.
    pub(crate) fn refuse_new(&self, reason: &str) -> Result<(), Error> {
        let changes = self.profile.is_given() || self.transcript.is_some();
        if self.server.is_some() || (changes && !self.update) {
            return Err(Error::new(Code::Usage, format!("--server and the profile cannot be given: {reason}"))
                .hint("--update changes the profile of a link that was created"));
        }
        Ok(())
    }
}
