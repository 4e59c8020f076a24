//! What the tools of a relay's operator share: orders through the socket of `relay-serve`, and what it answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::{Code, Document, Error, OrError as _, Timeout};
use relay::control::{Answer, Ending, GroupName, Order, OrderCommand};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The group that an order is about, and the relay that is to obey.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// The group: its link, its ID, or the number that the relay gave it
    #[arg(value_name = "GROUP")]
    pub group: String,

    /// Where the relay listens.
    #[command(flatten)]
    pub relay: ControlArgs,
}

/// Where the relay listens.
#[derive(Debug, clap::Args)]
pub struct ControlArgs {
    /// The socket of the relay
    #[arg(long, value_name = "PATH", default_value = "relay.sock")]
    pub control: PathBuf,

    /// How long its answer may take.
    #[command(flatten)]
    pub timeout: Timeout,
}

/// What the relay has done
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Obeyed {
    /// The numbers of the services that were meant: one for each invitation of the group
    pub services: Vec<u64>,
}

impl Document for Obeyed {
    const TYPE: &'static str = "relay_obeyed";
    const V: u32 = 1;
}

/// Something that happened with a group
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When, in Unix seconds
    pub at: u64,
    /// The service: one invitation of a group
    pub service: u64,
    /// Counts the lines of a service from 1
    pub number: u64,
    /// What happened
    pub event: String,
    /// More about it, depending on the event
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Document for LogLine {
    const TYPE: &'static str = "relay_log";
    const V: u32 = 1;
}

/// Gives an order about a group.
pub fn obey(command: OrderCommand, target: &Target) -> Result<Obeyed, Error> {
    let order = Order { command, group: Some(group_name(&target.group)?) };
    let ending = give(&order, &target.relay, |_| Ok(()))?;
    Ok(Obeyed { services: ending.services })
}

/// Checks the name of a group before anybody is asked.
pub fn group_name(text: &str) -> Result<String, Error> {
    text.parse::<GroupName>().or_error_at(Code::Usage, "GROUP")?;
    Ok(text.to_owned())
}

/// Gives an order, and hands on every line of the answer before the last.
pub fn give(
    order: &Order,
    relay: &ControlArgs,
    mut line: impl FnMut(Value) -> Result<(), Error>,
) -> Result<Ending, Error> {
    let mut stream = connect(&relay.control, relay.timeout.duration())?;
    let lost = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => relay.timeout.error("the relay"),
        _ => Error::new(Code::Unreachable, error).at(relay.control.display()),
    };
    let mut text = serde_json::to_string(order).or_error(Code::Bug)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).map_err(lost)?;
    for answer in BufReader::new(stream).lines() {
        let answer = serde_json::from_str(&answer.map_err(lost)?).or_error_at(Code::PeerProtocol, "the relay")?;
        match answer {
            Answer::Line { line: said } => line(said)?,
            Answer::End(ending) if ending.ok => return Ok(ending),
            Answer::End(ending) => return Err(refusal(&ending)),
        }
    }
    Err(Error::new(Code::Unreachable, "the relay ended before it had answered").at(relay.control.display()))
}

fn connect(path: &Path, patience: Duration) -> Result<UnixStream, Error> {
    let stream = UnixStream::connect(path).or_error_at(Code::Unreachable, path.display());
    let stream = stream.map_err(|error| error.hint("relay-serve must be running, with this path as --control"))?;
    stream.set_read_timeout(Some(patience)).or_error(Code::Bug)?;
    stream.set_write_timeout(Some(patience)).or_error(Code::Bug)?;
    Ok(stream)
}

fn refusal(ending: &Ending) -> Error {
    let message = ending.message.as_deref().unwrap_or("the relay refused");
    match ending.code.as_deref() {
        Some("unknown" | "not_now") => Error::new(Code::Refused, message),
        Some("failed") => Error::new(Code::Unreachable, message),
        _ => Error::new(Code::PeerRefused, message),
    }
}
