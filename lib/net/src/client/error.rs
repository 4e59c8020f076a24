//! Why a command has no good response.

use std::time::Duration;

use crate::Blame;

/// Why a command failed, or may have failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The connection ended before the command was sent; it had no effect.
    #[error("the connection ended before the command was sent")]
    NotSent,
    /// The connection ended after the command was sent: it may or may not have taken effect.
    #[error("the connection ended before the server answered; the command may have taken effect")]
    OutcomeUnknown,
    /// The server did not answer in time; the command may yet take effect.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The server said no.
    #[error("the server answered {0}")]
    Refused(smp::error::Error),
    /// The server's answer is not one.
    #[error("the server broke the protocol: {0}")]
    Protocol(#[from] Violation),
    /// The command does not fit a block.
    #[error("the command does not fit a block")]
    TooLarge,
    /// The command could not be authorised.
    #[error("authorising the command: {0}")]
    Crypto(#[from] crypto::Error),
}

/// How a server broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A response that cannot be read, or lacks an ID or has one it should not have.
    #[error("unreadable response ({0})")]
    Unreadable(smp::error::CommandError),
    /// The response is about something else than the command.
    #[error("the response is about another entity")]
    Entity,
    /// The response answers another kind of command.
    #[error("the response does not answer {0}")]
    Unexpected(&'static str),
}

impl ClientError {
    /// Who is at fault.
    pub fn blame(&self) -> Blame {
        match self {
            Self::NotSent | Self::OutcomeUnknown => Blame::Unreachable,
            Self::TimedOut(_) => Blame::TimedOut,
            Self::Refused(_) => Blame::Refused,
            Self::Protocol(_) => Blame::Protocol,
            Self::TooLarge => Blame::Caller,
            Self::Crypto(_) => Blame::Bug,
        }
    }
}
