//! The queue through which a connection sends: the peer's, at the peer's server.

use codec::{Malformed, Reader, Write};
use crypto::dh::{SharedSecret, X25519PrivateKey, X25519PublicKey};
use crypto::sign::Ed25519PrivateKey;
use crypto::{BoxKey, Nonce, Random};
use smp::address::ServerAddress;
use smp::command::{Command, MessageFlags};
use smp::envelope::{Envelope, PrivateHeader, PublicHeader};
use smp::queue_address::{QueueInfo, QueueMode};

use super::fault::ConnectionError;
use super::outbox::Outgoing;
use super::stored::{auth, put_auth_key, put_value, put_x25519, take_auth_key, take_shared, take_value, take_x25519};
use super::task::Task;
use crate::ratchet::Ratchet;

/// How far a send queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendStatus {
    /// We have keys for it.
    New,
    /// We have secured it.
    Secured,
    /// The server has our confirmation.
    Confirmed,
    /// We use it.
    Active,
}

pub(super) struct SendQueue {
    pub(super) info: QueueInfo,
    pub(super) status: SendStatus,
    auth_key: Ed25519PrivateKey,
    /// Kept for repeated confirmations, which must carry the same key.
    e2e_key: X25519PrivateKey,
    secret: SharedSecret,
    /// The server refused our confirmation as coming from anybody: an earlier one, whose answer we did not get, may have
    /// led the recipient to secure its queue for us. Not kept, because the server says so again.
    secured_for_us: bool,
}

impl SendQueue {
    pub(super) fn server(&self) -> &ServerAddress {
        &self.info.address.server
    }

    pub(super) fn new(info: QueueInfo, random: &mut dyn Random) -> Self {
        Self::with_key(info, Ed25519PrivateKey::generate(random), SendStatus::New, random)
    }

    /// The queue of a short link that was read with this key, and is secured thereby.
    pub(super) fn claimed(info: QueueInfo, auth_key: Ed25519PrivateKey, random: &mut dyn Random) -> Self {
        Self::with_key(info, auth_key, SendStatus::Secured, random)
    }

    fn with_key(info: QueueInfo, auth_key: Ed25519PrivateKey, status: SendStatus, random: &mut dyn Random) -> Self {
        let e2e_key = X25519PrivateKey::generate(random);
        let secret = e2e_key.agree(&info.address.dh_key);
        SendQueue { info, status, auth_key, e2e_key, secret, secured_for_us: false }
    }

    /// Whether we secure the queue; otherwise its recipient does, with the key in our confirmation.
    pub(super) fn sender_secures(&self) -> bool {
        self.info.address.mode == Some(QueueMode::Messaging)
    }

    pub(super) fn needs_securing(&self) -> bool {
        self.sender_secures() && self.status == SendStatus::New
    }

    /// A confirmation was refused. Whether it may be accepted with our authorization.
    pub(super) fn may_be_secured(&mut self) -> bool {
        let untried = !self.sender_secures() && !self.secured_for_us;
        self.secured_for_us |= untried;
        untried
    }

    pub(super) fn secure(&self) -> Result<Task, ConnectionError> {
        let key = auth(&self.auth_key).public().map_err(|_| ConnectionError::Library)?;
        Ok(self.task(true, Command::Skey(key)))
    }

    /// The first message: it carries our key, and the recipient may have to secure its queue for us.
    pub(super) fn send_confirmation(
        &self,
        message: &Outgoing,
        ratchet: &Ratchet,
        agent: u16,
        random: &mut dyn Random,
    ) -> Result<Task, ConnectionError> {
        let public = auth(&self.auth_key).public().map_err(|_| ConnectionError::Library)?;
        let header = match self.sender_secures() {
            true => PrivateHeader::Empty,
            false => PrivateHeader::SenderKey(public),
        };
        let body = self.seal(Some(self.e2e_key.public()), &header, message, ratchet, agent, random)?;
        let authorized = self.sender_secures() || self.secured_for_us;
        Ok(self.task(authorized, Command::Send(MessageFlags { notify: true }, body)))
    }

    /// Any later message.
    pub(super) fn send(
        &self,
        message: &Outgoing,
        ratchet: &Ratchet,
        agent: u16,
        random: &mut dyn Random,
    ) -> Result<Task, ConnectionError> {
        let body = self.seal(None, &PrivateHeader::Empty, message, ratchet, agent, random)?;
        Ok(self.task(true, Command::Send(MessageFlags { notify: message.notify }, body)))
    }

    fn seal(
        &self,
        sender_key: Option<X25519PublicKey>,
        private: &PrivateHeader,
        message: &Outgoing,
        ratchet: &Ratchet,
        agent: u16,
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, ConnectionError> {
        let header = PublicHeader { version: self.info.version, sender_key };
        let (key, nonce) = (BoxKey::agreed(&self.secret), Nonce::random(random));
        let mut outcome = Ok(());
        let put = |out: &mut Vec<u8>| outcome = message.put_envelope(agent, ratchet, out);
        let sealed = Envelope::seal_with(&header, &key, nonce, private, put);
        outcome?;
        sealed.map_err(|_| ConnectionError::Library)
    }

    fn task(&self, authorized: bool, command: Command) -> Task {
        let address = &self.info.address;
        let key = authorized.then(|| auth(&self.auth_key));
        let entity_id = address.sender_id.clone().into();
        Task { server: address.server.clone(), corr_id: None, entity_id, key, command }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_value(out, &self.info);
        out.put(&[self.status.letter()]);
        put_auth_key(out, &self.auth_key);
        put_x25519(out, &self.e2e_key);
        out.put(self.secret.expose());
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(SendQueue {
            info: take_value(reader)?,
            status: SendStatus::from_letter(reader.u8()?)?,
            auth_key: take_auth_key(reader)?,
            e2e_key: take_x25519(reader)?,
            secret: take_shared(reader)?,
            secured_for_us: false,
        })
    }
}

impl SendStatus {
    fn letter(self) -> u8 {
        match self {
            SendStatus::New => b'N',
            SendStatus::Secured => b'S',
            SendStatus::Confirmed => b'C',
            SendStatus::Active => b'A',
        }
    }

    fn from_letter(letter: u8) -> Result<Self, Malformed> {
        Ok(match letter {
            b'N' => SendStatus::New,
            b'S' => SendStatus::Secured,
            b'C' => SendStatus::Confirmed,
            b'A' => SendStatus::Active,
            _ => return Err(Malformed::BadValue("status of send queue")),
        })
    }
}
