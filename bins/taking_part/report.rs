//! What people and traces are told of relays: a line for each change of a status, and whatever is worth knowing.

use std::collections::BTreeMap;

use cli::{Code, Context, Progress, Step};
use group::membership::{Event, Membership, RelayNumber, RelayRecord, Status};

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
            Event::Heard(heard) => step(ctx, &heard.relay.to_string(), "hear", heard.event().name()),
            // The rest is printed, not told.
            _ => {}
        }
    }
}

fn step(ctx: &Context, to: &str, name: &str, note: &str) {
    ctx.trace().step(Step { who: MEMBER, to, name, outcome: "ok", note, ..Step::default() });
}

/// What people call a relay.
fn called(member: &Membership, relay: RelayNumber) -> String {
    let profile = member.relay(relay).and_then(RelayRecord::profile);
    profile.map_or_else(|| format!("relay {relay}"), |profile| profile.display_name.clone())
}
