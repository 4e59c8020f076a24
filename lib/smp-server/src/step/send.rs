//! `SEND`: stores a message under the rules of the quota.

use smp::command::{MAX_BODY, MessageFlags};
use smp::error::Error;
use smp::response::MessageKind;
use store::Ticket;

use super::{Context, Decision, Reply, Sent, refuse_blocked};
use crate::body::Body;
use crate::queue::{Change, Message, Queue};

pub(super) fn send(queue: &Queue, sent: Sent, context: &Context) -> Result<Decision, Error> {
    if sent.body.bytes().len() > MAX_BODY {
        return Err(Error::LargeMessage);
    }
    if queue.suspended {
        return Err(Error::Auth);
    }
    refuse_blocked(queue)?;
    let mut decision = Decision::ok();
    if queue.link.is_some() && queue.is_secured_messaging() {
        decision = decision.with(Change::LinkDeleted);
    }
    let expired = context.expire_before.map(|time| queue.expired(time)).unwrap_or_default();
    let size = queue.messages.len().saturating_sub(expired.len());
    if !expired.is_empty() {
        decision = decision.with(Change::Removed(expired));
    }
    Ok(store(queue, size, sent, decision, context))
}

/// A full queue takes one quota message, then nothing until its recipient has acknowledged everything.
fn store(queue: &Queue, size: usize, sent: Sent, mut decision: Decision, context: &Context) -> Decision {
    if size < context.quota && (size == 0 || queue.is_writable()) {
        let message = message(&sent, MessageKind::Message, sent.flags, context.now);
        return decision.with(Change::Stored(message, sent.body));
    }
    decision.reply = Reply::QuotaMet;
    if size > 0 && !queue.is_writable() {
        return decision;
    }
    let message = message(&sent, MessageKind::Quota, MessageFlags::default(), context.now);
    decision.with(Change::Stored(message, Body::empty()))
}

fn message(sent: &Sent, kind: MessageKind, flags: MessageFlags, now: i64) -> Message {
    Message { row: sent.row, id: sent.id, accepted_at: now, kind, flags, body: None, written: Ticket::START }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::testing::{
        NOW, applied, blocked, blocking, contact, context, linked, message_id, messaging, secured, sent, with_messages,
    };
    use crate::step::{Request, step};
    use crate::subscription::Holding;

    fn send(queue: &Queue, context: &Context) -> Result<Decision, Error> {
        step(queue, Holding::Nothing, Request::Send(sent(10)), context)
    }

    fn kinds(queue: &Queue) -> Vec<MessageKind> {
        queue.messages.iter().map(|message| message.kind).collect()
    }

    #[test]
    fn stores_the_message_as_sent() {
        let decision = send(&messaging(), &context()).unwrap();
        assert_eq!(decision.reply, Reply::Ok);
        let queue = applied(messaging(), &decision);
        let stored = queue.head().unwrap();
        assert_eq!((stored.id, stored.accepted_at, stored.flags.notify), (message_id(100), NOW, true));
    }

    #[test]
    fn the_longest_body_fits() {
        let send = |length| step(&messaging(), Holding::Nothing, Request::Send(sent(length)), &context());
        assert!(send(16_048).is_ok());
        assert_eq!(send(16_049), Err(Error::LargeMessage));
    }

    #[test]
    fn suspended_and_blocked_queues_refuse() {
        let mut suspended = messaging();
        suspended.suspended = true;
        assert_eq!(send(&suspended, &context()), Err(Error::Auth));
        assert_eq!(send(&blocked(messaging()), &context()), Err(Error::Blocked(blocking())));
    }

    #[test]
    fn the_first_message_from_the_settled_sender_ends_a_one_time_link() {
        let queue = secured(linked(messaging()), 5);
        assert_eq!(applied(queue.clone(), &send(&queue, &context()).unwrap()).link, None);
        for queue in [linked(messaging()), secured(linked(contact()), 5)] {
            assert!(applied(queue.clone(), &send(&queue, &context()).unwrap()).link.is_some());
        }
    }

    #[test]
    fn sending_resumes_only_when_everything_is_acknowledged() {
        let context = Context { quota: 2, ..context() };
        let mut queue = with_messages(2);
        let full = send(&queue, &context).unwrap();
        assert_eq!(full.reply, Reply::QuotaMet);
        queue = applied(queue, &full);
        assert_eq!(kinds(&queue), [MessageKind::Message, MessageKind::Message, MessageKind::Quota]);
        for _ in 0..3 {
            let again = send(&queue, &context).unwrap();
            assert_eq!((again.reply, again.changes), (Reply::QuotaMet, Vec::new()), "{:?}", kinds(&queue));
            queue.apply(&Change::Removed(vec![queue.messages[0].row]));
        }
        assert_eq!(send(&queue, &context).unwrap().reply, Reply::Ok);
    }

    #[test]
    fn expired_messages_make_room() {
        let queue = with_messages(2);
        let context = Context { quota: 2, expire_before: Some(NOW + 1), ..context() };
        let decision = send(&queue, &context).unwrap();
        assert_eq!(decision.reply, Reply::Ok);
        let ids: Vec<_> = applied(queue, &decision).messages.iter().map(|message| message.id).collect();
        assert_eq!(ids, [message_id(1), message_id(100)]);
    }

    #[test]
    fn a_quota_message_does_not_expire() {
        let small = Context { quota: 1, ..context() };
        let mut queue = applied(with_messages(1), &send(&with_messages(1), &small).unwrap());
        let later = Context { now: NOW + 1000, expire_before: Some(NOW + 1000), ..small };
        let refused = send(&queue, &later).unwrap();
        assert_eq!(refused.reply, Reply::QuotaMet);
        queue = applied(queue, &refused);
        assert_eq!(kinds(&queue), [MessageKind::Quota]);
        queue.apply(&Change::Removed(vec![queue.messages[0].row]));
        assert_eq!(send(&queue, &later).unwrap().reply, Reply::Ok);
    }
}
