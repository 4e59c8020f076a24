//! Named checks with their results: what a verification found, for people and for scripts.

use std::fmt;

use agent::link_read::LinkCheck;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// The server returned data for the link.
    Retrieved,
    /// The data decrypts with the key in the link.
    Decrypted,
    /// The data has the form of link data.
    WellFormed,
    /// The key in the link is the hash of the fixed data.
    LinkKeyHash,
    /// The root key signed the fixed data.
    FixedSignature,
    /// Every owner was let in by the root key or an earlier owner.
    OwnerChain,
    /// The root key or an owner signed the user data.
    UserSignature,
    /// The data is about the queue and server where it was found.
    Address,
    /// At least one owner is named.
    OwnerListed,
    /// Nobody is invited to send requests to the owner.
    NoDirectRequests,
    /// The fixed data holds a group ID.
    EntityIdPresent,
    /// The fixed data of a relay link holds the relay's member ID.
    MemberIdPresent,
    /// The user data holds a profile.
    ProfileReadable,
    /// The profile says nothing that no profile may say.
    ProfileValid,
    /// The profile is that of a group with relays.
    PublicGroupPresent,
    /// The kind of group is one that this version knows.
    GroupTypeKnown,
    /// Profile and fixed data name the same group.
    GroupIdInProfile,
    /// The profile names the link that led to it.
    LinkInProfile,
    /// The group ID is the hash of the root key.
    GroupIdIsRootHash,
    /// The relay link serves this group.
    GroupBinding,
}

impl CheckName {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            CheckName::Retrieved => "retrieved",
            CheckName::Decrypted => "decrypted",
            CheckName::WellFormed => "well_formed",
            CheckName::LinkKeyHash => LinkCheck::LinkKeyHash.name(),
            CheckName::FixedSignature => LinkCheck::FixedSignature.name(),
            CheckName::OwnerChain => LinkCheck::OwnerChain.name(),
            CheckName::UserSignature => LinkCheck::UserSignature.name(),
            CheckName::Address => LinkCheck::Address.name(),
            CheckName::OwnerListed => "owner_listed",
            CheckName::NoDirectRequests => "no_direct_requests",
            CheckName::EntityIdPresent => "entity_id_present",
            CheckName::MemberIdPresent => "member_id_present",
            CheckName::ProfileReadable => "profile_readable",
            CheckName::ProfileValid => "profile_valid",
            CheckName::PublicGroupPresent => "public_group_present",
            CheckName::GroupTypeKnown => "group_type_known",
            CheckName::GroupIdInProfile => "group_id_in_profile",
            CheckName::LinkInProfile => "link_in_profile",
            CheckName::GroupIdIsRootHash => "group_id_is_root_hash",
            CheckName::GroupBinding => "group_binding",
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<LinkCheck> for CheckName {
    fn from(check: LinkCheck) -> Self {
        match check {
            LinkCheck::LinkKeyHash => CheckName::LinkKeyHash,
            LinkCheck::FixedSignature => CheckName::FixedSignature,
            LinkCheck::OwnerChain => CheckName::OwnerChain,
            LinkCheck::UserSignature => CheckName::UserSignature,
            LinkCheck::Address => CheckName::Address,
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// As it must be.
    Passed,
    /// Worth knowing, but no reason to refuse.
    Warning,
    /// A reason to refuse.
    Failed,
    /// An earlier failure left nothing to check.
    Skipped,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What was checked
    pub name: CheckName,
    /// The relay link it was checked for; absent for the group link
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// How it ended
    pub result: CheckResult,
    /// Why, or what was found
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The checks of one link, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checklist {
    relay: Option<String>,
    checks: Vec<Check>,
}

impl Checklist {
    pub(crate) fn of_group() -> Self {
        Checklist::default()
    }

    pub(crate) fn of_relay(link: String) -> Self {
        Checklist { relay: Some(link), checks: Vec::new() }
    }

    pub(crate) fn pass(&mut self, name: CheckName) {
        self.add(name, CheckResult::Passed, None);
    }

    pub(crate) fn pass_with(&mut self, name: CheckName, found: &str) {
        self.add(name, CheckResult::Passed, Some(found.to_owned()));
    }

    pub(crate) fn warn(&mut self, name: CheckName, reason: &str) {
        self.add(name, CheckResult::Warning, Some(reason.to_owned()));
    }

    pub(crate) fn fail(&mut self, name: CheckName, reason: impl ToString) {
        self.add(name, CheckResult::Failed, Some(reason.to_string()));
    }

    /// Records the outcome and hands on the value.
    pub(crate) fn outcome<T, E: fmt::Display>(&mut self, name: CheckName, outcome: Result<T, E>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.pass(name);
                Some(value)
            }
            Err(reason) => {
                self.fail(name, reason);
                None
            }
        }
    }

    /// Records whether a condition holds.
    pub(crate) fn require(&mut self, name: CheckName, holds: bool, reason: &str) {
        if holds { self.pass(name) } else { self.fail(name, reason) }
    }

    /// The whole list; those of `all` that were not reached are skipped.
    pub(crate) fn complete(mut self, all: &[CheckName]) -> Vec<Check> {
        for name in all {
            if self.checks.iter().all(|check| check.name != *name) {
                self.add(*name, CheckResult::Skipped, None);
            }
        }
        self.checks
    }

    fn add(&mut self, name: CheckName, result: CheckResult, detail: Option<String>) {
        self.checks.push(Check { name, relay: self.relay.clone(), result, detail });
    }
}
