//! What becomes of messages on their way: taken, kept back because the peer's queue is full, given up.

use super::outbox::Kind;
use super::retry::Pace;
use super::{Connection, Event, Phase, TaskFault, TaskId};
use crate::time::Env;

impl Connection {
    /// The server has the message.
    pub(super) fn sent(&mut self, number: i64, events: &mut Vec<Event>) {
        let Phase::Talking(talking) = &mut self.phase else { return };
        if talking.talk.outbox.first_if(number).is_none() {
            return;
        }
        let Some(message) = talking.talk.outbox.pop() else { return };
        self.dirty.outgoing.insert(number);
        if message.is_confirmation() {
            self.confirmation_sent(events);
        }
        match message.kind() {
            Kind::Application => events.push(Event::Sent { number }),
            Kind::Hello => self.hello_sent(events),
            Kind::Other => {}
        }
        self.finish_delivery(events);
    }

    /// The peer's queue is full. A confirmation does not wait for that: nobody would empty the queue before it.
    pub(super) fn quota_exceeded(&mut self, number: i64, events: &mut Vec<Event>, env: &mut Env<'_>) -> bool {
        if self.is_confirmation(number) {
            return false;
        }
        self.delay(&TaskId::Send(number), Pace::Slow, env);
        events.push(Event::QuotaExceeded { number });
        self.give_up_old(Pace::Slow, events, env);
        self.expire_deletion(events, env);
        true
    }

    /// Messages that have waited for too long are dropped, the oldest first.
    pub(super) fn give_up_old(&mut self, pace: Pace, events: &mut Vec<Event>, env: &Env<'_>) {
        loop {
            let Phase::Talking(talking) = &self.phase else { return };
            let Some(first) = talking.talk.outbox.first() else { return };
            if env.now.since(first.created) <= pace.patience() {
                return;
            }
            let number = first.number;
            let fault = TaskFault::Expired(TaskId::Send(number));
            if self.is_handshake(number) {
                self.stopped = Some((TaskId::Send(number), fault.clone()));
                events.push(Event::Stopped(fault));
                return;
            }
            self.not_sent(number, fault, events);
        }
    }

    /// The message will not be sent.
    pub(super) fn not_sent(&mut self, number: i64, fault: TaskFault, events: &mut Vec<Event>) {
        let Phase::Talking(talking) = &mut self.phase else { return };
        if talking.talk.outbox.first_if(number).is_none() {
            return;
        }
        let message = talking.talk.outbox.pop();
        self.retries.remove(&TaskId::Send(number));
        self.dirty.outgoing.insert(number);
        if message.is_some_and(|message| message.kind() == Kind::Application) {
            events.push(Event::NotSent { number, fault });
        }
        self.finish_delivery(events);
    }

    /// Whether a refused confirmation is to be sent once more, authorised.
    pub(super) fn repeats_authorized(&mut self, number: i64) -> bool {
        if !self.is_confirmation(number) {
            return false;
        }
        let Phase::Talking(talking) = &mut self.phase else { return false };
        talking.send.may_be_secured()
    }

    fn is_confirmation(&self, number: i64) -> bool {
        self.talk().and_then(|talk| talk.outbox.get(number)).is_some_and(|message| message.is_confirmation())
    }

    /// Messages without which the connection does not come to stand.
    pub(super) fn is_handshake(&self, number: i64) -> bool {
        let message = self.talk().and_then(|talk| talk.outbox.get(number));
        message.is_some_and(|message| message.is_confirmation() || message.kind() == Kind::Hello)
    }
}
