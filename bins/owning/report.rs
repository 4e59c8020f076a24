//! What people and traces are told of relays: a line for each change of a status, and whatever is worth knowing.

use std::collections::BTreeMap;

use cli::{Code, Context, Progress, Step};
use group::identity::MemberId;
use group::link_merge::Overridden;
use group::membership;
use group::owner::{ActiveStage, EndReason, Event, GroupOwner, LinkCondition, Outcome, RejectedReason, Status};
use smp::address::ServerAddress;

use super::relays::called_by_id;
use crate::relay_lines::Problems;

/// Who acts, in the trace.
pub(super) const OWNER: &str = "owner";

/// What was told so far.
#[derive(Default)]
pub(super) struct Report {
    progress: BTreeMap<MemberId, Progress>,
    pub(super) problems: Problems,
}

impl Report {
    /// Shows what relays are waited for.
    pub(super) fn show(&mut self, ctx: &Context, owner: &GroupOwner) {
        for record in owner.relays().iter().filter(|record| !record.status().is_final()) {
            let message = waiting_for(record.status(), record.active_stage());
            let name = called_by_id(owner, record.id());
            if let Some(message) = message {
                self.progress.insert(record.id().clone(), ctx.progress(format!("{name}: {message}")));
            }
        }
    }

    pub(super) fn tell(&mut self, ctx: &Context, owner: &GroupOwner, event: &Event) {
        match event {
            Event::Status { relay, status, stage } => self.status(ctx, owner, relay, *status, *stage),
            Event::Problem { relay, problem } => {
                self.problems.warn(ctx, Code::RelayProblem, format!("{}: {problem}", called_by_id(owner, relay)));
            }
            Event::Dropped { relay, reason } => {
                let name = called_by_id(owner, relay);
                self.problems.warn(
                    ctx,
                    Code::PeerMessageRefused,
                    format!("{name}: something that came was dropped: {reason}"),
                );
            }
            Event::RosterRefused { relay, error } => {
                let name = called_by_id(owner, relay);
                self.problems.warn(ctx, Code::RelayProblem, format!("{name}: the relay keeps its old roster: {error}"));
            }
            Event::Capabilities { relay, .. } => step(ctx, &called_by_id(owner, relay), "relay_capabilities", ""),
            Event::Accepting { relay, accepting } => {
                let note = if *accepting { "admits members" } else { "admits nobody" };
                step(ctx, &called_by_id(owner, relay), "relay_state", note);
            }
            Event::NotAdopted { relay_link, reason } => {
                let problem = format!("{relay_link}: another owner's relay is not used: {reason}");
                self.problems.warn(ctx, Code::RelayProblem, problem);
            }
            Event::Group(event) => self.heard(ctx, owner, event),
            Event::Sent { relay, message } => step(ctx, &called_by_id(owner, relay), "say", &message.to_string()),
            Event::LinkWritten { version } => {
                let server = owner.link().group().server().address.to_string();
                step(ctx, &server, "link_update", &format!("version {version}"));
            }
            Event::LinkWithheld(found) => {
                let host = owner.link().group().server().address.first_host().to_string();
                self.problems.warn(ctx, Code::LinkWithheld, format!("{host} {}", condition(*found)));
            }
            Event::LinkConflict(overridden) => {
                self.problems.warn(ctx, Code::LinkConflict, conflict(overridden));
            }
            Event::Dismissed => {
                let dismissed = "another owner has removed this one: it can change nothing any more";
                self.problems.warn(ctx, Code::Dismissed, dismissed.to_owned());
            }
            Event::LinkDeleted => {
                let server = owner.link().group().server().address.to_string();
                step(ctx, &server, "link_delete", "");
            }
            Event::LinkNotDeleted { reason } => {
                self.problems.warn(ctx, Code::LinkNotWritten, format!("the link cannot be deleted now: {reason}"));
            }
            Event::LinkNotWritten { reason } => {
                self.problems.warn(ctx, Code::LinkNotWritten, format!("the link cannot be written now: {reason}"));
            }
        }
    }

    /// What is said is printed, not told; but somebody may be forging it.
    fn heard(&mut self, ctx: &Context, owner: &GroupOwner, event: &membership::Event) {
        match event {
            membership::Event::Heard(heard) => {
                step(ctx, &called_by_id(owner, &heard.relay), "hear", heard.event().name());
            }
            membership::Event::Refused { relay, why, .. } => {
                let name = called_by_id(owner, relay);
                self.problems.warn(ctx, Code::PeerMessageRefused, format!("{name}: something was refused: {why}"));
            }
            _ => {}
        }
    }

    fn status(
        &mut self,
        ctx: &Context,
        owner: &GroupOwner,
        relay: &MemberId,
        status: Status,
        stage: Option<ActiveStage>,
    ) {
        let name = called_by_id(owner, relay);
        let reason = owner.relay(relay).and_then(|record| record.reason());
        let note = match (stage, &reason) {
            (Some(ActiveStage::Notified), _) => "active, notified".to_owned(),
            (Some(ActiveStage::Confirmed), _) => "active, confirmed".to_owned(),
            (_, Some(reason)) => format!("{status}: {reason}"),
            _ => status.to_string(),
        };
        checked(ctx, &name, status, reason.as_ref());
        step(ctx, &name, "relay_status", &note);
        self.progress.remove(relay);
        if let Some(message) = waiting_for(status, stage) {
            self.progress.insert(relay.clone(), ctx.progress(format!("{name}: {message}")));
        }
    }
}

/// What is wrong with what a server returns for the group link.
pub(super) fn condition(found: LinkCondition) -> &'static str {
    match found {
        LinkCondition::Current => "returns the group link as it confirmed it",
        LinkCondition::Newer => "returns what another owner wrote",
        LinkCondition::Old => "returns older data of the group link than it confirmed; the next run writes it again",
        LinkCondition::Missing => "confirmed the group link, and has none: nobody can join",
        LinkCondition::Foreign => "returns something for the group link that no owner signed",
    }
}

/// What became of what two owners changed at once.
pub(super) fn conflict(overridden: &Overridden) -> String {
    let Overridden { field, kept, lost } = overridden;
    format!("two owners changed {field} at once: what owner {kept} said stays, what owner {lost} said does not")
}

fn step(ctx: &Context, to: &str, name: &str, note: &str) {
    ctx.trace().step(Step { who: OWNER, to, name, outcome: "ok", note, ..Step::default() });
}

/// A relay link that was read was checked, and the status says how that ended.
fn checked(ctx: &Context, name: &str, status: Status, reason: Option<&EndReason>) {
    let outcome = match (status, reason) {
        (Status::Accepted, _) => "ok",
        (Status::Rejected, Some(EndReason::Rejected(RejectedReason::RelayLink(_)))) => Code::CheckFailed.name(),
        _ => return,
    };
    ctx.trace().step(Step { who: OWNER, name: "relay_link_check", outcome, about: name, ..Step::default() });
}

/// Records that what is behind a link was read.
pub(super) fn read(ctx: &Context, name: &str, server: &ServerAddress, relay: &str, outcome: &Outcome) {
    let outcome = match outcome {
        Outcome::Retrieved(_) => "ok",
        Outcome::Unreachable(_) => Code::ServerUnreachable.name(),
        _ => Code::PeerRefused.name(),
    };
    let to = &server.to_string();
    ctx.trace().step(Step { who: OWNER, to, name, outcome, about: relay, ..Step::default() });
}

fn waiting_for(status: Status, stage: Option<ActiveStage>) -> Option<&'static str> {
    match (status, stage) {
        (Status::New, _) => Some("asking it"),
        (Status::Invited, _) => Some("waiting for its answer"),
        (Status::Accepted, _) => Some("bringing it into the group"),
        (Status::Acknowledged, _) => Some("publishing it"),
        (Status::Active, Some(ActiveStage::Notified)) => Some("waiting for it to find itself in the link"),
        _ => None,
    }
}
