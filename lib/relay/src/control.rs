//! The operator's orders: a Unix socket that only the relay's own user can open, one JSON object per line each way.
//!
//! ```text
//! {"command":"leave","group":"https://…/c#…"}              {"ok":true,"services":[3]}
//! {"command":"allow","group":"<group ID>"}                  {"ok":true,"services":[3]}
//! {"command":"suspend","group":"3"}                         {"ok":true,"services":[3]}
//! {"command":"resume","group":"3"}                          {"ok":true,"services":[3]}
//! {"command":"status"}                                      {"line":{…}} for every service, then {"ok":true,"services":[]}
//! {"command":"log","group":"3"}                             {"line":{…}} for every line, then {"ok":true,"services":[]}
//! ```
//!
//! `group` is a group link, a group ID or the number of a service; log and status of all groups need none. What cannot be done
//! is answered with `{"ok":false,"code":"…","message":"…"}`, where the code is `malformed`, `unknown`, `not_now` or
//! `failed`.

use std::future::Future;
use std::io;
use std::str::FromStr;

use agent::short_link::ContactShortLink;
use codec::text::from_base64url;
use group::identity::GroupId;
use group::relay::{CommandError, GroupSelector, ServiceId};
pub use net::control_socket::bind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};

use crate::keeper::Command;
use crate::service::Handle;
use crate::store::LogFilter;

/// No order is longer.
const LINE: u64 = 4_096;
/// How many operators are heard at the same time.
const OPERATORS: usize = 16;
/// Lines of the log that are read at a time.
const PAGE: usize = 500;

/// What the operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub command: OrderCommand,
    /// With which group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderCommand {
    /// Leave a group.
    Leave,
    /// Allow a group again that was left.
    Allow,
    /// Admit no members.
    Suspend,
    /// Admit members again.
    Resume,
    /// Tell what happened.
    Log,
    /// Tell how everything stands.
    Status,
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// A line of the log; more follows.
    Line {
        /// The line.
        line: Value,
    },
    /// Done, or not.
    End(Ending),
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Whether it was carried out.
    pub ok: bool,
    /// The services that were meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<u64>,
    /// Why not, for scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why not, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Ending {
    fn done(services: Vec<u64>) -> Self {
        Ending { ok: true, services, code: None, message: None }
    }

    fn failed(code: &str, message: impl ToString) -> Self {
        let (code, message) = (Some(code.to_owned()), Some(message.to_string()));
        Ending { ok: false, services: Vec::new(), code, message }
    }
}

/// The name of a group in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupName(pub GroupSelector);

/// The text names no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a group link nor a group ID nor the number of a service")]
pub struct NoGroupName;

impl FromStr for GroupName {
    type Err = NoGroupName;

    fn from_str(text: &str) -> Result<Self, NoGroupName> {
        if let Ok(number) = text.parse() {
            return Ok(GroupName(GroupSelector::Service(ServiceId(number))));
        }
        let id = from_base64url(text).ok().and_then(|bytes| GroupId::from_bytes(&bytes));
        let link = || text.parse::<ContactShortLink>().ok().map(GroupSelector::Link);
        id.map(GroupSelector::Group).or_else(link).map(GroupName).ok_or(NoGroupName)
    }
}

impl From<GroupSelector> for LogFilter {
    fn from(selector: GroupSelector) -> Self {
        match selector {
            GroupSelector::Service(id) => LogFilter::Service(id),
            GroupSelector::Link(link) => LogFilter::Link(link),
            GroupSelector::Group(id) => LogFilter::Group(id),
        }
    }
}

/// Obeys until `shutdown` resolves.
pub async fn serve(listener: UnixListener, handle: Handle, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    let mut operators = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = operators.join_next() => {}
            accepted = listener.accept(), if operators.len() < OPERATORS => match accepted {
                Ok((stream, _)) => drop(operators.spawn(obey(stream, handle.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "the control socket failed");
                    return;
                }
            },
        }
    }
}

async fn obey(stream: UnixStream, handle: Handle) {
    if let Err(error) = obey_all(stream, &handle).await {
        tracing::debug!(%error, "the operator went away");
    }
}

async fn obey_all(stream: UnixStream, handle: &Handle) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        if (&mut read).take(LINE).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let ending = match serde_json::from_slice::<Order>(&line) {
            Ok(order) => carry_out(order, handle, &mut write).await?,
            Err(error) => Ending::failed("malformed", error),
        };
        say(&mut write, &Answer::End(ending)).await?;
    }
}

async fn carry_out(order: Order, handle: &Handle, write: &mut OwnedWriteHalf) -> io::Result<Ending> {
    let group = match order.group.as_deref().map(str::parse::<GroupName>).transpose() {
        Ok(group) => group.map(|group| group.0),
        Err(error) => return Ok(Ending::failed("malformed", error)),
    };
    let (command, group) = match (order.command, group) {
        (OrderCommand::Log, group) => {
            return tell_log(group.map_or(LogFilter::All, LogFilter::from), handle, write).await;
        }
        (OrderCommand::Status, group) => return tell_status(group.as_ref(), handle, write).await,
        (_, None) => return Ok(Ending::failed("malformed", "the order names no group")),
        (OrderCommand::Leave, Some(group)) => (Command::Leave, group),
        (OrderCommand::Allow, Some(group)) => (Command::Allow, group),
        (OrderCommand::Suspend, Some(group)) => (Command::Suspend, group),
        (OrderCommand::Resume, Some(group)) => (Command::Resume, group),
    };
    Ok(match handle.change(command, group).await {
        Some(Ok(services)) => Ending::done(services),
        Some(Err(error @ CommandError::Unknown)) => Ending::failed("unknown", error),
        Some(Err(error @ CommandError::NotNow)) => Ending::failed("not_now", error),
        None => Ending::failed("failed", "the relay is ending"),
    })
}

async fn tell_log(filter: LogFilter, handle: &Handle, write: &mut OwnedWriteHalf) -> io::Result<Ending> {
    let mut after = (0, 0);
    loop {
        let lines = match handle.log(filter.clone(), after, PAGE).await {
            Ok(lines) => lines,
            Err(error) => return Ok(Ending::failed("failed", error)),
        };
        let Some(last) = lines.last() else { return Ok(Ending::done(Vec::new())) };
        after = last.place;
        for line in lines {
            let line = serde_json::from_str(&line.text).unwrap_or(Value::String(line.text));
            say(write, &Answer::Line { line }).await?;
        }
    }
}

async fn tell_status(group: Option<&GroupSelector>, handle: &Handle, write: &mut OwnedWriteHalf) -> io::Result<Ending> {
    let Some(page) = handle.look().await else { return Ok(Ending::failed("failed", "the relay is ending")) };
    for standing in page.standings(group) {
        say(write, &Answer::Line { line: serde_json::to_value(standing)? }).await?;
    }
    Ok(Ending::done(Vec::new()))
}

async fn say(write: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    write.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_by_link_id_or_number() {
        let id = GroupId::from_bytes(&[7; 32]).unwrap();
        for text in [id.to_string(), format!("{id}=")] {
            assert_eq!(text.parse(), Ok(GroupName(GroupSelector::Group(id))));
        }
        assert_eq!("12".parse(), Ok(GroupName(GroupSelector::Service(ServiceId(12)))));
        let link = format!("https://smp.example.org/c#{id}");
        let GroupName(GroupSelector::Link(found)) = link.parse().unwrap() else { panic!("a link") };
        assert_eq!(found.to_string(), link);
        for text in ["", "-1", "walks", "simplex:/x#"] {
            assert_eq!(text.parse::<GroupName>(), Err(NoGroupName), "{text}");
        }
    }

    #[test]
    fn orders_are_read_as_documented() {
        let order: Order = serde_json::from_str(r#"{"command":"leave","group":"3"}"#).unwrap();
        assert_eq!(order, Order { command: OrderCommand::Leave, group: Some("3".to_owned()) });
        assert!(serde_json::from_str::<Order>(r#"{"command":"forget","group":"3"}"#).is_err());
        let ending = serde_json::to_string(&Answer::End(Ending::failed("unknown", "no such group"))).unwrap();
        assert_eq!(ending, r#"{"ok":false,"code":"unknown","message":"no such group"}"#);
        assert!(matches!(serde_json::from_str(&ending).unwrap(), Answer::End(Ending { ok: false, .. })));
    }
}
