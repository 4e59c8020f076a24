//! `QUE`: describes the queue to its recipient, for debugging.

use codec::text;
use codec::time::UtcTime;
use smp::error::Error;
use smp::response::{HeadDescription, QueueDescription, SubscriptionDescription, SubscriptionState};

use super::{Decision, Reply};
use crate::queue::{Message, Queue};
use crate::subscription::Holding;

pub(super) fn que(queue: &Queue, holding: Holding) -> Result<Decision, Error> {
    Ok(Decision::reply(Reply::Description(QueueDescription {
        secured: queue.sender_key.is_some(),
        notifier: false,
        subscription: subscription(holding),
        size: u64::try_from(queue.messages.len()).unwrap_or(u64::MAX),
        head: queue.head().map(head),
    })))
}

/// Messages are pushed by the connection itself and never wait in a thread of their own, hence `noSub`.
fn subscription(holding: Holding) -> Option<SubscriptionDescription> {
    let state = match holding {
        Holding::Nothing => return None,
        Holding::Subscribed { .. } => SubscriptionState::NoSub,
        Holding::GetOnly { .. } => SubscriptionState::ProhibitSub,
    };
    let delivered = holding.delivered().map(|id| text::base64_standard(&id));
    Some(SubscriptionDescription { state, delivered })
}

fn head(message: &Message) -> HeadDescription {
    HeadDescription {
        id: text::base64_standard(&message.id),
        time: UtcTime::from_seconds(message.accepted_at).to_string(),
        kind: message.kind,
    }
}

#[cfg(test)]
mod tests {
    use smp::command::Command;
    use smp::response::Response;

    use super::*;
    use crate::step::testing::{context, message_id, messaging, secured, with_messages};
    use crate::step::{Request, step};

    fn json(queue: &Queue, holding: Holding) -> String {
        let decision = step(queue, holding, Request::Other(Command::Que), &context()).unwrap();
        let Reply::Description(description) = decision.reply else { panic!("{decision:?}") };
        String::from_utf8(Response::Info(description).to_bytes(18)).unwrap()
    }

    #[test]
    fn describes_an_empty_queue_to_a_stranger() {
        assert_eq!(json(&messaging(), Holding::Nothing), r#"INFO {"qiSnd":false,"qiNtf":false,"qiSize":0}"#);
    }

    #[test]
    fn describes_head_and_subscription() {
        let queue = secured(with_messages(2), 5);
        let held = Holding::Subscribed { delivered: Some(message_id(0)) };
        let id = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let expected = format!(
            r#"INFO {{"qiSnd":true,"qiNtf":false,"qiSub":{{"qSubThread":"noSub","qDelivered":"{id}"}},"qiSize":2,"qiMsg":{{"msgId":"{id}","msgTs":"2025-06-15T15:06:40Z","msgType":"message"}}}}"#
        );
        assert_eq!(json(&queue, held), expected);
    }
}
