//! `SKEY`: the sender secures a messaging queue with its own key.

use crypto::authorize::AuthPublicKey;
use smp::error::Error;
use smp::queue_address::QueueMode;

use super::Decision;
use super::key::secure;
use crate::queue::Queue;

pub(super) fn skey(queue: &Queue, key: AuthPublicKey) -> Result<Decision, Error> {
    match queue.mode {
        Some(QueueMode::Messaging) => secure(queue, key, Decision::ok()),
        _ => Err(Error::Auth),
    }
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{applied, auth_key, blocked, blocking, contact, decide, messaging, queue};

    #[test]
    fn secures_a_messaging_queue_once() {
        let decision = decide(&messaging(), Command::Skey(auth_key(5))).unwrap();
        let queue = applied(messaging(), &decision);
        assert_eq!(decide(&queue, Command::Skey(auth_key(5))), Ok(Decision::ok()));
        assert_eq!(decide(&queue, Command::Skey(auth_key(6))), Err(Error::Auth));
    }

    #[test]
    fn other_modes_are_not_for_senders_to_secure() {
        for queue in [contact(), queue(None)] {
            assert_eq!(decide(&queue, Command::Skey(auth_key(5))), Err(Error::Auth));
        }
    }

    #[test]
    fn a_blocked_queue_says_why() {
        assert_eq!(decide(&blocked(messaging()), Command::Skey(auth_key(5))), Err(Error::Blocked(blocking())));
    }
}
