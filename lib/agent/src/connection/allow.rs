//! Allowing whoever joined: our queue to the peer, and our confirmation.

use super::send_queue::SendQueue;
use super::{Confirmed, Connection, ConnectionError, Event, Hello, Phase, SendStatus, Stage, Talking};
use crate::message::DecryptedMessage;
use crate::time::Env;

impl Connection {
    /// Lets the peer in, and tells it about us. To refuse it instead, delete the connection; nothing is sent then.
    pub fn allow(&mut self, info: Vec<u8>, env: &mut Env<'_>) -> Result<(), ConnectionError> {
        let step = "allow";
        if self.ending.is_some() {
            return Err(self.prohibited(step));
        }
        let number = match &mut self.phase {
            Phase::Confirmed(confirmed) => confirmed.talk.confirm(&DecryptedMessage::Info(info), None, env.now)?,
            _ => return Err(self.prohibited(step)),
        };
        self.dirty.outgoing.insert(number);
        self.dirty.core = true;
        self.dirty.position = true;
        let mut owes = false;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Confirmed(confirmed) => {
                let Confirmed { queue, talk, reply, owes_continue, .. } = *confirmed;
                owes = owes_continue;
                let send = SendQueue::new(reply, env.random);
                let hello = (!send.sender_secures()).then_some(Hello { first: false, sent: false, heard: false });
                Phase::Talking(Box::new(Talking { queue, send, talk, stage: Stage::Allowed, hello }))
            }
            other => other,
        };
        if owes {
            self.tell_queue_continues(env);
        }
        Ok(())
    }

    /// The server has our confirmation.
    pub(super) fn confirmation_sent(&mut self, events: &mut Vec<Event>) {
        let Phase::Talking(talking) = &mut self.phase else { return };
        self.dirty.core = true;
        match (talking.stage, talking.hello) {
            (Stage::Allowed, None) => {
                talking.send.status = SendStatus::Active;
                self.connected(events);
            }
            (Stage::Allowed, Some(_)) => {
                talking.send.status = SendStatus::Confirmed;
                talking.stage = Stage::Greeting;
            }
            (Stage::Joined | Stage::Greeting | Stage::Connected, _) => talking.send.status = SendStatus::Confirmed,
        }
    }
}
