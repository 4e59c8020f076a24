//! Cards with which a group is shared in a message, and who stands behind them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bytes::{padded, padded_option};
use crate::content::ChatContent;
use crate::identity::MemberId;
use crate::profile::GroupProfile;
use crate::signature::Binding;

/// What is shared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Map<String, Value>", into = "Map<String, Value>")]
pub enum ChatLink {
    /// A group.
    Group(Box<GroupCard>),
    /// Something else: a contact, or what a later version knows.
    Other(Map<String, Value>),
}

/// A group that is shared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupCard {
    /// The group link.
    pub conn_link: String,
    /// What the group says about itself, as far as whoever shares it knows.
    pub group_profile: GroupProfile,
}

/// Where and by whom a card was shared. A copy of it elsewhere proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CardSignature {
    /// Which owner of the shared group.
    #[serde(default, with = "padded_option", skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<MemberId>,
    /// The conversation that it was made for.
    #[serde(with = "padded")]
    pub chat_binding: Vec<u8>,
    /// The signature.
    #[serde(with = "padded")]
    pub owner_sig: [u8; 64],
}

impl ChatContent {
    /// Drops the owner's signature unless it was made for this conversation; the card stays.
    pub fn keep_signature_for(&mut self, conversation: &Binding<'_>) {
        let binding = conversation.to_bytes();
        self.owner_sig = self.owner_sig.take().filter(|signature| signature.chat_binding == binding);
    }
}

const GROUP: &str = "group";

impl From<Map<String, Value>> for ChatLink {
    fn from(fields: Map<String, Value>) -> Self {
        if fields.get("type").and_then(Value::as_str) != Some(GROUP) {
            return ChatLink::Other(fields);
        }
        match serde_json::from_value(Value::Object(fields.clone())) {
            Ok(card) => ChatLink::Group(card),
            Err(_) => ChatLink::Other(fields),
        }
    }
}

impl From<ChatLink> for Map<String, Value> {
    fn from(link: ChatLink) -> Self {
        match link {
            ChatLink::Group(card) => {
                let mut fields = crate::json::object(&card);
                fields.insert("type".to_owned(), Value::from(GROUP));
                fields
            }
            ChatLink::Other(fields) => fields,
        }
    }
}
