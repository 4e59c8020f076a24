//! The commands of recipients, senders and link readers, each with the response it may have.

use crypto::authorize::{AuthPrivateKey, AuthPublicKey};
use smp::command::{Command, LinkData, MessageFlags, NewQueue};
use smp::id::{CorrId, LinkId, MessageId, RecipientId, SenderId};
use smp::response::{QueueDescription, QueueIds, Response};

use super::{Client, ClientError, Event, Request, Violation};

/// A message as the server keeps it; [`smp::delivery`] opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// For acknowledging it.
    pub id: MessageId,
    /// Encrypted by the server for the recipient.
    pub body: Vec<u8>,
}

/// What stands behind a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkContent {
    /// The queue to send to.
    pub sender_id: SenderId,
    /// Encrypted with a key from the link.
    pub data: LinkData,
}

impl Client {
    /// Creates a queue; `key` belongs to the recipient key inside. With link data, the caller has derived the sender ID
    /// from `corr_id`.
    pub async fn create_queue(
        &self,
        queue: NewQueue,
        corr_id: Option<CorrId>,
        key: &AuthPrivateKey,
    ) -> Result<QueueIds, ClientError> {
        let request = Request::new(Command::New(Box::new(queue))).authorized_by(key);
        let request = match corr_id {
            Some(corr_id) => request.with_corr_id(corr_id),
            None => request,
        };
        match self.send(request).await? {
            Response::Ids(ids) => Ok(*ids),
            _ => Err(unexpected("NEW")),
        }
    }

    /// Subscribes to a queue. Messages come as events.
    pub async fn subscribe(&self, queue: &RecipientId, key: &AuthPrivateKey) -> Result<(), ClientError> {
        match self.send(as_recipient(Command::Sub, queue, key)).await? {
            Response::Ok | Response::Sok(_) => Ok(()),
            // Older servers answer with the first message.
            message @ Response::Msg(..) => {
                self.shared.events.push(Event { entity_id: queue.clone().into(), response: Ok(message) });
                Ok(())
            }
            _ => Err(unexpected("SUB")),
        }
    }

    /// Sets the sender's key, as the recipient.
    pub async fn secure(
        &self,
        queue: &RecipientId,
        sender_key: AuthPublicKey,
        key: &AuthPrivateKey,
    ) -> Result<(), ClientError> {
        self.done(as_recipient(Command::Key(sender_key), queue, key), "KEY").await
    }

    /// Replaces the keys that may give the recipient's commands on a contact queue.
    pub async fn set_recipient_keys(
        &self,
        queue: &RecipientId,
        keys: Vec<AuthPublicKey>,
        key: &AuthPrivateKey,
    ) -> Result<(), ClientError> {
        self.done(as_recipient(Command::Rkey(keys), queue, key), "RKEY").await
    }

    /// Acknowledges a message and returns the next one, if it is there already.
    pub async fn acknowledge(
        &self,
        queue: &RecipientId,
        message: &MessageId,
        key: &AuthPrivateKey,
    ) -> Result<Option<Message>, ClientError> {
        message_or_none(self.send(as_recipient(Command::Ack(message.clone()), queue, key)).await?, "ACK")
    }

    /// Receives one message without subscribing.
    pub async fn get_message(&self, queue: &RecipientId, key: &AuthPrivateKey) -> Result<Option<Message>, ClientError> {
        message_or_none(self.send(as_recipient(Command::Get, queue, key)).await?, "GET")
    }

    /// Stops senders for good.
    pub async fn suspend(&self, queue: &RecipientId, key: &AuthPrivateKey) -> Result<(), ClientError> {
        self.done(as_recipient(Command::Off, queue, key), "OFF").await
    }

    /// Deletes a queue with its messages and link.
    pub async fn delete_queue(&self, queue: &RecipientId, key: &AuthPrivateKey) -> Result<(), ClientError> {
        self.done(as_recipient(Command::Del, queue, key), "DEL").await
    }

    /// Describes a queue.
    pub async fn describe(&self, queue: &RecipientId, key: &AuthPrivateKey) -> Result<QueueDescription, ClientError> {
        match self.send(as_recipient(Command::Que, queue, key)).await? {
            Response::Info(description) => Ok(description),
            _ => Err(unexpected("QUE")),
        }
    }

    /// Creates a queue's link, or replaces its mutable data.
    pub async fn set_link(
        &self,
        queue: &RecipientId,
        link: &LinkId,
        data: LinkData,
        key: &AuthPrivateKey,
    ) -> Result<(), ClientError> {
        self.done(as_recipient(Command::Lset(link.clone(), data), queue, key), "LSET").await
    }

    /// Deletes a queue's link.
    pub async fn delete_link(&self, queue: &RecipientId, key: &AuthPrivateKey) -> Result<(), ClientError> {
        self.done(as_recipient(Command::Ldel, queue, key), "LDEL").await
    }

    /// Secures a queue with the sender's own key, as the sender.
    pub async fn secure_as_sender(&self, queue: &SenderId, key: &AuthPrivateKey) -> Result<(), ClientError> {
        let command = Command::Skey(key.public()?);
        self.done(Request::new(command).about(queue.clone()).authorized_by(key), "SKEY").await
    }

    /// Sends a message; `key` exactly if the queue is secured.
    pub async fn send_message(
        &self,
        queue: &SenderId,
        key: Option<&AuthPrivateKey>,
        flags: MessageFlags,
        body: Vec<u8>,
    ) -> Result<(), ClientError> {
        let request = Request::new(Command::Send(flags, body)).about(queue.clone());
        let request = match key {
            Some(key) => request.authorized_by(key),
            None => request,
        };
        self.done(request, "SEND").await
    }

    /// Reads what stands behind a contact link.
    pub async fn get_link(&self, link: &LinkId) -> Result<LinkContent, ClientError> {
        link_content(self.send(Request::new(Command::Lget).about(link.clone())).await?, "LGET")
    }

    /// Reads what stands behind an invitation link, and secures its queue with the sender's own key.
    pub async fn claim_link(&self, link: &LinkId, key: &AuthPrivateKey) -> Result<LinkContent, ClientError> {
        let command = Command::Lkey(key.public()?);
        link_content(self.send(Request::new(command).about(link.clone()).authorized_by(key)).await?, "LKEY")
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> Result<(), ClientError> {
        match self.send(Request::new(Command::Ping)).await? {
            Response::Pong => Ok(()),
            _ => Err(unexpected("PING")),
        }
    }

    async fn done(&self, request: Request<'_>, command: &'static str) -> Result<(), ClientError> {
        match self.send(request).await? {
            Response::Ok => Ok(()),
            _ => Err(unexpected(command)),
        }
    }
}

fn as_recipient<'a>(command: Command, queue: &RecipientId, key: &'a AuthPrivateKey) -> Request<'a> {
    Request::new(command).about(queue.clone()).authorized_by(key)
}

fn message_or_none(response: Response, command: &'static str) -> Result<Option<Message>, ClientError> {
    match response {
        Response::Ok => Ok(None),
        Response::Msg(id, body) => Ok(Some(Message { id, body })),
        _ => Err(unexpected(command)),
    }
}

fn link_content(response: Response, command: &'static str) -> Result<LinkContent, ClientError> {
    match response {
        Response::Lnk(sender_id, data) => Ok(LinkContent { sender_id, data }),
        _ => Err(unexpected(command)),
    }
}

fn unexpected(command: &'static str) -> ClientError {
    Violation::Unexpected(command).into()
}
