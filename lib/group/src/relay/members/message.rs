//! A message on its way to the group, kept once for all.

use agent::time::Time;
use serde::{Deserialize, Serialize};

use super::hall::Lane;
use super::member::Member;
use super::rows::MalformedRow;
use crate::bytes::{unpadded, unpadded_option};
use crate::identity::MemberId;
use crate::json;
use crate::message_id::MessageId;
use crate::relay::record::moment;

/// A message on its way to the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// To whom it goes.
    pub lane: Lane,
    /// Its place there.
    pub seq: u64,
    /// The element that everybody gets; what an author signed stands in it as it came.
    #[serde(with = "unpadded")]
    pub element: Vec<u8>,
    /// Who said it.
    #[serde(with = "unpadded")]
    pub author: MemberId,
    /// Its name, if it has one.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// The member that it is not sent to, because it said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<u64>,
    /// A member that it is not sent to, because it is about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<u64>,
    /// Whose chat with moderators it belongs to.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    pub scope: Option<MemberId>,
    /// Who knows the sender already; nobody needs to if there is nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// What it is for those who join later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Whether the author's signature was right.
    #[serde(default)]
    pub verified: bool,
    /// Whether it was said as the group.
    #[serde(default)]
    pub as_group: bool,
    /// When it came.
    #[serde(with = "moment")]
    pub at: Time,
}

/// Who has been told about the sender of a message before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// Those who were there when this was said to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<u64>,
    /// Those who moderated when this was said to moderators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    support: Option<u64>,
    /// Those who came later by the group's clock, because the sender was introduced to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    introduced: Option<u64>,
}

impl Told {
    pub(super) fn about(sender: &Member) -> Self {
        Told { group: sender.last_spoke, support: sender.last_asked, introduced: sender.introduced_since }
    }

    fn includes(&self, receiver: &Member) -> bool {
        let in_group = self.group.is_some_and(|spoke| spoke >= receiver.start);
        let in_support = receiver.moderates() && self.support.is_some_and(|asked| asked >= receiver.role_since);
        let introduced = self.introduced.is_some_and(|since| since < receiver.arrived);
        in_group || in_support || introduced
    }
}

/// What a message is for those who join later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The post that it is or belongs to.
    pub item: u64,
    /// When it disappears, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

impl StoredMessage {
    /// Whether it goes to a member.
    pub(super) fn concerns(&self, receiver: &Member) -> bool {
        let excluded = [self.sender, self.about].contains(&Some(receiver.number));
        let audience = match self.lane {
            Lane::Group => true,
            Lane::Support => receiver.moderates() || self.scope.as_ref() == Some(&receiver.id),
        };
        audience && !excluded
    }

    /// The member that has come, if the relay tells moderators and owners so.
    pub(super) fn announces(&self) -> Option<u64> {
        self.about.filter(|_| self.lane == Lane::Support && self.sender.is_none() && self.id.is_none())
    }

    /// Whether a member is to be told first who the sender is.
    pub(super) fn introduces_to(&self, receiver: &Member) -> Option<u64> {
        let told = self.told.as_ref()?;
        self.sender.filter(|_| !told.includes(receiver))
    }

    /// Whether it is a post that those who join later may see.
    pub fn is_item(&self) -> bool {
        self.lane == Lane::Group && self.history.is_some_and(|history| history.item == self.seq)
    }

    /// As it is kept.
    pub fn to_record(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    /// From what is kept.
    pub fn from_record(bytes: &[u8]) -> Result<Self, MalformedRow> {
        serde_json::from_slice(bytes).map_err(|_| MalformedRow("message"))
    }
}
