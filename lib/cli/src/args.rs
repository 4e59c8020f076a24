//! Argument groups: one that every tool has, and those that a tool opts into with `#[command(flatten)]`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use crate::{Code, Error};

/// What every tool understands.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Print for people: indented JSON, or a table where the tool has one
    #[arg(long)]
    pub(crate) pretty: bool,

    /// Accepted and ignored: output is JSON already
    #[arg(long, hide_short_help = true)]
    pub(crate) json: bool,

    /// Append one JSON line per protocol step to FILE
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) trace: Option<PathBuf>,

    /// Draw all randomness from the 32 bytes in FILE (base64url or hex); makes test documents
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) seed_file: Option<PathBuf>,

    /// Take this as the time of the whole run
    #[arg(long, value_name = "UNIX_SECONDS", hide_short_help = true)]
    pub(crate) now: Option<u64>,

    #[command(flatten)]
    pub(crate) talk: Talk,

    /// Print the JSON Schemas of stdin and stdout
    #[arg(long, hide_short_help = true)]
    pub(crate) schema: bool,

    /// Print the man page
    #[arg(long, hide = true)]
    pub(crate) man: bool,

    /// Print completions for SHELL
    #[arg(long, hide = true, value_name = "SHELL")]
    pub(crate) completions: Option<clap_complete::Shell>,

    /// Print the version; with --verbose the protocol versions too
    #[arg(short = 'V', long)]
    pub(crate) version: bool,
}

/// How stderr speaks.
#[derive(Args, Debug, Default)]
pub(crate) struct Talk {
    /// Print an error as one JSON object, and no warnings
    #[arg(long, hide_short_help = true)]
    pub(crate) json_errors: bool,

    /// Show no warnings and no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Show protocol steps; twice: more
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Color on stderr
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, hide_short_help = true)]
    pub(crate) color: Color,
}

/// When stderr is coloured.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    #[default]
    Auto,
    Always,
    Never,
}

/// For tools that end with a document.
#[derive(Args, Debug, Default)]
pub(crate) struct Out {
    /// Write the document to FILE (new, mode 0600); stdout then carries its public part
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Let --out replace an existing file
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

/// For tools that begin with a document, piped in or in a file.
#[derive(Args, Debug, Clone, Default)]
pub struct Input {
    /// Read the document from FILE; `-` and nothing mean stdin
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// For tools whose document may also be kept in a file that the run replaces.
#[derive(Args, Debug, Clone, Default)]
pub struct Source {
    /// The document piped in or in a file of its own.
    #[command(flatten)]
    pub input: Input,

    /// Keep the document in FILE: read it from there and replace it before anything is sent
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub state: Option<PathBuf>,
}

/// For tools whose document lives in a file that other runs use too, even at the same time.
#[derive(Args, Debug, Clone)]
pub struct Kept {
    /// Keep the document in FILE: read it from there and replace it before anything is sent (required)
    #[arg(long, value_name = "FILE")]
    pub state: PathBuf,
}

/// For tools that talk to others.
#[derive(Args, Debug, Clone, Copy)]
pub struct Timeout {
    /// Give up when the other side has not answered for SECS seconds
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: u32,
}

impl Timeout {
    /// The limit of one exchange.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }

    /// Waits for one exchange with `peer`, but not longer than the limit.
    pub async fn limit<T>(
        self,
        peer: impl std::fmt::Display,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.duration(), exchange).await {
            Ok(result) => result,
            Err(_) => Err(self.error(peer)),
        }
    }

    /// The error of an exchange that took too long.
    pub fn error(self, peer: impl std::fmt::Display) -> Error {
        let message = format!("timed out after {} s", self.timeout);
        Error::new(Code::TimedOut, message).at(peer).hint("try again, or give a longer --timeout")
    }
}
