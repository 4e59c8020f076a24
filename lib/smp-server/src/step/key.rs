//! `KEY`: the recipient names the sender's key, which secures the queue.

use crypto::authorize::AuthPublicKey;
use smp::error::Error;

use super::Decision;
use crate::queue::{Change, Queue};

pub(super) fn key(queue: &Queue, key: AuthPublicKey) -> Result<Decision, Error> {
    secure(queue, key, Decision::ok())
}

/// Sets the sender's key once; the same key again is welcome, another never is.
pub(super) fn secure(queue: &Queue, key: AuthPublicKey, accepted: Decision) -> Result<Decision, Error> {
    match queue.sender_key {
        None => Ok(accepted.with(Change::Secured(key))),
        Some(known) if known == key => Ok(accepted),
        Some(_) => Err(Error::Auth),
    }
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{applied, auth_key, contact, decide, messaging, queue};

    #[test]
    fn secures_once_in_any_mode() {
        for queue in [messaging(), contact(), queue(None)] {
            let decision = decide(&queue, Command::Key(auth_key(5))).unwrap();
            let queue = applied(queue, &decision);
            assert_eq!(queue.sender_key, Some(auth_key(5)));
            assert_eq!(decide(&queue, Command::Key(auth_key(5))), Ok(Decision::ok()));
            assert_eq!(decide(&queue, Command::Key(auth_key(6))), Err(Error::Auth));
        }
    }
}
