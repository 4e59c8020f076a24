//! One member, as far as the relay has to know it to deliver. What it says about itself is a row of its own.

use std::time::Duration;

use agent::time::Time;
use serde::{Deserialize, Serialize};

use super::behind::Behind;
use super::inputs::REMEMBERED;
use super::introduction::Stage;
use super::rows::MalformedRow;
use crate::bytes::{unpadded, unpadded_option};
use crate::identity::{MemberId, MemberPublicKey};
use crate::json;
use crate::member::Role;
use crate::relay::name::{ConnectionName, ServiceId};
use crate::relay::record::{moment, moment_option};
use crate::roster::RosterVersion;

/// How long a member that cannot take anything is left alone at first, and at most.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(10 * 60);

/// A member of a served group, or an owner, to whom is forwarded as to every member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number in the group: members are served in this order.
    pub number: u64,
    /// Its name in the group.
    #[serde(with = "unpadded")]
    pub id: MemberId,
    /// The key that it joined with; that of an owner stands in the group link.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    pub key: Option<MemberPublicKey>,
    /// What it may do, as owners and moderators decided.
    pub role: Role,
    /// The message to moderators from which on it has that role.
    pub role_since: u64,
    /// How it stands with the group.
    pub state: MemberState,
    /// Since when.
    #[serde(with = "moment")]
    pub since: Time,
    /// What its program speaks at most.
    pub max_version: u16,
    /// Whether it is told what others signed when they joined.
    #[serde(default)]
    pub takes_joins: bool,
    /// Whether moderators keep what it says from others.
    #[serde(default)]
    pub blocked: bool,
    /// The connection for requests, and for everything while there is no other.
    pub link: Link,
    /// The connection for content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Link>,
    /// While the connection for content is about to take over and nothing is forwarded: until when it may take.
    #[serde(default, with = "moment_option", skip_serializing_if = "Option::is_none")]
    pub pair_until: Option<Time>,
    /// Connections that were replaced and are to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discarded: Vec<u16>,
    /// The number of the last connection that was made for it.
    pub attempts: u16,
    /// The first message to everybody since it is there.
    pub start: u64,
    /// How far its introduction is, while there is something to introduce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// What it misses, if jobs pass it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Behind>,
    /// The roster that it was sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roster_served: Option<RosterVersion>,
    /// Its last message to everybody since its profile is as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_spoke: Option<u64>,
    /// Its last message to moderators since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_asked: Option<u64>,
    /// By the group's clock: since when it is there.
    #[serde(default)]
    pub arrived: u64,
    /// By the group's clock: those who come later are introduced to it, as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced_since: Option<u64>,
    /// How much it said since a job ended.
    #[serde(default)]
    pub burst: Burst,
    /// When there is something to do that concerns only this member.
    #[serde(default, with = "moment_option", skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// How often in a row it could take nothing.
    #[serde(default)]
    pub refusals: u32,
}

/// How a member stands with the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum MemberState {
    /// It is let in, and not connected yet.
    Admitted,
    /// It is there.
    Connected,
    /// Its connections are to be deleted, after it was told.
    Parting {
        /// The message that it is told last.
        word: Option<u64>,
        /// Whether it may not come back.
        banned: bool,
    },
    /// It is remembered for a while.
    Gone {
        /// Whether it may not come back.
        banned: bool,
    },
}

/// One connection of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number among the connections of the member; an owner's connection has the relay's number of it.
    pub attempt: u64,
    /// The request that made it.
    pub request: u64,
    /// How far it is.
    pub state: LinkState,
    /// The message that came through it last: it may be told twice.
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    pub last: Option<Vec<u8>>,
}

/// How far a connection of a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// The request waits for an answer.
    Asked,
    /// The answer is on its way.
    Answered,
    /// Both sides can send.
    Connected,
}

/// How much a member said while one job was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Burst {
    done: u64,
    count: u32,
}

impl Burst {
    /// How many messages came while the lanes are delivered up to `done`.
    pub(super) fn count(self, done: u64) -> u32 {
        if self.done == done { self.count } else { 0 }
    }

    /// Counts one more.
    pub(super) fn add(&mut self, done: u64) {
        *self = Burst { done, count: self.count(done).saturating_add(1) };
    }
}

impl Link {
    pub(super) fn new(attempt: u64, request: u64) -> Self {
        Link { attempt, request, state: LinkState::Asked, last: None }
    }

    /// Whether both sides can send.
    pub fn is_connected(&self) -> bool {
        self.state == LinkState::Connected
    }
}

impl Member {
    /// Somebody who is let in with its first connection.
    pub(super) fn admitted(number: u64, id: MemberId, role: Role, request: u64, now: Time) -> Self {
        Member {
            number,
            id,
            key: None,
            role,
            role_since: 0,
            state: MemberState::Admitted,
            since: now,
            max_version: 0,
            takes_joins: false,
            blocked: false,
            link: Link::new(1, request),
            content: None,
            pair_until: None,
            discarded: Vec::new(),
            attempts: 1,
            start: 0,
            arrived: 0,
            stage: None,
            behind: None,
            roster_served: None,
            last_spoke: None,
            last_asked: None,
            introduced_since: None,
            burst: Burst::default(),
            due: Some(now),
            refusals: 0,
        }
    }

    /// Whether it is an owner, whose connection for requests is not the members' own.
    pub fn is_owner(&self) -> bool {
        self.role == Role::Owner
    }

    /// Whether it is there.
    pub fn is_connected(&self) -> bool {
        self.state == MemberState::Connected
    }

    /// Whether it is in the group, or about to be.
    pub fn is_current(&self) -> bool {
        matches!(self.state, MemberState::Admitted | MemberState::Connected)
    }

    /// Whether it sees the chats of members with moderators.
    pub fn moderates(&self) -> bool {
        self.role >= Role::Moderator
    }

    /// The agent's name for a connection of this member.
    pub fn connection(&self, service: ServiceId, link: &Link) -> ConnectionName {
        let is_request_of_owner = self.is_owner() && self.content.as_ref() != Some(link);
        match is_request_of_owner {
            true => ConnectionName::Owner(service, link.attempt),
            false => ConnectionName::Member(service, self.number, u16::try_from(link.attempt).unwrap_or(u16::MAX)),
        }
    }

    /// The connection that takes what is forwarded, if it stands.
    pub fn outlet(&self) -> Option<&Link> {
        let content = self.content.as_ref().filter(|content| content.is_connected());
        content.or(Some(&self.link)).filter(|link| link.is_connected())
    }

    pub(super) fn link_mut(&mut self, attempt: u64) -> Option<&mut Link> {
        [Some(&mut self.link), self.content.as_mut()].into_iter().flatten().find(|link| link.attempt == attempt)
    }

    /// A further connection; `None` when there were too many.
    pub(super) fn next_link(&mut self, request: u64) -> Option<Link> {
        self.attempts = self.attempts.checked_add(1)?;
        Some(Link::new(u64::from(self.attempts), request))
    }

    /// The connection for content is the peer's to finish, and the member was not told yet that it takes over.
    pub(super) fn is_to_pair(&self) -> bool {
        let answered = self.content.as_ref().is_some_and(|content| content.state == LinkState::Answered);
        answered && self.pair_until.is_none() && self.stage.is_none() && self.link.is_connected()
    }

    /// Another connection for content, or none.
    pub(super) fn replace_content(&mut self, content: Option<Link>) {
        let replaced = std::mem::replace(&mut self.content, content);
        replaced.iter().for_each(|replaced| self.discard(replaced));
        self.pair_until = None;
    }

    /// A connection is not used any more.
    pub(super) fn discard(&mut self, link: &Link) {
        self.discarded.extend(u16::try_from(link.attempt));
    }

    /// It cannot take anything for now.
    pub(super) fn rest(&mut self, now: Time) {
        let factor = 1_u32.checked_shl(self.refusals).unwrap_or(u32::MAX);
        self.refusals = self.refusals.saturating_add(1);
        self.due = Some(now.after(FIRST_REST.saturating_mul(factor).min(LONGEST_REST)));
    }

    /// When it is its turn again if nothing happens before.
    pub(super) fn next_turn(&self, now: Time) -> Option<Time> {
        let links = [Some(&self.link).filter(|_| !self.is_owner()), self.content.as_ref()];
        let asks = links.into_iter().flatten().any(|link| link.state == LinkState::Asked) || self.is_to_pair();
        let something = self.stage.is_some() || self.behind.is_some() || asks || !self.discarded.is_empty();
        match self.state {
            MemberState::Admitted if asks => Some(now),
            MemberState::Admitted | MemberState::Gone { .. } => Some(self.since.after(REMEMBERED)),
            MemberState::Connected if self.pair_until.is_some() => self.pair_until,
            MemberState::Connected => something.then_some(now),
            MemberState::Parting { .. } => Some(now),
        }
    }

    /// As it is kept.
    pub fn to_record(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    /// From what is kept.
    pub fn from_record(bytes: &[u8]) -> Result<Self, MalformedRow> {
        serde_json::from_slice(bytes).map_err(|_| MalformedRow("member"))
    }
}
