//! One queue under load: created, secured, filled by its sender, emptied by its recipient, deleted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crypto::Random;
use crypto::authorize::AuthPrivateKey;
use crypto::boxes::BoxKey;
use crypto::dh::X25519PrivateKey;
use crypto::sign::Ed25519PrivateKey;
use net::client::{Client, ClientError, Message};
use smp::command::{BasicAuth, MessageFlags, NewQueue, QueueRequest};
use smp::delivery::Delivered;
use smp::id::{RecipientId, SenderId};
use tokio::sync::{Semaphore, mpsc};

use crate::tally::Tally;

/// The keys of a queue, all made before the first connection.
pub(crate) struct Keys {
    recipient: AuthPrivateKey,
    sender: AuthPrivateKey,
    delivery: X25519PrivateKey,
}

impl Keys {
    pub(crate) fn generate(random: &mut dyn Random) -> Self {
        Keys {
            recipient: AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(random)),
            sender: AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(random)),
            delivery: X25519PrivateKey::generate(random),
        }
    }
}

/// A queue and both its ends.
pub(crate) struct Flow {
    /// Decides which connections serve it.
    pub(crate) number: usize,
    keys: Keys,
    pub(crate) recipient_id: RecipientId,
    sender_id: SenderId,
    delivery: BoxKey,
    /// When the messages under way were sent, oldest first.
    under_way: Mutex<VecDeque<Instant>>,
    room: Semaphore,
}

/// How messages are made and looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) size: u16,
    pub(crate) window: u8,
    pub(crate) check: bool,
}

impl Flow {
    /// Creates the queue, subscribes and secures it.
    pub(crate) async fn create(
        number: usize,
        keys: Keys,
        recipient: &Client,
        sender: &Client,
        password: Option<BasicAuth>,
        window: u8,
    ) -> Result<Self, ClientError> {
        let queue = NewQueue {
            recipient_key: keys.recipient.public()?,
            dh_key: keys.delivery.public(),
            basic_auth: password,
            subscribe: true,
            request: Some(QueueRequest::Messaging(None)),
            notifier: None,
        };
        let ids = recipient.create_queue(queue, None, &keys.recipient).await?;
        let secured = sender.secure_as_sender(&ids.sender_id, &keys.sender).await;
        let flow = Flow {
            number,
            delivery: BoxKey::agreed(&keys.delivery.agree(&ids.dh_key)),
            keys,
            recipient_id: ids.recipient_id,
            sender_id: ids.sender_id,
            under_way: Mutex::default(),
            room: Semaphore::new(window.into()),
        };
        match secured {
            Ok(()) => Ok(flow),
            Err(error) => {
                // The first failure is the one to report.
                let _ = flow.delete(recipient).await;
                Err(error)
            }
        }
    }

    /// Sends one message after the other, as many as the recipient keeps up with, until it fails or is told to stop.
    pub(crate) async fn send(self: Arc<Self>, client: Client, style: Style, tally: Arc<Tally>) {
        for number in 0_u64.. {
            let Ok(permit) = self.room.acquire().await else { return };
            permit.forget();
            self.under_way().push_back(Instant::now());
            let body = body(number, style.size);
            let sent = client.send_message(&self.sender_id, Some(&self.keys.sender), MessageFlags::default(), body);
            match sent.await {
                Ok(()) => tally.sent(),
                Err(error) => return tally.failed("send", error),
            }
        }
    }

    /// Lets the sender end after the message it is sending.
    pub(crate) fn stop(&self) {
        self.room.close();
    }

    /// Counts and acknowledges every message, those that come as events and those that come as answers.
    pub(crate) async fn receive(
        self: Arc<Self>,
        client: Client,
        mut arriving: mpsc::UnboundedReceiver<Message>,
        style: Style,
        tally: Arc<Tally>,
    ) {
        let mut number = 0;
        while let Some(first) = arriving.recv().await {
            let mut next = Some(first);
            while let Some(message) = next {
                self.take(&message, number, style, &tally);
                number = number.saturating_add(1);
                next = match client.acknowledge(&self.recipient_id, &message.id, &self.keys.recipient).await {
                    Ok(next) => next,
                    Err(error) => return tally.failed("acknowledge", error),
                };
                self.room.add_permits(1);
            }
        }
    }

    fn take(&self, message: &Message, number: u64, style: Style, tally: &Tally) {
        match self.under_way().pop_front() {
            Some(sent_at) => tally.received(sent_at),
            None => tally.failed("check", "a message that nobody sent"),
        }
        if style.check {
            match Delivered::open(&self.delivery, &message.id, &message.body) {
                Ok(Delivered::Message { body: found, .. }) if found == body(number, style.size) => {}
                Ok(Delivered::Message { .. }) => tally.failed("check", "another message than the next one sent"),
                Ok(Delivered::Quota { .. }) => tally.failed("check", "the quota was met"),
                Err(error) => tally.failed("check", error),
            }
        }
    }

    pub(crate) async fn delete(&self, client: &Client) -> Result<(), ClientError> {
        client.delete_queue(&self.recipient_id, &self.keys.recipient).await
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, VecDeque<Instant>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message with this number: the number, as far as it fits, then filler.
fn body(number: u64, size: u16) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(size.into(), b'#');
    body
}
