//! How failures of connections are reported: by who is at fault.

use agent::connection::{ConnectionError, TaskFault, TaskId};
use agent::link_read::{LinkFault, LinkReadError};
use cli::{Code, Error};
use smp::error::Error as ServerError;

/// Why a step that the user asked for cannot be made.
pub fn step_error(error: ConnectionError) -> Error {
    let code = match &error {
        ConnectionError::Prohibited(..) => Code::NotYet,
        ConnectionError::Unknown(_) => Code::Usage,
        ConnectionError::Version(_) | ConnectionError::Agreement(_) => Code::PeerVersion,
        ConnectionError::TooLarge(_) | ConnectionError::Link(_) | ConnectionError::NoReceipt(_) => Code::FieldInvalid,
        ConnectionError::Ratchet(_) | ConnectionError::Library => Code::Bug,
    };
    Error::new(code, error)
}

/// Why something that a server was to do will not be done.
pub fn task_error(fault: TaskFault) -> Error {
    match fault {
        TaskFault::Refused { task: TaskId::ReadLink, error: ServerError::Auth } => {
            Error::new(Code::NotFound, "the server has nothing under this link for us")
                .hint("the address was deleted, or the invitation was used or read by somebody else")
        }
        TaskFault::Refused { task: TaskId::CreateQueue, error: ServerError::Auth } => {
            Error::new(Code::PeerRefused, "the server creates no queue for us: AUTH")
                .hint("it may want another password: --password-file")
        }
        TaskFault::Refused {
            task: TaskId::SecureSendQueue | TaskId::SendRequest | TaskId::Send(_),
            error: ServerError::Auth,
        } => Error::new(Code::PeerRefused, "the peer's queue does not take this: AUTH")
            .hint("the peer has deleted or suspended it, or somebody else has used the invitation"),
        TaskFault::Refused { task, error } => Error::new(Code::PeerRefused, format!("{}: {error}", command(&task))),
        TaskFault::Violated(task) => {
            Error::new(Code::PeerProtocol, format!("{}: the server broke the protocol", command(&task)))
        }
        TaskFault::Expired(task) => Error::new(Code::TimedOut, format!("{}: given up", command(&task))),
        TaskFault::Mismatch(error) => Error::new(Code::PeerProtocol, error),
        TaskFault::Link(error) => Error::new(link_code(&error), format!("what the link leads to: {error}")),
        TaskFault::Unusable(error) => step_error(error).at("what the link leads to"),
    }
}

fn link_code(error: &LinkReadError) -> Code {
    match error {
        LinkReadError::Fault(LinkFault::Hash) => Code::HashMismatch,
        LinkReadError::Fault(LinkFault::FixedSignature | LinkFault::UserSignature) => Code::SignatureInvalid,
        LinkReadError::Fault(_) => Code::CheckFailed,
        _ => Code::PeerProtocol,
    }
}

/// The command that a task gives.
pub fn command(task: &TaskId) -> &'static str {
    match task {
        TaskId::ReadLink => "LKEY or LGET",
        TaskId::CreateQueue => "NEW",
        TaskId::SecureSendQueue => "SKEY",
        TaskId::SecureReceiveQueue => "KEY",
        TaskId::SendRequest | TaskId::Send(_) => "SEND",
        TaskId::Acknowledge(_) => "ACK",
        TaskId::SetLink => "LSET",
        TaskId::Suspend => "OFF",
        TaskId::DeleteQueue => "DEL",
    }
}
