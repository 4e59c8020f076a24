//! Metrics and health for machines, and a page for people, over plain HTTP: no commands.
//!
//! | path | |
//! |---|---|
//! | `/metrics` | counters in the text format of Prometheus: aggregates only |
//! | `/health` | `ok` while connections can be kept |
//! | `/` | every service with its status: names of groups, so show it to nobody but the operator |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::time::Duration;

use agent::time::Time;
use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use group::relay::members::{Hall, Lane};
use group::relay::{GroupSelector, Relay, Service, ServiceId, Status};
use tokio::net::TcpListener;

use crate::format::{escaped, moment};
use crate::service::Handle;
use crate::standing::Standing;

/// Who looks after that long finds the relay unwell.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many services the page shows, newest first.
const SHOWN: usize = 1_000;

/// How everything stands.
#[derive(Debug, Clone)]
pub struct Page {
    pub(crate) statuses: Vec<(&'static str, usize)>,
    /// Tasks that are under way.
    pub(crate) under_way: usize,
    /// Requests of members that wait.
    pub(crate) joins: usize,
    /// Of each service: members that are connected, owners among them, and messages that are not with everybody yet.
    halls: BTreeMap<u64, (u64, u64)>,
    rows: Vec<Standing>,
    now: Time,
}

impl Page {
    pub(crate) fn of(relay: &Relay, now: Time, under_way: usize, joins: usize) -> Self {
        let mut statuses: BTreeMap<&'static str, usize> =
            ["invited", "link_created", "accepted", "acknowledged_roster", "active", "inactive", "rejected"]
                .map(|status| (status, 0))
                .into();
        for service in relay.services() {
            let count = statuses.entry(service.status().name()).or_default();
            *count = count.saturating_add(1);
        }
        let mut services: Vec<&Service> = relay.services().collect();
        services.reverse();
        let rows = services.into_iter().take(SHOWN).map(|service| Standing::of(service, relay)).collect();
        let statuses = statuses.into_iter().collect();
        Page { statuses, under_way, joins, halls: BTreeMap::new(), rows, now }
    }

    /// With what is kept of members.
    pub(crate) fn with(mut self, halls: &[(ServiceId, Hall)]) -> Self {
        let numbers = |hall: &Hall| {
            let lag = hall.lane(Lane::Group).waiting().saturating_add(hall.lane(Lane::Support).waiting());
            (hall.members, lag)
        };
        self.halls = halls.iter().map(|(service, hall)| (service.0, numbers(hall))).collect();
        self
    }

    /// Members that are connected, owners among them.
    pub(crate) fn members(&self) -> u64 {
        self.halls.values().fold(0, |sum, (members, _)| sum.saturating_add(*members))
    }

    /// Messages that are not with everybody yet.
    pub(crate) fn lag(&self) -> u64 {
        self.halls.values().fold(0, |sum, (_, lag)| sum.saturating_add(*lag))
    }

    /// The services with such a group, or all; at most the newest thousand.
    pub(crate) fn standings(&self, group: Option<&GroupSelector>) -> impl Iterator<Item = &Standing> {
        self.rows.iter().filter(move |row| group.is_none_or(|group| row.is_of(group)))
    }

    /// The page for people.
    fn html(&self, address: &str) -> String {
        let mut page = String::from(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Relay</title><style>\
             body{font:16px sans-serif;margin:2em}table{border-collapse:collapse}\
             td,th{padding:.3em .8em;border-bottom:1px solid #ccc;text-align:left}code{word-break:break-all}</style>",
        );
        let _ = write!(page, "<h1>Relay</h1><p>Address: <code>{}</code><p>", escaped(address));
        for (status, count) in &self.statuses {
            let _ = write!(page, "{}: {count} &nbsp; ", escaped(status));
        }
        page.push_str(
            "<table><tr><th>No<th>Group<th>ID<th>Status<th>Since<th>Admission<th>Members<th>Waiting messages</tr>",
        );
        for row in &self.rows {
            let (connected, waiting) = self.halls.get(&row.service).copied().unwrap_or_default();
            let members = if row.accepting { "admitted" } else { "not admitted" };
            let _ = write!(
                page,
                "<tr><td>{}<td>{}<td><code>{}</code><td>{} {}<td>{}<td>{members}<td>{}<td>{}</tr>",
                row.service,
                escaped(row.name.as_deref().unwrap_or_default()),
                escaped(row.group_id.as_deref().unwrap_or_default()),
                escaped(row.status),
                escaped(&detail(row)),
                moment(Time::from_millis(row.since_at.saturating_mul(1_000))),
                connected,
                waiting,
            );
        }
        let _ = write!(page, "</table><p>{}</html>", moment(self.now));
        page
    }
}

fn detail(standing: &Standing) -> String {
    match (&standing.reason, standing.confirmed && standing.status == Status::Active.name()) {
        (Some(reason), _) => format!("({reason})"),
        (None, true) => "(confirmed)".to_owned(),
        (None, false) => String::new(),
    }
}

/// Answers until `shutdown` resolves.
pub async fn serve(
    listener: TcpListener,
    handle: Handle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new().route("/", get(page)).route("/metrics", get(metrics)).route("/health", get(health));
    axum::serve(listener, routes.with_state(handle)).with_graceful_shutdown(shutdown).await
}

async fn look(handle: &Handle) -> Result<Page, Response> {
    let unwell = || (StatusCode::SERVICE_UNAVAILABLE, "busy\n").into_response();
    tokio::time::timeout(PATIENCE, handle.look()).await.ok().flatten().ok_or_else(unwell)
}

async fn page(Shared(handle): Shared<Handle>) -> Response {
    match look(&handle).await {
        Ok(page) => {
            let policy = (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'");
            ([policy], Html(page.html(handle.address()))).into_response()
        }
        Err(unwell) => unwell,
    }
}

async fn metrics(Shared(handle): Shared<Handle>) -> Response {
    match look(&handle).await {
        Ok(page) => {
            let text = (CONTENT_TYPE, "text/plain; version=0.0.4");
            ([text], handle.metrics().render(&page)).into_response()
        }
        Err(unwell) => unwell,
    }
}

async fn health(Shared(handle): Shared<Handle>) -> Response {
    match look(&handle).await {
        Ok(_) if handle.metrics().is_healthy() => (StatusCode::OK, "ok\n").into_response(),
        Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, "not keeping\n").into_response(),
        Err(unwell) => unwell,
    }
}
