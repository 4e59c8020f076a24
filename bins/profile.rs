//! Profiles on the command line: what a group, or somebody in it, says about itself.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cli::{Code, Error, OrError as _};
use group::member::{MemberProfile, Role};
use group::profile::{GroupProfile, image_uri};
use serde_json::{Map, Value, json};

/// No link holds more, even compressed.
const MAX_FILE: u64 = 65_536;

/// What a group or somebody in it says about itself.
#[derive(clap::Args)]
#[command(next_help_heading = "Profile")]
pub struct ProfileArgs {
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

impl ProfileArgs {
    /// The profile of a new link.
    pub fn create(&self) -> Result<GroupProfile, Error> {
        let missing = || Error::new(Code::Usage, "--name: needed for a new link");
        self.apply(GroupProfile::named(self.name.as_deref().ok_or_else(missing)?))
    }

    /// Changes what was given.
    pub fn apply(&self, mut profile: GroupProfile) -> Result<GroupProfile, Error> {
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

    /// Changes what was given of what a member or an owner says about itself.
    pub fn apply_to_member(&self, mut profile: MemberProfile) -> Result<MemberProfile, Error> {
        if self.preferences.is_some() {
            return Err(Error::new(Code::Usage, "--preferences: only groups have them"));
        }
        set(&mut profile.display_name, self.name.as_ref());
        set(&mut profile.full_name, self.full_name.as_ref());
        set_or_remove(&mut profile.short_descr, self.short_description.as_ref());
        set_or_remove(&mut profile.description, self.description.as_ref());
        if let Some(path) = &self.image {
            profile.image = named(path).map(image).transpose()?;
        }
        Ok(profile)
    }

    /// Whether anything is to be changed.
    pub fn is_given(&self) -> bool {
        let texts = [&self.name, &self.full_name, &self.short_description, &self.description];
        texts.iter().any(|text| text.is_some()) || self.image.is_some() || self.preferences.is_some()
    }
}

/// Whether a feature is on in a group, and for whom.
#[derive(Debug, Clone)]
pub struct Preference {
    feature: String,
    on: bool,
    role: Option<String>,
}

impl Preference {
    /// Features that can be set by their name.
    const FEATURES: [&str; 6] = ["history", "reactions", "support", "timedMessages", "fullDelete", "signMessages"];

    /// Changes a group's preferences. What other programs put there stays.
    pub fn apply(&self, profile: &mut GroupProfile) {
        let preferences = profile.group_preferences.get_or_insert_with(Map::new);
        let preference = preferences.entry(self.feature.clone()).or_insert_with(|| json!({}));
        if !preference.is_object() {
            *preference = json!({});
        }
        if let Some(preference) = preference.as_object_mut() {
            preference.insert("enable".to_owned(), if self.on { "on" } else { "off" }.into());
            match &self.role {
                Some(role) => preference.insert("role".to_owned(), role.clone().into()),
                None => preference.remove("role"),
            };
        }
    }
}

impl FromStr for Preference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected FEATURE=on, FEATURE=off or FEATURE=on:ROLE".to_owned();
        let (feature, value) = text.split_once('=').ok_or_else(expected)?;
        if !Preference::FEATURES.contains(&feature) {
            return Err(format!("expected one of {}", Preference::FEATURES.join(", ")));
        }
        let (state, role) = value.split_once(':').map_or((value, None), |(state, role)| (state, Some(role)));
        let known = role.is_none_or(|role| !matches!(Role::from(role), Role::Other(_) | Role::Relay));
        let on = match state {
            "on" if known => true,
            "off" if role.is_none() => false,
            _ => return Err(expected()),
        };
        Ok(Preference { feature: feature.to_owned(), on, role: role.map(str::to_owned) })
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

fn preferences(path: &Path) -> Result<Map<String, Value>, Error> {
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
