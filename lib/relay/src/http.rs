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
use group::relay::{Relay, Service, ServiceId, Status};
use tokio::net::TcpListener;

use crate::format::{escaped, moment};
use crate::service::Handle;

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
    /// Members that are connected, owners among them.
    pub(crate) members: u64,
    /// Messages that are not with everybody yet.
    pub(crate) lag: u64,
    rows: Vec<Row>,
    now: Time,
}

#[derive(Debug, Clone)]
struct Row {
    id: u64,
    name: String,
    group: String,
    status: &'static str,
    detail: String,
    since: Time,
    accepting: bool,
    members: u64,
    lag: u64,
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
        let rows = services.into_iter().take(SHOWN).map(|service| Row::of(service, relay)).collect();
        let statuses = statuses.into_iter().collect();
        Page { statuses, under_way, joins, members: 0, lag: 0, rows, now }
    }

    /// With what is kept of members.
    pub(crate) fn with(mut self, halls: &[(ServiceId, Hall)]) -> Self {
        let halls: BTreeMap<u64, (u64, u64)> = halls
            .iter()
            .map(|(service, hall)| {
                let lag = hall.lane(Lane::Group).waiting().saturating_add(hall.lane(Lane::Support).waiting());
                (service.0, (hall.members, lag))
            })
            .collect();
        for (members, lag) in halls.values() {
            self.members = self.members.saturating_add(*members);
            self.lag = self.lag.saturating_add(*lag);
        }
        for row in &mut self.rows {
            (row.members, row.lag) = halls.get(&row.id).copied().unwrap_or_default();
        }
        self
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
            let members = if row.accepting { "admitted" } else { "not admitted" };
            let _ = write!(
                page,
                "<tr><td>{}<td>{}<td><code>{}</code><td>{} {}<td>{}<td>{members}<td>{}<td>{}</tr>",
                row.id,
                escaped(&row.name),
                escaped(&row.group),
                escaped(row.status),
                escaped(&row.detail),
                moment(row.since),
                row.members,
                row.lag,
            );
        }
        let _ = write!(page, "</table><p>{}</html>", moment(self.now));
        page
    }
}

impl Row {
    fn of(service: &Service, relay: &Relay) -> Self {
        let group = service.group();
        let detail = match service.status() {
            Status::Inactive(why) => format!("({why:?})"),
            Status::Rejected(why) => format!("({why:?})"),
            Status::Active if service.is_confirmed() => "(confirmed)".to_owned(),
            _ => String::new(),
        };
        Row {
            id: service.id().0,
            name: group.map(|group| group.profile.display_name.clone()).unwrap_or_default(),
            group: group.map(|group| group.group_id.to_string()).unwrap_or_default(),
            status: service.status().name(),
            detail,
            since: service.since(),
            accepting: service.is_accepting(relay.settings()),
            members: 0,
            lag: 0,
        }
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
