//! `DEL`: the recipient deletes the queue with its messages and its link.

use smp::error::Error;

use super::Decision;
use crate::queue::Change;
use crate::subscription::Holding;

pub(super) fn del() -> Result<Decision, Error> {
    Ok(Decision::ok().with(Change::Deleted).holding(Holding::Nothing))
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{blocked, decide, messaging};

    #[test]
    fn deletes_blocked_queues_too() {
        for queue in [messaging(), blocked(messaging())] {
            assert_eq!(decide(&queue, Command::Del).unwrap().changes, [Change::Deleted]);
        }
    }

    #[test]
    fn a_deleted_queue_is_not_used_any_more() {
        let mut queue = messaging();
        queue.used_on = 0;
        assert_eq!(decide(&queue, Command::Del).unwrap().changes, [Change::Deleted]);
    }
}
