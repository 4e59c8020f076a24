//! The rules of every command, as pure functions: a queue, what the connection holds of it, and the command come in;
//! a reply and changes go out, or the error that the protocol wants.
//!
//! Authorization has been checked before (`verify`); time and random bytes come in through [`Context`].
//! `NEW` has no queue yet and stands apart in [`new`].
//!
//! Notifier, proxy and service commands have their place here too; `unsupported` answers them for now.

mod ack;
mod del;
mod get;
mod key;
mod ldel;
mod lget;
mod lkey;
mod lset;
pub mod new;
mod off;
mod que;
mod rkey;
mod send;
mod skey;
mod sub;

use std::sync::Arc;

use smp::command::{Command, MessageFlags};
use smp::error::Error;
use smp::response::QueueDescription;

use crate::body::Body;
use crate::queue::{Change, Message, MessageKey, Queue};
use crate::subscription::Holding;

/// Seconds in a day, the resolution of a queue's last use.
const DAY: i64 = 86_400;

/// What a rule may depend on besides the queue.
#[derive(Debug, Clone)]
pub struct Context {
    /// Unix seconds.
    pub now: i64,
    /// Messages that a queue may hold.
    pub quota: usize,
    /// Messages accepted before this time are removed when another arrives.
    pub expire_before: Option<i64>,
}

/// A message that may be stored, with names for it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// In the store.
    pub row: i64,
    /// On the wire.
    pub id: MessageKey,
    /// As sent.
    pub flags: MessageFlags,
    /// As sent.
    pub body: Arc<Body>,
}

/// A command on a queue.
#[derive(Debug, Clone)]
pub enum Request {
    /// `SEND`.
    Send(Sent),
    /// Any other command.
    Other(Command),
}

/// What a rule decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The answer.
    pub reply: Reply,
    /// To be made in memory and on disk, in this order.
    pub changes: Vec<Change>,
    /// What the connection holds from now on, if that changes.
    pub holding: Option<Holding>,
}

/// The answer to an accepted command, before bodies are fetched and encrypted.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// `OK`.
    Ok,
    /// `SOK`; the head of the queue follows as an event.
    Subscribed,
    /// `MSG`.
    Message(Message),
    /// `LNK`.
    LinkData,
    /// `INFO`.
    Description(QueueDescription),
    /// `ERR QUOTA`, although something may have been stored.
    QuotaMet,
}

impl Decision {
    fn reply(reply: Reply) -> Self {
        Decision { reply, changes: Vec::new(), holding: None }
    }

    fn ok() -> Self {
        Self::reply(Reply::Ok)
    }

    fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    fn holding(mut self, holding: Holding) -> Self {
        self.holding = Some(holding);
        self
    }
}

/// Decides on one command about one queue.
pub fn step(queue: &Queue, holding: Holding, request: Request, context: &Context) -> Result<Decision, Error> {
    let decision = match request {
        Request::Send(sent) => send::send(queue, sent, context),
        Request::Other(command) => other(queue, holding, command),
    }?;
    let today = context.now.div_euclid(DAY);
    let first_today = queue.used_on != today && !matches!(decision.changes.last(), Some(Change::Deleted(_)));
    Ok(if first_today { decision.with(Change::Used(today)) } else { decision })
}

fn other(queue: &Queue, holding: Holding, command: Command) -> Result<Decision, Error> {
    match command {
        Command::Off => off::off(queue),
        Command::Del => del::del(queue),
        command => {
            refuse_blocked(queue)?;
            unless_blocked(queue, holding, command)
        }
    }
}

fn unless_blocked(queue: &Queue, holding: Holding, command: Command) -> Result<Decision, Error> {
    match command {
        Command::Sub => sub::sub(holding),
        Command::Get => get::get(queue, holding),
        Command::Ack(id) => ack::ack(queue, holding, &id),
        Command::Key(key) => key::key(queue, key),
        Command::Rkey(keys) => rkey::rkey(queue, keys),
        Command::Lset(id, data) => lset::lset(queue, id, data),
        Command::Ldel => ldel::ldel(queue),
        Command::Que => que::que(queue, holding),
        Command::Skey(key) => skey::skey(queue, key),
        Command::Lkey(key) => lkey::lkey(queue, key),
        Command::Lget => lget::lget(queue),
        _ => Err(Error::Command(smp::error::CommandError::Prohibited)),
    }
}

fn refuse_blocked(queue: &Queue) -> Result<(), Error> {
    queue.blocked.as_deref().map_or(Ok(()), |info| Err(Error::Blocked(*info)))
}

#[cfg(test)]
pub(crate) mod testing;
