//! The member-status document: what a member knows of a group and of how well its relays deliver, without anything that
//! is secret or only for programs; and the same for people.

use agent::short_link::ContactShortLink;
use codec::table::aligned;
use codec::time::UtcTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smp::address::ServerAddress;

use crate::binding::GroupBinding;
use crate::bytes::{Base64Url, text_form, unpadded, unpadded_option};
use crate::identity::{GroupId, MemberId};
use crate::member::Role;
use crate::membership::{EndReason, GoneReason, Health, Membership, RelayRecord, Status};
use crate::roster::RosterVersion;
use crate::text::shown;

/// What is not known.
const UNKNOWN: &str = "-";

const HEAD: [&str; 11] =
    ["RELAY", "STATUS", "DELIVERED", "FIRST", "MISSING", "LATE", "DIFFERING", "ALTERED", "REFUSED", "ID", "NOTE"];

/// What a member knows of a group
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MemberStatusDocument {
    /// The group link
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// The group's name
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub group_id: GroupId,
    /// `channel` or `group`
    pub group_type: String,
    /// Short name
    pub display_name: String,
    /// Members and owners, not relays, if the link says how many
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_count: Option<u64>,
    /// How many may sign for the group
    pub owners: usize,
    /// The version of the roster
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    pub roster_version: Option<RosterVersion>,
    /// When the group link is read again, in Unix seconds
    pub link_read_at: i64,
    /// The member's name in the group
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub member_id: MemberId,
    /// What relays and members call the member
    pub known_as: String,
    /// What the member may do
    #[schemars(with = "String")]
    pub role: Role,
    /// Where queues for messages from relays are
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub receives_at: ServerAddress,
    /// Whether messages come and go through some relay
    pub usable: bool,
    /// Why the membership is over, if it is
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndReason>,
    /// Messages that some relays have not delivered yet
    pub awaited: usize,
    /// Every relay that the group link lists, or listed
    pub relays: Vec<MemberRelayStatusDocument>,
}

/// How a relay stands with a member, and how well it delivers
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MemberRelayStatusDocument {
    /// The relay's name in the group, once its relay link passed every check
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub relay_id: Option<MemberId>,
    /// What it calls itself
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// How far it is
    pub status: Status,
    /// Why it is gone
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<GoneReason>,
    /// The reason in words
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone_text: Option<String>,
    /// What stands in the way
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The relay link, as the group link lists it
    #[serde(with = "text_form")]
    #[schemars(with = "String")]
    pub link: ContactShortLink,
    /// How firmly the relay link belongs to the group
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_by: Option<GroupBinding>,
    /// Versions of the chat protocol that it speaks
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<String>,
    /// Whether content goes through a connection of its own
    pub separate_content: bool,
    /// How many messages wait for it
    pub to_send: usize,
    /// Messages that it is waited for with
    pub awaited: usize,
    /// What it delivered, did not deliver, and altered
    pub health: Health,
}

impl From<&Membership> for MemberStatusDocument {
    fn from(member: &Membership) -> Self {
        let group = member.group();
        MemberStatusDocument {
            link: group.link.clone(),
            group_id: group.group_id,
            group_type: group.group_type.name().to_owned(),
            display_name: group.profile.display_name.clone(),
            member_count: group.member_count,
            owners: group.owners.len(),
            roster_version: member.roster().version(),
            link_read_at: i64::try_from(member.link_due().millis() / 1000).unwrap_or(i64::MAX),
            member_id: member.id().clone(),
            known_as: member.persona().profile().display_name.clone(),
            role: member.role(),
            receives_at: member.persona().server().address.clone(),
            usable: member.is_usable(),
            ended: member.ended(),
            awaited: member.awaited(None),
            relays: member.relays().iter().map(|record| of_relay(member, record)).collect(),
        }
    }
}

fn of_relay(member: &Membership, record: &RelayRecord) -> MemberRelayStatusDocument {
    MemberRelayStatusDocument {
        relay_id: record.id().cloned(),
        display_name: record.profile().map(|profile| profile.display_name.clone()),
        status: record.status(),
        gone: record.why_gone().cloned(),
        gone_text: record.why_gone().map(GoneReason::to_string),
        problem: record.problem().map(str::to_owned),
        link: record.link().clone(),
        bound_by: record.binding(),
        versions: record.versions().map(|versions| versions.to_string()),
        separate_content: record.has_content_line(),
        to_send: record.unsent(),
        awaited: record.id().map_or(0, |id| member.awaited(Some(id))),
        health: record.id().and_then(|id| member.health(id)).cloned().unwrap_or_default(),
    }
}

impl MemberStatusDocument {
    /// Lines for people. Nothing in them is obeyed by a terminal, whoever wrote it.
    pub fn table(&self) -> String {
        let mut lines = self.lines();
        if !self.relays.is_empty() {
            lines.push(String::new());
            let head = std::iter::once(HEAD.map(str::to_owned));
            lines.extend(aligned(&head.chain(self.relays.iter().map(row)).collect::<Vec<_>>()));
        }
        lines.join("\n")
    }

    fn lines(&self) -> Vec<String> {
        let status = match (&self.ended, self.usable) {
            (Some(why), _) => format!("over: {why}"),
            (None, true) => "messages come and go".to_owned(),
            (None, false) => "no relay is connected".to_owned(),
        };
        let members = self.member_count.map_or_else(|| UNKNOWN.to_owned(), |count| count.to_string());
        let next = UtcTime::from_seconds(self.link_read_at);
        vec![
            format!("{} ({})", shown(&self.display_name), shown(&self.group_type)),
            format!("link      {}; read again at {next}", self.link),
            format!("status    {status}"),
            format!("contents  members: {members}, owners: {}, relays: {}", self.owners, self.relays.len()),
            format!(
                "member    {}, known as {}; receives at {}",
                shown(self.role.name()),
                shown(&self.known_as),
                self.receives_at
            ),
        ]
    }
}

fn row(relay: &MemberRelayStatusDocument) -> [String; 11] {
    let name = relay.display_name.clone().unwrap_or_else(|| relay.link.server.first_host().to_string());
    let waits = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let waiting = [waits(relay.to_send, "to be sent"), waits(relay.awaited, "awaited")];
    let notes: Vec<String> =
        [&relay.gone_text, &relay.problem].into_iter().chain(&waiting).flatten().cloned().collect();
    let Health { delivered, first, missing, late, differing, altered, refused, malformed, .. } = &relay.health;
    [
        shown(&name),
        relay.status.to_string(),
        delivered.to_string(),
        first.to_string(),
        missing.to_string(),
        late.to_string(),
        differing.to_string(),
        altered.to_string(),
        refused.saturating_add(*malformed).to_string(),
        relay.relay_id.as_ref().map_or_else(|| UNKNOWN.to_owned(), ToString::to_string),
        shown(&notes.join("; ")),
    ]
}
