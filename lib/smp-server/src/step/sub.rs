//! `SUB`: new messages are pushed to this connection from now on.

use smp::error::{CommandError, Error};

use super::{Decision, Reply};
use crate::subscription::Holding;

/// Subscribing again forgets what was delivered, so that the head is delivered once more.
pub(super) fn sub(holding: Holding) -> Result<Decision, Error> {
    match holding {
        Holding::GetOnly { .. } => Err(CommandError::Prohibited.into()),
        Holding::Nothing | Holding::Subscribed { .. } => {
            Ok(Decision::reply(Reply::Subscribed).holding(Holding::Subscribed { delivered: None }))
        }
    }
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{blocked, blocking, context, decide, message_id, messaging};
    use crate::step::{Request, step};

    #[test]
    fn subscribes_and_subscribes_again() {
        for held in [Holding::Nothing, Holding::Subscribed { delivered: Some(message_id(0)) }] {
            let decision = step(&messaging(), held, Request::Other(Command::Sub), &context()).unwrap();
            assert_eq!(decision.reply, Reply::Subscribed);
            assert_eq!(decision.holding, Some(Holding::Subscribed { delivered: None }));
            assert!(decision.changes.is_empty());
        }
    }

    #[test]
    fn get_excludes_sub() {
        let held = Holding::GetOnly { delivered: None };
        let refused = step(&messaging(), held, Request::Other(Command::Sub), &context());
        assert_eq!(refused, Err(CommandError::Prohibited.into()));
    }

    #[test]
    fn a_blocked_queue_says_why() {
        assert_eq!(decide(&blocked(messaging()), Command::Sub), Err(Error::Blocked(blocking())));
    }
}
