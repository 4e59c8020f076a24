//! What people and traces are told of relays: a line for each change of a status, and whatever is worth knowing.

use std::collections::{BTreeMap, BTreeSet};

use cli::{Code, Context, Progress, Step};
use group::identity::MemberId;
use group::owner::{ActiveStage, Event, GroupOwner, Status};

use super::relays::called_by_id;

/// Who acts, in the trace.
pub(super) const OWNER: &str = "owner";

/// What was told so far.
#[derive(Default)]
pub(super) struct Report {
    progress: BTreeMap<MemberId, Progress>,
    problems: BTreeSet<String>,
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
                self.warn(ctx, Code::RelayProblem, format!("{}: {problem}", called_by_id(owner, relay)));
            }
            Event::Dropped { relay, reason } => {
                let name = called_by_id(owner, relay);
                self.warn(ctx, Code::PeerMessageRefused, format!("{name}: something that came was dropped: {reason}"));
            }
            Event::RosterRefused { relay, error } => {
                let name = called_by_id(owner, relay);
                self.warn(ctx, Code::RelayProblem, format!("{name}: the relay keeps its old roster: {error}"));
            }
            Event::Capabilities { relay, .. } => step(ctx, &called_by_id(owner, relay), "relay_capabilities", ""),
            Event::Accepting { relay, accepting } => {
                let note = if *accepting { "admits members" } else { "admits nobody" };
                step(ctx, &called_by_id(owner, relay), "relay_state", note);
            }
            Event::Sent { relay, message } => step(ctx, &called_by_id(owner, relay), "say", &message.to_string()),
            Event::LinkWritten { version } => step(ctx, "", "link_update", &format!("version {version}")),
            Event::LinkNotWritten { reason } => {
                self.warn(ctx, Code::LinkNotWritten, format!("the link cannot be written now: {reason}"));
            }
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
        let note = match (stage, reason) {
            (Some(ActiveStage::Notified), _) => "active, notified".to_owned(),
            (Some(ActiveStage::Confirmed), _) => "active, confirmed".to_owned(),
            (_, Some(reason)) => format!("{status}: {reason}"),
            _ => status.to_string(),
        };
        step(ctx, &name, "relay_status", &note);
        self.progress.remove(relay);
        if let Some(message) = waiting_for(status, stage) {
            self.progress.insert(relay.clone(), ctx.progress(format!("{name}: {message}")));
        }
    }

    /// Warns once of each problem.
    pub(super) fn warn(&mut self, ctx: &Context, code: Code, problem: String) {
        if self.problems.insert(problem.clone()) {
            ctx.warn(code, problem);
        }
    }

    /// A problem that is over may be told again.
    pub(super) fn forget(&mut self, about: &str) {
        self.problems.retain(|problem| !problem.starts_with(about));
    }
}

fn step(ctx: &Context, to: &str, name: &str, note: &str) {
    ctx.trace().step(Step { who: OWNER, to, name, outcome: "ok", note, ..Step::default() });
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
