//! How a relay stands with each group, for its operator.

use agent::short_link::ContactShortLink;
use group::relay::{GroupSelector, Relay, Service, Status};
use serde::Serialize;

/// How a relay stands with a group. Fields are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Standing {
    /// The number of the service: one invitation.
    pub(crate) service: u64,
    /// The group's name, once its link was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group_id: Option<String>,
    /// The link that it was invited with.
    pub(crate) group_link: String,
    /// How far it is.
    pub(crate) status: &'static str,
    /// Why it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Since when, in Unix seconds.
    pub(crate) since_at: u64,
    /// Whether an owner was told that the relay found itself in the link.
    pub(crate) confirmed: bool,
    /// Whether members are admitted.
    pub(crate) accepting: bool,
}

impl Standing {
    pub(crate) fn of(service: &Service, relay: &Relay) -> Self {
        let group = service.group();
        Standing {
            service: service.id().0,
            name: group.map(|group| group.profile.display_name.clone()),
            group_id: group.map(|group| group.group_id.to_string()),
            group_link: service.invitation().group_link.to_string(),
            status: service.status().name(),
            reason: reason(service.status()),
            since_at: service.since().millis() / 1_000,
            confirmed: service.is_confirmed(),
            accepting: service.is_accepting(relay.settings()),
        }
    }

    /// Whether an order about this group is about this service.
    pub(crate) fn is_of(&self, selector: &GroupSelector) -> bool {
        match selector {
            GroupSelector::Service(id) => self.service == id.0,
            GroupSelector::Group(id) => self.group_id.as_ref() == Some(&id.to_string()),
            GroupSelector::Link(link) => {
                self.group_link.parse().is_ok_and(|found: ContactShortLink| found.same_link(link))
            }
        }
    }
}

/// As in the log: a word, or two where a refusal has a reason of its own.
fn reason(status: &Status) -> Option<String> {
    let reason = serde_json::to_value(status).ok()?.get("reason")?.clone();
    let of_refusal = |refused: &serde_json::Value| refused.as_str().map(|reason| format!("refused: {reason}"));
    reason.as_str().map(str::to_owned).or_else(|| of_refusal(reason.get("refused")?))
}
