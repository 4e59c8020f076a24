//! `LSET`: the recipient adds link data to a queue or replaces its mutable part.

use smp::command::LinkData;
use smp::error::Error;
use smp::id::LinkId;

use super::Decision;
use crate::queue::{Change, Link, Queue};

/// Whether another queue has the link ID is decided where all queues are known ([`crate::state`]).
pub(super) fn lset(queue: &Queue, id: LinkId, data: LinkData) -> Result<Decision, Error> {
    let settled = queue.is_secured_messaging();
    let conflicts = queue.link.as_deref().is_some_and(|link| *link != Link::of(id.clone(), &data));
    if settled || conflicts || id.is_empty() {
        return Err(Error::Auth);
    }
    Ok(Decision::ok().with(Change::LinkSet(id, data)))
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{contact, decide, link_data, link_id, linked, messaging, queue, secured};

    fn lset(queue: &Queue, id: u8, fixed: u8, user: u8) -> Result<Decision, Error> {
        decide(queue, Command::Lset(link_id(id), link_data(fixed, user)))
    }

    fn set(id: u8, fixed: u8, user: u8) -> Result<Decision, Error> {
        Ok(Decision::ok().with(Change::LinkSet(link_id(id), link_data(fixed, user))))
    }

    #[test]
    fn adds_a_link_to_a_queue_without_one() {
        for queue in [contact(), messaging(), queue(None), secured(contact(), 5)] {
            assert_eq!(lset(&queue, 7, 1, 1), set(7, 1, 1));
        }
    }

    #[test]
    fn replaces_only_the_mutable_part() {
        for queue in [linked(contact()), linked(messaging())] {
            assert_eq!(lset(&queue, 7, 1, 2), set(7, 1, 2));
            assert_eq!(lset(&queue, 7, 2, 1), Err(Error::Auth), "other fixed data");
            assert_eq!(lset(&queue, 8, 1, 1), Err(Error::Auth), "other link ID");
        }
    }

    #[test]
    fn a_secured_messaging_queue_has_no_use_for_links() {
        assert_eq!(lset(&secured(messaging(), 5), 7, 1, 1), Err(Error::Auth));
        assert_eq!(lset(&secured(linked(messaging()), 5), 7, 1, 1), Err(Error::Auth));
    }
}
