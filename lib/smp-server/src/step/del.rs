//! `DEL`: the recipient deletes the queue with its messages and its link.

use smp::error::Error;

use super::Decision;
use crate::queue::{Change, Queue};
use crate::subscription::Holding;

pub(super) fn del(queue: &Queue) -> Result<Decision, Error> {
    let messages = queue.messages.iter().map(|message| message.row).collect();
    Ok(Decision::ok().with(Change::Deleted(messages)).holding(Holding::Nothing))
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{blocked, decide, messaging, with_messages};

    #[test]
    fn deletes_blocked_queues_too() {
        for queue in [with_messages(2), blocked(with_messages(2))] {
            assert_eq!(decide(&queue, Command::Del).unwrap().changes, [Change::Deleted(vec![0, 1])]);
        }
    }

    #[test]
    fn a_deleted_queue_is_not_used_any_more() {
        let mut queue = messaging();
        queue.used_on = 0;
        assert_eq!(decide(&queue, Command::Del).unwrap().changes, [Change::Deleted(Vec::new())]);
    }
}
