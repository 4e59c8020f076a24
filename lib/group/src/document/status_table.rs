//! The group-status document for people: a few lines about the group, and a table of its relays.

use codec::table::aligned;
use codec::time::UtcTime;

use super::group_status::{GroupStatusDocument, OwnerStatusDocument, RelayStatusDocument};
use super::{GroupStatus, LedgerDocument};
use crate::owner::ActiveStage;
use crate::text::shown;

/// What is not known.
const UNKNOWN: &str = "-";

const HEAD: [&str; 8] = ["RELAY", "STATUS", "SINCE", "LISTED", "CONNECTED", "MEMBERS", "ID", "NOTE"];

impl GroupStatusDocument {
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
        let status = match self.status {
            GroupStatus::Prepared => "prepared; the link does not exist yet",
            GroupStatus::Created => "created",
            GroupStatus::Ended => "ended by its owner",
        };
        let written = if self.link_written { "written" } else { "not written yet" };
        let mut lines = vec![
            format!("{} ({})", shown(&self.display_name), shown(&self.group_type)),
            format!("link      {}", self.link),
            format!("status    {status}"),
            format!(
                "contents  version {}, {written}; members: {}, relays: {}",
                self.link_version, self.member_count, self.listed
            ),
        ];
        if !self.owners.is_empty() {
            let name = |owner: &OwnerStatusDocument| {
                format!("{}{}", owner.owner_id, if owner.is_self { " (this one)" } else { "" })
            };
            lines.push(format!("owners    {}", self.owners.iter().map(name).collect::<Vec<_>>().join(", ")));
        }
        if let (Some(name), Some(server)) = (&self.known_to_relays_as, &self.receives_at) {
            lines.push(format!("owner     known to relays as {}; receives at {server}", shown(name)));
        }
        if let Some(transcript) = &self.transcript {
            let LedgerDocument { strength, counted, marked } = transcript;
            lines.push(format!("posts     transcript: {strength}; counted: {counted}, marked: {marked}"));
        }
        lines
    }
}

fn row(relay: &RelayStatusDocument) -> [String; 8] {
    let name = relay.display_name.clone().unwrap_or_else(|| relay.address.server.first_host().to_string());
    let stage = match relay.stage {
        Some(ActiveStage::Notified) => ", notified",
        Some(ActiveStage::Confirmed) => ", confirmed",
        Some(ActiveStage::Listed) | None => "",
    };
    let members = match relay.accepting {
        Some(true) => "admitted",
        Some(false) => "not admitted",
        None => UNKNOWN,
    };
    let unfinished = relay.unfinished.then(|| "unfinished".to_owned());
    let notes: Vec<String> = [&relay.reason_text, &relay.problem, &unfinished].into_iter().flatten().cloned().collect();
    [
        shown(&name),
        format!("{}{stage}", relay.status),
        relay.changed_at.map_or_else(|| UNKNOWN.to_owned(), |at| UtcTime::from_seconds(at).to_string()),
        answer(relay.listed).to_owned(),
        answer(relay.connected).to_owned(),
        members.to_owned(),
        relay.relay_id.to_string(),
        shown(&notes.join("; ")),
    ]
}

fn answer(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}
