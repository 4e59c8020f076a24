//! What people and traces are told of relays: a line for each change of a status, and whatever is worth knowing.

use std::collections::BTreeMap;

use cli::{Code, Context, Progress, Step};
use group::identity::MemberId;
use group::membership::{Event, GoneReason, Line, Mark, Membership, Outcome, RelayNumber, RelayRecord, Status, TaskId};
use group::owner::ConnectionName;

use crate::relay_lines::Problems;

/// Who acts, in the trace.
pub(super) const MEMBER: &str = "member";

/// What was told so far.
#[derive(Default)]
pub(super) struct Report {
    progress: BTreeMap<RelayNumber, Progress>,
    pub(super) problems: Problems,
}

impl Report {
    /// Shows what relays are waited for.
    pub(super) fn show(&mut self, ctx: &Context, member: &Membership) {
        for record in member.relays() {
            self.wait_for(ctx, member, record.number(), record.status());
        }
    }

    fn wait_for(&mut self, ctx: &Context, member: &Membership, relay: RelayNumber, status: Status) {
        let message = match status {
            Status::Listed => "reading its link",
            Status::Joining => "waiting to be admitted",
            Status::Admitted => "connecting",
            Status::Connected | Status::Gone => {
                self.progress.remove(&relay);
                return;
            }
        };
        let name = called(member, relay);
        self.progress.insert(relay, ctx.progress(format!("{name}: {message}")));
    }

    pub(super) fn tell(&mut self, ctx: &Context, member: &Membership, event: &Event) {
        match event {
            Event::Status { relay, status, why } => {
                let note = why.as_ref().map_or_else(|| status.to_string(), |why| format!("{status}: {why}"));
                step(ctx, &called(member, *relay), "relay_status", &note);
                self.wait_for(ctx, member, *relay, *status);
            }
            Event::Problem { relay, problem } => {
                self.problems.warn(ctx, Code::RelayProblem, format!("{}: {problem}", called(member, *relay)));
            }
            Event::Sent { relay, message } => step(ctx, &called(member, *relay), "say", &message.to_string()),
            Event::NotSent { relay, message } => {
                let name = called(member, *relay);
                self.problems.warn(ctx, Code::MessageNotSent, format!("{name}: message {message} will not be sent"));
            }
            Event::LinkReplayed => {
                let problem = "the server of the group link returns old data; it is not followed";
                self.problems.warn(ctx, Code::LinkReplayed, problem.to_owned());
            }
            Event::LinkUnusable { reason } => {
                self.problems.warn(ctx, Code::ServerDown, format!("the group link cannot be read now: {reason}"));
            }
            Event::Profile(profile) => step(ctx, "", "group_profile", &profile.display_name),
            Event::Ended(why) => step(ctx, "", "membership_over", &why.to_string()),
            Event::Heard(heard) => step(ctx, &called_by_id(member, &heard.relay), "hear", heard.event().name()),
            Event::Confirmed { relay, .. } => step(ctx, &called_by_id(member, relay), "confirm", ""),
            Event::Missing { relay, .. } => step(ctx, &called_by_id(member, relay), "miss", ""),
            Event::Refused { relay, why, .. } => {
                let step = Step { who: MEMBER, to: &called_by_id(member, relay), name: "refuse", ..Step::default() };
                ctx.trace().step(Step { outcome: Code::CheckFailed.name(), note: &why.to_string(), ..step });
            }
            Event::Different { marks, .. } => differ(ctx, member, marks),
            // The rest is printed, not told.
            _ => {}
        }
    }
}

fn step(ctx: &Context, to: &str, name: &str, note: &str) {
    ctx.trace().step(Step { who: MEMBER, to, name, outcome: "ok", note, ..Step::default() });
}

/// Which relays delivered what others did not; of whom it is proved, a signature says so.
fn differ(ctx: &Context, member: &Membership, marks: &[Mark]) {
    let mark = |mark: &Mark| {
        let proved = if mark.refuted { " (proved)" } else { "" };
        format!("{}: {}{proved}", called_by_id(member, &mark.relay), mark.difference)
    };
    let note = marks.iter().map(mark).collect::<Vec<_>>().join(", ");
    let step = Step { who: MEMBER, name: "difference", outcome: Code::CheckFailed.name(), ..Step::default() };
    ctx.trace().step(Step { note: &note, ..step });
}

/// Records what came of the checks of a relay link that was read.
pub(super) fn checked(ctx: &Context, member: &Membership, task: &TaskId) {
    let TaskId::ReadRelayLink(relay) = task else { return };
    let outcome = match member.relay(*relay).and_then(RelayRecord::why_gone) {
        Some(GoneReason::RelayLink(_)) => Code::CheckFailed.name(),
        _ => "ok",
    };
    let step = Step { who: MEMBER, name: "relay_link_check", outcome, ..Step::default() };
    ctx.trace().step(Step { about: &called(member, *relay), ..step });
}

/// Records that what is behind a link was read.
pub(super) fn read(ctx: &Context, member: &Membership, task: &TaskId, outcome: &Outcome) {
    let (name, server, about) = match task {
        TaskId::ReadGroupLink => ("group_link_read", &member.group().link.server, String::new()),
        TaskId::ReadRelayLink(relay) => match member.relay(*relay) {
            Some(record) => ("relay_link_read", &record.link().server, called(member, *relay)),
            None => return,
        },
        _ => return,
    };
    let outcome = match outcome {
        Outcome::Retrieved(_) => "ok",
        Outcome::Unreachable(_) => Code::ServerUnreachable.name(),
        _ => Code::PeerRefused.name(),
    };
    let to = &server.to_string();
    ctx.trace().step(Step { who: MEMBER, to, name, outcome, about: &about, ..Step::default() });
}

/// What people call the relay at the other end of a connection.
pub(super) fn called_by_connection(member: &Membership, connection: &ConnectionName) -> String {
    let ends_there = |record: &&RelayRecord| {
        [Line::Main, Line::Content].into_iter().any(|line| record.connection(line) == *connection)
    };
    let record = member.relays().iter().find(ends_there);
    record.map_or_else(String::new, |record| called(member, record.number()))
}

fn called_by_id(member: &Membership, relay: &MemberId) -> String {
    let record = member.relay_with_id(relay);
    record.map_or_else(|| relay.to_string(), |record| called(member, record.number()))
}

/// What people call a relay.
fn called(member: &Membership, relay: RelayNumber) -> String {
    let profile = member.relay(relay).and_then(RelayRecord::profile);
    profile.map_or_else(|| format!("relay {relay}"), |profile| profile.display_name.clone())
}
