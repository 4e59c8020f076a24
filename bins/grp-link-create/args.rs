//! The command line of `grp-link-create`, and what it makes of a profile.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cli::{Code, Context, Error, OrError as _, Source, Timeout};
use group::profile::{GroupProfile, GroupType, image_uri};
use group::transcript::{Setting, Strength};
use smp::address::ServerWithPassword;

/// No link holds more, even compressed.
const MAX_FILE: u64 = 65_536;

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

/// What a group says about itself.
#[derive(clap::Args)]
#[command(next_help_heading = "Profile")]
pub(crate) struct ProfileArgs {
    /// Short name (required for a new link)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Long name
    #[arg(long, value_name = "NAME")]
    full_name: Option<String>,

    /// One line, up to 160 characters
    #[arg(long, value_name = "TEXT")]
    short_description: Option<String>,

    /// Welcome text
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Picture from a JPEG or PNG FILE; a few kilobytes fit
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Preferences from a JSON object in FILE, as {"history":{"enable":"on"}}
    #[arg(long, value_name = "FILE")]
    preferences: Option<PathBuf>,
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

impl ProfileArgs {
    /// The profile of a new link.
    pub(crate) fn create(&self) -> Result<GroupProfile, Error> {
        let missing = || Error::new(Code::Usage, "--name: needed for a new link");
        self.apply(GroupProfile::named(self.name.as_deref().ok_or_else(missing)?))
    }

    /// Changes what was given.
    pub(crate) fn apply(&self, mut profile: GroupProfile) -> Result<GroupProfile, Error> {
        set(&mut profile.display_name, self.name.as_ref());
        set(&mut profile.full_name, self.full_name.as_ref());
        set_or_remove(&mut profile.short_descr, self.short_description.as_ref());
        set_or_remove(&mut profile.description, self.description.as_ref());
        if let Some(path) = &self.image {
            profile.image = named(path).map(image).transpose()?;
        }
        if let Some(path) = &self.preferences {
            profile.group_preferences = named(path).map(preferences).transpose()?;
        }
        Ok(profile)
    }

    fn is_given(&self) -> bool {
        let texts = [&self.name, &self.full_name, &self.short_description, &self.description];
        texts.iter().any(|text| text.is_some()) || self.image.is_some() || self.preferences.is_some()
    }
}

fn set(field: &mut String, given: Option<&String>) {
    if let Some(given) = given {
        field.clone_from(given);
    }
}

fn set_or_remove(field: &mut Option<String>, given: Option<&String>) {
    if let Some(given) = given {
        *field = Some(given.clone()).filter(|given| !given.is_empty());
    }
}

/// An empty name removes.
fn named(path: &Path) -> Option<&Path> {
    (!path.as_os_str().is_empty()).then_some(path)
}

fn image(path: &Path) -> Result<String, Error> {
    let unknown = || Error::new(Code::FieldInvalid, "neither a JPEG nor a PNG file").at(path.display());
    image_uri(&read(path)?).ok_or_else(unknown)
}

fn preferences(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    serde_json::from_slice(&read(path)?).or_error_at(Code::JsonMalformed, path.display())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let missing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let failed = |error: std::io::Error| {
        let code = if missing(&error) { Code::FileMissing } else { Code::FileFailed };
        Error::new(code, error).at(path.display())
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::new(Code::FieldInvalid, "too large for a link").at(path.display()));
    }
    Ok(bytes)
}
