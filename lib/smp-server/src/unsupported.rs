//! Commands that wait for a later version: notifications, proxying and services. Each is refused as by a server that
//! does not offer it, after the checks of credentials that hold for it.
//!
//! Notifier commands belong beside the queue commands in [`crate::step`]; what a proxy does has no queue and belongs
//! in a module of its own.

use smp::command::Command;
use smp::error::{CommandError, Error, ProxyError};
use smp::response::Response;

/// The answer to a command that is not offered; `None` for the others.
pub(crate) fn answer(command: &Command) -> Option<Response> {
    Some(match command {
        // There is nothing to disable, which is how disabling ends.
        Command::Ndel => Response::Ok,
        Command::Nkey(_) => Response::Err(CommandError::Prohibited.into()),
        Command::Subs | Command::Nsubs => Response::Err(Error::Service),
        Command::Prxy(..) => Response::Err(Error::Proxy(Box::new(ProxyError::BasicAuth))),
        Command::Pfwd(_) => Response::Err(Error::Proxy(Box::new(ProxyError::NoSession))),
        Command::Rfwd(_) => Response::Err(CommandError::Prohibited.into()),
        _ => return None,
    })
}
