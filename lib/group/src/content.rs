//! What members say: texts, pictures, files, quotes, reactions.
//!
//! Kinds of content that we do not know are kept whole, so that they can be shown as text and passed on.

use std::collections::BTreeMap;

use codec::time::UtcTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bytes::{padded, padded_option, text_form};
use crate::card::{CardSignature, ChatLink};
use crate::identity::MemberId;
use crate::message_id::MessageId;
use crate::wire_name::wire_names;

/// The reactions that programs offer; others are passed on.
pub const OFFERED_REACTIONS: [&str; 8] = ["👍", "👎", "😀", "😂", "😢", "❤", "🚀", "✅"];
/// How many reactions one member may have on one message.
pub const MAX_REACTIONS: usize = 3;
/// How many characters of a file description stand in one message.
pub const MAX_DESCRIPTION_PART: usize = 14_000;

/// What `x.msg.new` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMessage {
    /// The message itself.
    pub content: Content,
    /// Members named in the text.
    #[serde(default, skip_serializing_if = "Mentions::is_empty")]
    pub mentions: Mentions,
    /// A file that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileInvitation>,
    /// After how many seconds it disappears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// Whether its author is still typing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// In whose chat with the moderators it is said; absent for the whole group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Whether it is said as the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_group: Option<bool>,
    /// What it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// What it comments on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<MessageRef>,
    /// Whether it was first said elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<bool>,
}

impl NewMessage {
    /// A message with content and nothing else.
    pub fn of(content: Content) -> Self {
        NewMessage {
            content,
            mentions: Mentions::default(),
            file: None,
            ttl: None,
            live: None,
            scope: None,
            as_group: None,
            quote: None,
            parent: None,
            forward: None,
        }
    }
}

/// What `x.msg.update` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageUpdate {
    /// Which message.
    #[serde(rename = "msgId", with = "padded")]
    pub message_id: MessageId,
    /// What it says from now on.
    pub content: Content,
    /// Members named in the text.
    #[serde(default, skip_serializing_if = "Mentions::is_empty")]
    pub mentions: Mentions,
    /// After how many seconds it disappears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// Whether its author is still typing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// In whose chat with the moderators it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Whether it is said as the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_group: Option<bool>,
}

/// What `x.msg.del` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageDeletion {
    /// Which message.
    #[serde(rename = "msgId", with = "padded")]
    pub message_id: MessageId,
    /// Whose message, when a moderator deletes it.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// In whose chat with the moderators it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Whether only the relay forgets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_history: Option<bool>,
}

/// What `x.msg.react` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageReaction {
    /// To which message.
    #[serde(rename = "msgId", with = "padded")]
    pub message_id: MessageId,
    /// Whose message; absent for one of the group.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// In whose chat with the moderators it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// How.
    pub reaction: Reaction,
    /// Whether it is added or taken back.
    pub add: bool,
}

/// What `x.msg.file.descr` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileDescriptionPart {
    /// The message that the file belongs to.
    #[serde(rename = "msgId", with = "padded")]
    pub message_id: MessageId,
    /// Where the file is.
    pub file_descr: FileDescription,
}

/// The message itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "KnownOrOther")]
pub enum Content {
    /// A text.
    Text(TextContent),
    /// A text with a link.
    Link(LinkContent),
    /// A picture.
    Image(ImageContent),
    /// A moving picture.
    Video(VideoContent),
    /// A voice message.
    Voice(VoiceContent),
    /// A file.
    File(TextContent),
    /// A complaint for the moderators.
    Report(ReportContent),
    /// A link to a group or a contact, with what is said there.
    Chat(Box<ChatContent>),
    /// Something that a later version knows.
    Other(Map<String, Value>),
}

impl Content {
    /// Plain text.
    pub fn text(text: &str) -> Self {
        Content::Text(TextContent { text: text.to_owned() })
    }

    /// The text, if there is one; all that can be shown of content that we do not know.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Content::Text(content) | Content::File(content) => Some(&content.text),
            Content::Link(content) => Some(&content.text),
            Content::Image(content) => Some(&content.text),
            Content::Video(content) => Some(&content.text),
            Content::Voice(content) => Some(&content.text),
            Content::Report(content) => Some(&content.text),
            Content::Chat(content) => Some(&content.text),
            Content::Other(fields) => fields.get("text").and_then(Value::as_str),
        }
    }
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextContent {
    /// The text.
    pub text: String,
}

/// A text with a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkContent {
    /// The text.
    pub text: String,
    /// What is found at the link.
    pub preview: LinkPreview,
}

/// What is found at a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkPreview {
    /// The link.
    pub uri: String,
    /// Title of the page.
    pub title: String,
    /// What the page says about itself.
    pub description: String,
    /// Picture as a `data:` URI.
    pub image: String,
    /// What kind of page it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageContent {
    /// Text below it.
    pub text: String,
    /// Small form as a `data:` URI.
    pub image: String,
}

/// A moving picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoContent {
    /// Text below it.
    pub text: String,
    /// Small form as a `data:` URI.
    pub image: String,
    /// Seconds.
    pub duration: i64,
}

/// A voice message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoiceContent {
    /// Text below it.
    pub text: String,
    /// Seconds.
    pub duration: i64,
}

/// A complaint for the moderators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportContent {
    /// What is wrong.
    pub text: String,
    /// What kind of wrong.
    pub reason: String,
}

/// A link to a group or a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatContent {
    /// The text.
    pub text: String,
    /// The card.
    pub chat_link: ChatLink,
    /// An owner's word that the group itself shared it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_sig: Option<CardSignature>,
}

/// The kinds that we know, as they stand in JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Known {
    Text(TextContent),
    Link(LinkContent),
    Image(ImageContent),
    Video(VideoContent),
    Voice(VoiceContent),
    File(TextContent),
    Report(ReportContent),
    Chat(Box<ChatContent>),
}

const KNOWN: [&str; 8] = ["text", "link", "image", "video", "voice", "file", "report", "chat"];

#[derive(Serialize)]
#[serde(untagged)]
enum KnownOrOther {
    Known(Known),
    Other(Map<String, Value>),
}

impl TryFrom<Map<String, Value>> for Content {
    type Error = &'static str;

    fn try_from(fields: Map<String, Value>) -> Result<Self, Self::Error> {
        let kind = fields.get("type").and_then(Value::as_str).ok_or("content without a type")?;
        if !KNOWN.contains(&kind) {
            return Ok(Content::Other(fields));
        }
        let known = serde_json::from_value(Value::Object(fields)).map_err(|_| "content lacks what its type needs")?;
        Ok(match known {
            Known::Text(content) => Content::Text(content),
            Known::Link(content) => Content::Link(content),
            Known::Image(content) => Content::Image(content),
            Known::Video(content) => Content::Video(content),
            Known::Voice(content) => Content::Voice(content),
            Known::File(content) => Content::File(content),
            Known::Report(content) => Content::Report(content),
            Known::Chat(content) => Content::Chat(content),
        })
    }
}

impl From<Content> for KnownOrOther {
    fn from(content: Content) -> Self {
        KnownOrOther::Known(match content {
            Content::Text(content) => Known::Text(content),
            Content::Link(content) => Known::Link(content),
            Content::Image(content) => Known::Image(content),
            Content::Video(content) => Known::Video(content),
            Content::Voice(content) => Known::Voice(content),
            Content::File(content) => Known::File(content),
            Content::Report(content) => Known::Report(content),
            Content::Chat(content) => Known::Chat(content),
            Content::Other(fields) => return KnownOrOther::Other(fields),
        })
    }
}

/// Names in a text, and whom they mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Option<BTreeMap<String, Mention>>")]
pub struct Mentions(pub BTreeMap<String, Mention>);

impl Mentions {
    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Option<BTreeMap<String, Mention>>> for Mentions {
    fn from(mentions: Option<BTreeMap<String, Mention>>) -> Self {
        Mentions(mentions.unwrap_or_default())
    }
}

/// Whom a name in a text means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mention {
    /// The member.
    #[serde(with = "padded")]
    pub member_id: MemberId,
}

/// Who is meant to read a message besides its author. A scope that we do not know makes the message unreadable, so that
/// it is not shown to more people than it was meant for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Scope {
    /// A member, and the moderators and those above.
    Member(Mention),
}

/// What a message answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    /// Which message.
    #[serde(rename = "msgRef")]
    pub message: MessageRef,
    /// What of it.
    pub content: Content,
}

/// A message that another one refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageRef {
    /// Which message.
    #[serde(rename = "msgId", default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// When it was said.
    #[serde(with = "text_form")]
    pub sent_at: UtcTime,
    /// Whether whoever refers to it sent it.
    pub sent: bool,
    /// Who said it; absent for the group.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
}

/// A file, and how to get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInvitation {
    /// Its name.
    pub file_name: String,
    /// Its length.
    pub file_size: i64,
    /// Its hash.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub file_digest: Option<Vec<u8>>,
    /// Where to ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_conn_req: Option<String>,
    /// Whether it comes in this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_inline: Option<FileInline>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_descr: Option<FileDescription>,
}

wire_names! {
    /// How a file comes in the connection of its message.
    pub enum FileInline {
        /// When it is accepted.
        Offer = "offer",
        /// At once.
        Sent = "sent",
    }
}

/// Where a file is, in parts of at most 14,000 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileDescription {
    /// This part.
    pub file_descr_text: String,
    /// Its number.
    pub file_descr_part_no: i64,
    /// Whether it is the last.
    pub file_descr_complete: bool,
}

/// A reaction to a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Map<String, Value>", into = "Map<String, Value>")]
pub enum Reaction {
    /// One character.
    Emoji(String),
    /// Something that a later version knows.
    Other(Map<String, Value>),
}

impl From<Map<String, Value>> for Reaction {
    fn from(fields: Map<String, Value>) -> Self {
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        match (text("type"), text("emoji")) {
            (Some("emoji"), Some(emoji)) => Reaction::Emoji(emoji.to_owned()),
            _ => Reaction::Other(fields),
        }
    }
}

impl From<Reaction> for Map<String, Value> {
    fn from(reaction: Reaction) -> Self {
        match reaction {
            Reaction::Emoji(emoji) => [("type", "emoji"), ("emoji", &emoji)]
                .map(|(key, value)| (key.to_owned(), Value::from(value)))
                .into_iter()
                .collect(),
            Reaction::Other(fields) => fields,
        }
    }
}
