//! What `grp-send` is told to say: a line on stdin, or arguments.
//!
//! Whoever is not sure that something was said says it again, and gives it the same name.

use cli::{Blob, Code, Document, Error};
use crypto::Random;
use group::content::{Content, Mentions, Reaction, TextContent};
use group::identity::MemberId;
use group::membership::{FileReference, Saying, Speech, Voice};
use group::message_id::MessageId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::taking_part::lines::blob_of_message;

/// Something to say in a group: a text, an edit, a deletion or a reaction
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Say {
    /// The name of the message: 12 random bytes are usual. What was said under its name is not said again; without one it
    /// gets a fresh name
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Blob>,
    /// The text of a post, or the new text of an edit
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The message that a post answers
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Blob>,
    /// The message that gets another text
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Blob>,
    /// The message that goes
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Blob>,
    /// The message that is reacted to
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub react_to: Option<Blob>,
    /// The reaction
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// Take the reaction back
    #[serde(default, skip_serializing_if = "is_false")]
    pub remove: bool,
    /// A file that was stored somewhere
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// After how many seconds a post disappears
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// Say it as the group, which only owners may
    #[serde(default, skip_serializing_if = "is_false")]
    pub as_group: bool,
    /// Sign it
    #[serde(default, skip_serializing_if = "is_false")]
    pub sign: bool,
    /// In this member's chat with the moderators
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<Blob>,
}

/// A file that was stored somewhere, and how to get it
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct File {
    /// Its name
    pub name: String,
    /// Its length in bytes
    pub size: i64,
    /// Its hash
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Blob>,
    /// Where it is and how it is decrypted, in the words of whatever stored it
    pub description: String,
}

impl Document for Say {
    const TYPE: &'static str = "say";
    const V: u32 = 1;
}

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Deserialize)]
struct Enveloped {
    #[serde(rename = "type")]
    kind: String,
    v: u32,
    #[serde(flatten)]
    say: Say,
}

impl Say {
    /// The same with a name.
    pub fn named(self, random: &mut dyn Random) -> Self {
        let message_id = self.message_id.or_else(|| Some(blob_of_message(&MessageId::random(random))));
        Say { message_id, ..self }
    }

    /// Reads a line.
    pub fn parse(line: &[u8]) -> Result<Self, Error> {
        let malformed = |error: serde_json::Error| Error::new(Code::FieldInvalid, error);
        let Enveloped { kind, v, say } = serde_json::from_slice(line).map_err(malformed)?;
        match (kind.as_str(), v) {
            (Say::TYPE, Say::V) => Ok(say),
            (Say::TYPE, v) => Err(Error::new(Code::VersionUnexpected, format!("version {v} of `say`"))),
            (other, _) => Err(Error::new(Code::TypeUnexpected, format!("expected `say`, got `{other}`"))),
        }
    }

    /// What it means. With `force` an owner speaks as the group even if there is no other.
    pub fn speech(&self, force: bool) -> Result<Speech, Error> {
        let voice = match (self.as_group, force) {
            (false, _) => Voice::Oneself,
            (true, false) => Voice::Group,
            (true, true) => Voice::GroupAlone,
        };
        let scope = self.support.as_ref().map(|id| member("support", id)).transpose()?;
        let id = self.message_id.as_ref().map(|id| message("message_id", id)).transpose()?;
        Ok(Speech { id, what: self.saying()?, voice, signed: self.sign, scope })
    }

    fn saying(&self) -> Result<Saying, Error> {
        let mentions = Mentions::default();
        match (&self.text, &self.edit, &self.delete, &self.react_to) {
            (text, None, None, None) if text.is_some() || self.file.is_some() => {
                let text = text.clone().unwrap_or_default();
                let content = match self.file {
                    Some(_) => Content::File(TextContent { text }),
                    None => Content::text(&text),
                };
                let reply_to = self.reply_to.as_ref().map(|id| message("reply_to", id)).transpose()?;
                let file = self.file.as_ref().map(File::reference);
                Ok(Saying::Post { content, mentions, reply_to, file, ttl: self.ttl })
            }
            (Some(text), Some(edited), None, None) => {
                Ok(Saying::Edit { message: message("edit", edited)?, content: Content::text(text), mentions })
            }
            (None, None, Some(deleted), None) => Ok(Saying::Delete { message: message("delete", deleted)? }),
            (None, None, None, Some(subject)) => {
                let emoji = self.emoji.clone().ok_or_else(|| Error::new(Code::FieldInvalid, "emoji: missing"))?;
                let (message, reaction) = (message("react_to", subject)?, Reaction::Emoji(emoji));
                Ok(Saying::React { message, reaction, add: !self.remove })
            }
            _ => Err(Error::new(Code::FieldInvalid, "not one of: a text, an edit with a text, a deletion, a reaction")),
        }
    }
}

impl File {
    fn reference(&self) -> FileReference {
        FileReference {
            name: self.name.clone(),
            size: self.size,
            digest: self.digest.as_ref().map(|digest| digest.0.clone()),
            description: self.description.clone(),
        }
    }
}

fn message(field: &str, id: &Blob) -> Result<MessageId, Error> {
    MessageId::from_bytes(&id.0)
        .ok_or_else(|| Error::new(Code::FieldInvalid, format!("{field}: not the ID of a message")))
}

fn member(field: &str, id: &Blob) -> Result<MemberId, Error> {
    MemberId::from_bytes(&id.0)
        .ok_or_else(|| Error::new(Code::FieldInvalid, format!("{field}: not the ID of a member")))
}
