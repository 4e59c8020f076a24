//! `relay-status`: how a relay stands with its groups.

use std::process::ExitCode;

use cli::{Code, Context, Document, Error, OrError as _, Shape, Tool};
use codec::table::aligned;
use codec::time::UtcTime;
use grp::operator::{ControlArgs, give, group_name};
use relay::control::{Order, OrderCommand};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const TOOL: Tool = Tool {
    name: "relay-status",
    about: "Show how a relay stands with its groups",
    description: "Asks a running relay about every group that it was invited to, the newest first: how far it is, since \
        when, and whether it admits members. With --pretty as a table. What happened before is in the log.",
    writes: &[Shape::of::<RelayStatus>()],
    examples: &[
        ("Look at all groups", "relay-status --pretty"),
        ("How many groups are served", "relay-status | jq '[.services[] | select(.status == \"active\")] | length'"),
    ],
    json: "At most the newest 1,000 services are shown.",
    see_also: &["relay-serve", "relay-log", "grp-status"],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// The group: its link, its ID, or the number that the relay gave it; without it, all groups
    #[arg(value_name = "GROUP")]
    group: Option<String>,

    #[command(flatten)]
    relay: ControlArgs,
}

/// How a relay stands with its groups
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct RelayStatus {
    /// One for each invitation, the newest first
    services: Vec<ServiceStatus>,
}

/// How a relay stands with a group
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct ServiceStatus {
    /// The number of the service: one invitation
    service: u64,
    /// The group's name, once its link was read
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The group, once its link was read
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<String>,
    /// The link that the relay was invited with
    group_link: String,
    /// invited, link_created, accepted, acknowledged_roster, active, inactive or rejected
    status: String,
    /// Why it is over
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Since when, in Unix seconds
    since_at: i64,
    /// Whether an owner was told that the relay found itself in the group link
    confirmed: bool,
    /// Whether members are admitted
    accepting: bool,
}

impl Document for RelayStatus {
    const TYPE: &'static str = "relay_status";
    const V: u32 = 1;

    fn table(&self) -> Option<String> {
        let head = ["NO", "GROUP", "STATUS", "SINCE", "MEMBERS", "ID"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.services.iter().map(row)).collect();
        Some(aligned(&rows).join("\n"))
    }
}

fn row(service: &ServiceStatus) -> [String; 6] {
    let more = match (&service.reason, service.confirmed) {
        (Some(reason), _) => format!(", {reason}"),
        (None, true) => ", confirmed".to_owned(),
        (None, false) => String::new(),
    };
    [
        service.service.to_string(),
        shown(service.name.as_deref().unwrap_or("-")),
        shown(&format!("{}{more}", service.status)),
        UtcTime::from_seconds(service.since_at).to_string(),
        if service.accepting { "admitted" } else { "not admitted" }.to_owned(),
        shown(service.group_id.as_deref().unwrap_or("-")),
    ]
}

/// Without anything that a terminal obeys.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, _: &mut Context) -> Result<RelayStatus, Error> {
    let group = args.group.as_deref().map(group_name).transpose()?;
    let order = Order { command: OrderCommand::Status, group };
    let mut services = Vec::new();
    give(&order, &args.relay, |line| {
        services.push(serde_json::from_value(line).or_error_at(Code::PeerProtocol, "the relay")?);
        Ok(())
    })?;
    Ok(RelayStatus { services })
}
