//! `OFF`: the recipient stops the sender for good; what is stored can still be received.

use smp::error::Error;

use super::Decision;
use crate::queue::{Change, Queue};

pub(super) fn off(queue: &Queue) -> Result<Decision, Error> {
    Ok(if queue.suspended { Decision::ok() } else { Decision::ok().with(Change::Suspended) })
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{applied, blocked, decide, messaging};

    #[test]
    fn suspends_and_may_be_repeated() {
        let queue = applied(messaging(), &decide(&messaging(), Command::Off).unwrap());
        assert!(queue.suspended);
        assert_eq!(decide(&queue, Command::Off), Ok(Decision::ok()));
    }

    #[test]
    fn a_blocked_queue_stays_blocked() {
        let queue = blocked(messaging());
        let queue = applied(queue.clone(), &decide(&queue, Command::Off).unwrap());
        assert!(queue.suspended && queue.blocked.is_some());
    }
}
