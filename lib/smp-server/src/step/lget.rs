//! `LGET`: anybody who has a contact link reads its data.

use smp::error::Error;

use super::{Decision, Reply};
use crate::queue::Queue;

pub(super) fn lget(queue: &Queue) -> Result<Decision, Error> {
    if queue.is_contact() && queue.link.is_some() { Ok(Decision::reply(Reply::LinkData)) } else { Err(Error::Auth) }
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{contact, decide, linked, messaging, queue, secured};

    #[test]
    fn contact_links_can_be_read_repeatedly() {
        for queue in [linked(contact()), linked(queue(None))] {
            let read = Ok(Decision::reply(Reply::LinkData));
            assert_eq!((decide(&queue, Command::Lget), decide(&queue, Command::Lget)), (read.clone(), read));
        }
    }

    #[test]
    fn other_queues_have_nothing_to_read() {
        for queue in [linked(messaging()), linked(secured(queue(None), 5)), contact()] {
            assert_eq!(decide(&queue, Command::Lget), Err(Error::Auth));
        }
    }
}
