//! Everything about the relay that can be chosen, as flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use agent::non_empty::NonEmpty;
use clap::Args as ArgGroup;
use cli::{Code, Context, Error, OrError as _};
use group::profile::GroupType;
use group::relay::RelaySettings;
use grp::values::{Seconds, StoreUrl};
use relay::config::PolicyProgram;
use smp::address::ServerWithPassword;

/// Arguments of `relay-serve`.
#[derive(ArgGroup)]
pub(crate) struct Args {
    /// Make queues and links on this SMP server: fingerprint, host and port. May be given more than once: one is
    /// drawn for each; the relay's own address is at the first
    #[arg(long, value_name = "ADDRESS", value_delimiter = ' ', required = true)]
    server: Vec<String>,

    /// Passwords of these servers: in FILE, lines of an address and a password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Who the relay is: its key, its profile, and credentials if any; made at the first start
    #[arg(long, value_name = "FILE", default_value = "relay-identity.json")]
    pub(crate) identity: PathBuf,

    /// The relay's name, for the identity that is made at the first start
    #[arg(long, value_name = "NAME", default_value = "Relay")]
    pub(crate) name: String,

    /// Keep groups and connections in the file at PATH
    #[arg(long, value_name = "sqlite://PATH", default_value = "sqlite://relay.sqlite")]
    pub(crate) store: StoreUrl,

    /// Take the operator's orders on a Unix socket at PATH that only this user can open
    #[arg(long, value_name = "PATH", default_value = "relay.sock")]
    pub(crate) control: PathBuf,

    /// Serve /metrics (Prometheus), /health and a status page on ADDR over plain HTTP
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,

    /// Print every new line of the log on stdout after the first line
    #[arg(long)]
    pub(crate) events: bool,

    #[command(flatten)]
    groups: GroupArgs,

    #[command(flatten)]
    pub(crate) times: Times,
}

/// Which groups are served.
#[derive(ArgGroup)]
#[command(next_help_heading = "Groups")]
struct GroupArgs {
    /// Ask PROGRAM about every invitation: a JSON line with an id each way
    #[arg(long, value_name = "PROGRAM")]
    policy: Option<PathBuf>,

    /// Ask that program about everybody who wants to join, too
    #[arg(long, requires = "policy", hide_short_help = true)]
    policy_members: bool,

    /// Give that program so long; without an answer the question is asked again
    #[arg(long, value_name = "SECS", default_value = "10", hide_short_help = true)]
    policy_timeout: Seconds,

    /// Serve these kinds of groups, joined by commas
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "channel,group", hide_short_help = true)]
    group_types: Vec<String>,

    /// Admit at most so many members to each group
    #[arg(long, value_name = "N", default_value_t = 1_000_000, hide_short_help = true)]
    max_members: u64,

    /// Serve at most so many groups
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max_groups: usize,

    /// Refuse groups with a longer picture, in bytes of its data: URI
    #[arg(long, value_name = "BYTES", default_value_t = 32_768, hide_short_help = true)]
    max_image: usize,

    /// Let so many invitations to one group wait to be listed in its link
    #[arg(long, value_name = "N", default_value_t = 4, hide_short_help = true)]
    max_unlisted: usize,

    /// Admit members only when the group link lists the relay
    #[arg(long, hide_short_help = true)]
    hold_members: bool,

    /// Tell owners that groups are shown as web pages at this domain
    #[arg(long, value_name = "DOMAIN", hide_short_help = true)]
    web_domain: Option<String>,
}

/// When things happen and how long they may take.
#[derive(ArgGroup)]
#[command(next_help_heading = "Times")]
pub(crate) struct Times {
    /// Look at each group link this often
    #[arg(long, value_name = "SECS", default_value = "900", hide_short_help = true)]
    check_every: Seconds,

    /// Give up a group whose link has not listed the relay for so long
    #[arg(long, value_name = "SECS", default_value = "604800", hide_short_help = true)]
    listing_timeout: Seconds,

    /// Keep the log for so many days
    #[arg(long, value_name = "DAYS", default_value_t = 90, hide_short_help = true)]
    log_days: u32,

    /// Let what is under way finish for so long after SIGTERM or SIGINT
    #[arg(long, value_name = "SECS", default_value = "10", hide_short_help = true)]
    drain_timeout: Seconds,
}

impl Args {
    /// Which groups are served, and where.
    pub(crate) fn settings(&self, ctx: &mut Context) -> Result<RelaySettings, Error> {
        let servers = NonEmpty::new(self.servers(ctx)?).or_error_at(Code::Usage, "--server")?;
        let groups = &self.groups;
        let group_types = groups.group_types.iter().map(|name| known_type(name)).collect::<Result<_, _>>()?;
        Ok(RelaySettings {
            group_types,
            max_image: groups.max_image,
            max_services: groups.max_groups,
            max_unlisted: groups.max_unlisted,
            ask_policy: groups.policy.is_some(),
            ask_about_members: groups.policy_members,
            max_members: groups.max_members,
            admit_unlisted: !groups.hold_members,
            web_domain: groups.web_domain.clone(),
            check_interval: self.times.check_every.0.max(Duration::from_secs(1)),
            listing_patience: self.times.listing_timeout.0,
            ..RelaySettings::new(servers)
        })
    }

    /// The program that is asked.
    pub(crate) fn policy(&self) -> Option<PolicyProgram> {
        let timeout = self.groups.policy_timeout.0;
        self.groups.policy.clone().map(|path| PolicyProgram { path, timeout })
    }

    fn servers(&self, ctx: &mut Context) -> Result<Vec<ServerWithPassword>, Error> {
        let mut servers = Vec::new();
        for text in &self.server {
            servers.push(ServerWithPassword { address: grp::server_address("--server", text)?, password: None });
        }
        let Some(path) = &self.password_file else { return Ok(servers) };
        let bytes = ctx.secret_file(path)?;
        let malformed =
            || Error::new(Code::FieldInvalid, "expected lines of an address and a password").at(path.display());
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (address, password) = line.split_once(char::is_whitespace).ok_or_else(malformed)?;
            let address = address.parse().map_err(|_| malformed())?;
            let password = smp::command::BasicAuth::new(password.trim()).ok_or_else(malformed)?;
            let named = servers.iter_mut().filter(|server| server.address == address);
            named.for_each(|server| server.password = Some(password.clone()));
        }
        Ok(servers)
    }
}

impl Times {
    pub(crate) fn log_kept(&self) -> Duration {
        Duration::from_secs(u64::from(self.log_days).saturating_mul(24 * 3_600))
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        self.drain_timeout.0
    }
}

fn known_type(name: &str) -> Result<GroupType, Error> {
    match GroupType::from(name) {
        GroupType::Other(_) => {
            Err(Error::new(Code::Usage, format!("--group-types: {name} is none")).hint("known are channel and group"))
        }
        known => Ok(known),
    }
}
