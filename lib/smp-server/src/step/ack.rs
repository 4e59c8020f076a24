//! `ACK`: removes the delivered message; a subscriber gets the next one in reply.

use smp::error::Error;
use smp::id::MessageId;

use super::{Decision, Reply};
use crate::queue::{Change, MessageKey, Queue};
use crate::subscription::Holding;

pub(super) fn ack(queue: &Queue, holding: Holding, id: &MessageId) -> Result<Decision, Error> {
    let delivered = holding.delivered().filter(|delivered| delivered == id.as_bytes()).ok_or(Error::NoMessage)?;
    let decision = match holding {
        Holding::GetOnly { .. } => Decision::ok().holding(Holding::GetOnly { delivered: None }),
        _ => deliver_next(queue, delivered),
    };
    Ok(match queue.head() {
        Some(head) if head.id == delivered => decision.with(Change::Removed(vec![head.row])),
        _ => decision,
    })
}

/// What will be the head once the acknowledged message is gone; somebody else may have removed it already.
fn deliver_next(queue: &Queue, acknowledged: MessageKey) -> Decision {
    let next = queue.messages.get(usize::from(is_head(queue, &acknowledged)));
    let reply = next.map_or(Reply::Ok, |message| Reply::Message(message.clone()));
    Decision::reply(reply).holding(Holding::Subscribed { delivered: next.map(|message| message.id) })
}

fn is_head(queue: &Queue, id: &MessageKey) -> bool {
    queue.head().is_some_and(|head| head.id == *id)
}

#[cfg(test)]
mod tests {
    use smp::command::Command;

    use super::*;
    use crate::step::testing::{applied, context, message_id, with_messages};
    use crate::step::{Request, step};

    fn ack(queue: &Queue, holding: Holding, number: u8) -> Result<Decision, Error> {
        step(queue, holding, Request::Other(Command::Ack(message_id(number).into())), &context())
    }

    fn subscribed(number: u8) -> Holding {
        Holding::Subscribed { delivered: Some(message_id(number)) }
    }

    fn got(number: u8) -> Holding {
        Holding::GetOnly { delivered: Some(message_id(number)) }
    }

    #[test]
    fn a_subscriber_gets_the_next_message_then_ok() {
        let queue = with_messages(2);
        let first = ack(&queue, subscribed(0), 0).unwrap();
        assert_eq!(first.reply, Reply::Message(queue.messages[1].clone()));
        assert_eq!(first.holding, Some(subscribed(1)));
        let queue = applied(queue, &first);
        let second = ack(&queue, subscribed(1), 1).unwrap();
        assert_eq!((&second.reply, second.holding), (&Reply::Ok, Some(Holding::Subscribed { delivered: None })));
        assert!(applied(queue, &second).messages.is_empty());
    }

    #[test]
    fn a_getter_gets_ok_even_if_more_wait() {
        let queue = with_messages(2);
        let decision = ack(&queue, got(0), 0).unwrap();
        assert_eq!((&decision.reply, decision.holding), (&Reply::Ok, Some(Holding::GetOnly { delivered: None })));
        assert_eq!(applied(queue, &decision).messages.len(), 1);
    }

    #[test]
    fn only_the_delivered_message_can_be_acknowledged() {
        let queue = with_messages(2);
        let nothing_delivered = Holding::Subscribed { delivered: None };
        for holding in [Holding::Nothing, nothing_delivered, subscribed(1), got(1)] {
            assert_eq!(ack(&queue, holding, 0), Err(Error::NoMessage), "{holding:?}");
        }
        let empty = Request::Other(Command::Ack(MessageId::default()));
        assert_eq!(step(&queue, subscribed(0), empty, &context()), Err(Error::NoMessage));
    }

    #[test]
    fn a_message_removed_by_somebody_else_is_acknowledged_without_losing_the_next() {
        let mut queue = with_messages(2);
        queue.apply(&Change::Removed(vec![0]));
        let subscriber = ack(&queue, subscribed(0), 0).unwrap();
        assert_eq!(subscriber.reply, Reply::Message(queue.messages[0].clone()));
        assert!(subscriber.changes.is_empty());
        let getter = ack(&queue, got(0), 0).unwrap();
        assert_eq!((getter.reply, getter.changes), (Reply::Ok, Vec::new()));
    }
}
