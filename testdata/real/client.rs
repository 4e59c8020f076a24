//! Ordinary clients, and queues with all their keys.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crypto::SeededRandom;
use crypto::authorize::AuthPrivateKey;
use crypto::boxes::BoxKey;
use crypto::dh::X25519PrivateKey;
use crypto::sign::Ed25519PrivateKey;
use net::client::{Client, ClientError, ClientOptions, Events, Message, Request};
use net::handshake::{ClientConnection, ConnectError, ConnectOptions, connect};
use net::tls::Connector;
use smp::address::ServerAddress;
use smp::command::{Command, MessageFlags, NewQueue, QueueRequest};
use smp::delivery::Delivered;
use smp::id::{RecipientId, SenderId};
use smp::response::Response;

use crate::server::soon;

/// Both sides share two busy cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// Randomness that no other call gets.
pub(crate) fn random() -> SeededRandom {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    SeededRandom::new(&[7; 32], &CALLS.fetch_add(1, Ordering::Relaxed).to_string())
}

/// A session without anybody who reads or writes.
pub(crate) async fn open(server: &ServerAddress) -> Result<ClientConnection, ConnectError> {
    let options = ConnectOptions { timeout: PATIENCE, ..ConnectOptions::default() };
    connect(server, &Connector::new().unwrap(), options, X25519PrivateKey::generate(&mut random())).await
}

pub(crate) async fn dial(server: &ServerAddress) -> Result<(Client, Events), ConnectError> {
    let options = ClientOptions { command_timeout: PATIENCE, ..ClientOptions::default() };
    Ok(Client::start(open(server).await?, options, Box::new(random())))
}

/// A queue and the keys of both its ends.
pub(crate) struct Queue {
    pub(crate) recipient_id: RecipientId,
    pub(crate) sender_id: SenderId,
    pub(crate) recipient_key: AuthPrivateKey,
    pub(crate) sender_key: AuthPrivateKey,
    delivery: BoxKey,
}

impl Queue {
    /// Creates a queue for one sender and secures it.
    pub(crate) async fn create(client: &Client) -> Result<Self, ClientError> {
        let queue = Self::request(client, QueueRequest::Messaging(None)).await?;
        client.secure_as_sender(&queue.sender_id, &queue.sender_key).await?;
        Ok(queue)
    }

    /// Creates a queue that may have a public link.
    pub(crate) async fn create_contact(client: &Client) -> Result<Self, ClientError> {
        Self::request(client, QueueRequest::Contact(None)).await
    }

    async fn request(client: &Client, request: QueueRequest) -> Result<Self, ClientError> {
        let random = &mut random();
        let recipient_key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(random));
        let delivery = X25519PrivateKey::generate(random);
        let new = NewQueue {
            recipient_key: recipient_key.public()?,
            dh_key: delivery.public(),
            basic_auth: None,
            subscribe: false,
            request: Some(request),
            notifier: None,
        };
        let ids = client.create_queue(new, None, &recipient_key).await?;
        Ok(Queue {
            recipient_id: ids.recipient_id,
            sender_id: ids.sender_id,
            recipient_key,
            sender_key: AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(random)),
            delivery: BoxKey::agreed(&delivery.agree(&ids.dh_key)),
        })
    }

    /// The command that sends `body`.
    pub(crate) fn sending(&self, body: Vec<u8>) -> Request<'_> {
        let command = Command::Send(MessageFlags::default(), body);
        Request::new(command).about(self.sender_id.clone()).authorized_by(&self.sender_key)
    }

    pub(crate) async fn send(&self, client: &Client, body: Vec<u8>) -> Result<(), ClientError> {
        client.send(self.sending(body)).await.map(|response| assert_eq!(response, Response::Ok))
    }

    pub(crate) async fn subscribe(&self, client: &Client) -> Result<(), ClientError> {
        client.subscribe(&self.recipient_id, &self.recipient_key).await
    }

    /// Says that a message has arrived; the next one comes in return if there is one.
    pub(crate) async fn acknowledge(&self, client: &Client, message: &Message) -> Result<Option<Message>, ClientError> {
        client.acknowledge(&self.recipient_id, &message.id, &self.recipient_key).await
    }

    pub(crate) async fn delete(&self, client: &Client) -> Result<(), ClientError> {
        client.delete_queue(&self.recipient_id, &self.recipient_key).await
    }

    /// What the sender sent; `None` says that it met the quota.
    pub(crate) fn decrypt(&self, message: &Message) -> Option<Vec<u8>> {
        match Delivered::open(&self.delivery, &message.id, &message.body).unwrap() {
            Delivered::Message { body, .. } => Some(body),
            Delivered::Quota { .. } => None,
        }
    }
}

/// The next message that the server pushes; `None` when the session has ended.
pub(crate) async fn pushed(events: &mut Events) -> Option<Message> {
    let event = soon("a message", events.next()).await?;
    match event.response.unwrap() {
        Response::Msg(id, body) => Some(Message { id, body }),
        other => panic!("not a message: {other:?}"),
    }
}
