//! `LKEY`: who has a one-time link secures its queue and reads the link data.

use crypto::authorize::AuthPublicKey;
use smp::error::Error;
use smp::queue_address::QueueMode;

use super::key::secure;
use super::{Decision, Reply};
use crate::queue::Queue;

pub(super) fn lkey(queue: &Queue, key: AuthPublicKey) -> Result<Decision, Error> {
    match (queue.mode, &queue.link) {
        (Some(QueueMode::Messaging), Some(_)) => secure(queue, key, Decision::reply(Reply::LinkData)),
        _ => Err(Error::Auth),
    }
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{applied, auth_key, contact, decide, linked, messaging};

    #[test]
    fn secures_and_reads_for_one_key_only() {
        let queue = linked(messaging());
        let decision = decide(&queue, Command::Lkey(auth_key(5))).unwrap();
        assert_eq!(decision.reply, Reply::LinkData);
        let queue = applied(queue, &decision);
        assert_eq!(queue.sender_key, Some(auth_key(5)));
        assert_eq!(decide(&queue, Command::Lkey(auth_key(5))).unwrap().reply, Reply::LinkData);
        assert_eq!(decide(&queue, Command::Lkey(auth_key(6))), Err(Error::Auth));
    }

    #[test]
    fn contact_links_are_read_with_lget() {
        assert_eq!(decide(&linked(contact()), Command::Lkey(auth_key(5))), Err(Error::Auth));
    }
}
