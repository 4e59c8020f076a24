//! What a connection holds of a queue, and when a message is pushed to it.

use crate::queue::{Message, MessageKey, Queue};

/// What one connection holds of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Holding {
    /// Neither subscribed nor asked.
    #[default]
    Nothing,
    /// New messages are pushed here, one at a time.
    Subscribed {
        /// The message that was pushed and not acknowledged.
        delivered: Option<MessageKey>,
    },
    /// `GET` was used, which excludes subscribing until the connection closes.
    GetOnly {
        /// The message that was handed out and not acknowledged.
        delivered: Option<MessageKey>,
    },
}

impl Holding {
    /// The message that waits for its `ACK` here.
    pub fn delivered(self) -> Option<MessageKey> {
        match self {
            Self::Nothing => None,
            Self::Subscribed { delivered } | Self::GetOnly { delivered } => delivered,
        }
    }
}

/// The message to push now: the head, unless an earlier message waits for its `ACK`.
pub fn next_to_push(queue: &Queue, holding: Holding) -> Option<&Message> {
    match holding {
        Holding::Subscribed { delivered: None } if queue.blocked.is_none() => queue.head(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::testing;

    #[test]
    fn one_message_is_in_flight_per_subscription() {
        let queue = testing::with_messages(2);
        let idle = Holding::Subscribed { delivered: None };
        let head = next_to_push(&queue, idle).map(|message| message.id);
        assert_eq!(head, Some(testing::message_id(0)));
        assert_eq!(next_to_push(&queue, Holding::Subscribed { delivered: head }), None);
    }

    #[test]
    fn nothing_is_pushed_to_those_who_did_not_subscribe() {
        let queue = testing::with_messages(1);
        assert_eq!(next_to_push(&queue, Holding::Nothing), None);
        assert_eq!(next_to_push(&queue, Holding::GetOnly { delivered: None }), None);
    }
}
