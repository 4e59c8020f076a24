//! What the trace of a relay says.

use std::sync::Arc;

use cli::{Code, Step, Trace};
use group::body;
use group::relay::{ConnectionName, LogEntry, LogEvent, ServiceId, Status};
use net::agent::{AgentExchange, AgentObserver};
use relay::observe::{Done, LinkStep, Observed, Observer};

/// Who acts.
const RELAY: &str = "relay";
/// Whom a relay talks to, besides servers.
const OWNER: &str = "owner";
const MEMBER: &str = "member";

/// Records the commands of the relay's agent.
pub(crate) fn agent_observer(trace: &Trace) -> Option<AgentObserver> {
    let trace = trace.is_recorded().then(|| trace.clone())?;
    Some(Arc::new(move |observed: &AgentExchange<'_>| {
        let (server, about) = (observed.server.to_string(), observed.connection.to_string());
        grp::trace_exchange(&trace, RELAY, &server, &about, &observed.exchange);
    }))
}

/// Records everything else.
pub(crate) fn observer(trace: &Trace) -> Observer {
    if !trace.is_recorded() {
        return Observer::none();
    }
    let trace = trace.clone();
    Observer::new(move |observed| record(&trace, observed))
}

fn record(trace: &Trace, observed: &Observed<'_>) {
    match observed {
        Observed::Command(server, exchange) => grp::trace_exchange(trace, RELAY, &server.to_string(), "", exchange),
        Observed::Says(connection, body) => {
            let tells = &grp::trace_name(body);
            said(trace, "chat_send", *connection, body, Step { tells, ..Step::default() });
        }
        Observed::Hears(connection, body) => {
            let hears = &grp::trace_name(body);
            said(trace, "chat_receive", *connection, body, Step { hears, ..Step::default() });
        }
        Observed::Link(service, step, link, done) => {
            let (to, about) = (&link.server.to_string(), &service.to_string());
            let outcome = outcome(*done);
            trace.step(Step { who: RELAY, to, name: link_step(*step), outcome, about, ..Step::default() });
        }
        Observed::Logged(line) => match serde_json::from_str::<LogEntry>(line) {
            Ok(entry) => logged(trace, &entry),
            Err(error) => {
                let note = &error.to_string();
                trace.step(Step { who: RELAY, name: "relay_log", outcome: Code::Bug.name(), note, ..Step::default() });
            }
        },
    }
}

fn said(trace: &Trace, name: &str, connection: ConnectionName, body: &[u8], step: Step<'_>) {
    let (note, about) = (&body::names(body), &service_of(connection));
    let to = if matches!(connection, ConnectionName::Member(..)) { MEMBER } else { OWNER };
    trace.step(Step { who: RELAY, to, name, bytes: Some(body.len()), outcome: "ok", note, about, ..step });
}

fn service_of(connection: ConnectionName) -> String {
    match connection {
        ConnectionName::Owner(service, _) | ConnectionName::Link(service) | ConnectionName::Member(service, ..) => {
            service.to_string()
        }
        ConnectionName::Address | ConnectionName::Test(_) => String::new(),
    }
}

fn link_step(step: LinkStep) -> &'static str {
    match step {
        LinkStep::ReadGroupLink => "group_link_read",
        LinkStep::LookAtGroupLink => "group_link_look",
        LinkStep::CreateRelayLink => "relay_link_create",
        LinkStep::DeleteRelayLink => "relay_link_delete",
    }
}

fn outcome(done: Done) -> &'static str {
    match done {
        Done::Yes => "ok",
        Done::NotYet => Code::NotYet.name(),
        Done::No => Code::PeerRefused.name(),
    }
}

/// Lines of the log that are steps of the protocol.
fn logged(trace: &Trace, entry: &LogEntry) {
    let local = |name: &str, outcome: &str, note: &str| local(trace, entry.service, name, outcome, note);
    match &entry.event {
        LogEvent::Invited { .. } => local("relay_status", "ok", "invited"),
        LogEvent::GroupRead { .. } => local("group_check", "ok", ""),
        LogEvent::Refused { detail } => local("group_check", Code::CheckFailed.name(), detail),
        LogEvent::Status(status) => local("relay_status", "ok", &described(status)),
        LogEvent::Roster { error: None, .. } => local("roster_check", "ok", ""),
        LogEvent::Roster { error: Some(error), .. } => local("roster_check", Code::CheckFailed.name(), error),
        LogEvent::Checked { listed: true } => local("listing_check", "ok", "listed"),
        LogEvent::Checked { listed: false } => local("listing_check", "ok", "not listed"),
        // What these say is in the trace already, or is no step of the protocol.
        LogEvent::Repeated { .. }
        | LogEvent::LinkPlanned { .. }
        | LogEvent::Connection { .. }
        | LogEvent::Said { .. }
        | LogEvent::Ignored { .. }
        | LogEvent::Replayed
        | LogEvent::Retry { .. }
        | LogEvent::Failed { .. }
        | LogEvent::Member { .. }
        | LogEvent::Admission { .. } => {}
    }
}

/// A status with its reason.
fn described(status: &Status) -> String {
    let reason = serde_json::to_value(status).ok().and_then(|status| status.get("reason").cloned());
    match reason.as_ref().and_then(|reason| reason.as_str()) {
        Some(reason) => format!("{status}: {reason}"),
        None => status.to_string(),
    }
}

fn local(trace: &Trace, service: ServiceId, name: &str, outcome: &str, note: &str) {
    trace.step(Step { who: RELAY, name, outcome, note, about: &service.to_string(), ..Step::default() });
}
