//! `GET`: hands out the head without subscribing.

use smp::error::{CommandError, Error};

use super::{Decision, Reply};
use crate::queue::Queue;
use crate::subscription::Holding;

pub(super) fn get(queue: &Queue, holding: Holding) -> Result<Decision, Error> {
    if matches!(holding, Holding::Subscribed { .. }) {
        return Err(CommandError::Prohibited.into());
    }
    let (reply, delivered) = match queue.head() {
        Some(head) => (Reply::Message(head.clone()), Some(head.id)),
        None => (Reply::Ok, None),
    };
    Ok(Decision::reply(reply).holding(Holding::GetOnly { delivered }))
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{context, decide, message_id, messaging, with_messages};
    use crate::step::{Request, step};

    #[test]
    fn hands_out_the_head_and_keeps_it() {
        let queue = with_messages(2);
        let decision = decide(&queue, Command::Get).unwrap();
        assert_eq!(decision.reply, Reply::Message(queue.messages[0].clone()));
        assert_eq!(decision.holding, Some(Holding::GetOnly { delivered: Some(message_id(0)) }));
        assert!(decision.changes.is_empty());
    }

    #[test]
    fn an_empty_queue_is_ok_and_excludes_sub() {
        let decision = decide(&messaging(), Command::Get).unwrap();
        assert_eq!(decision.reply, Reply::Ok);
        assert_eq!(decision.holding, Some(Holding::GetOnly { delivered: None }));
    }

    #[test]
    fn a_subscription_excludes_get() {
        let held = Holding::Subscribed { delivered: None };
        let refused = step(&messaging(), held, Request::Other(Command::Get), &context());
        assert_eq!(refused, Err(CommandError::Prohibited.into()));
    }
}
