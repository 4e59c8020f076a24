//! A connection whose two sides are worked by hand, over one session with a server: what agents do, without agents.

use agent::connection::{
    Connection, Event, InviteLink, JoinLink, Outcome, QueuePlan, SendOptions, Settings, Subscription, TaskId,
};
use agent::ratchet::Pq;
use agent::time::Env;
use crypto::SeededRandom;
use crypto::authorize::AuthPrivateKey;
use net::client::{Client, ClientError, Events, Request};
use smp::address::ServerAddress;
use smp::id::{MessageId, RecipientId};
use smp::response::Response;

use crate::Failure;
use crate::connections::now;

/// A session with the server through which both sides work.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) events: Events,
    /// A message that came with an answer.
    pub(crate) next: Option<(MessageId, Vec<u8>)>,
    pub(crate) random: SeededRandom,
}

/// Both sides of a connection as it stands in a group with a relay.
pub(crate) struct Line {
    pub(crate) relay: Connection,
    pub(crate) member: Connection,
    /// With which the relay authorises what it sends.
    pub(crate) sender_key: AuthPrivateKey,
}

impl Session {
    /// Connects a relay with a member.
    pub(crate) async fn connect(&mut self, server: &ServerAddress) -> Result<Line, Failure> {
        let settings = Settings { pq: Pq::Off, ..Settings::default() };
        let mut env = Env { now: now(), random: &mut self.random };
        let plan = QueuePlan::at(server.clone());
        let mut member = Connection::invite(plan.clone(), InviteLink::default(), &settings, &mut env)?;
        self.work(&mut member).await?;
        let link = member.invitation().ok_or("no invitation")?;
        let mut env = Env { now: now(), random: &mut self.random };
        let mut relay = Connection::open(JoinLink::Full(Box::new(link.full)), &settings, &mut env);
        relay.join(plan, b"relay".to_vec(), &mut env)?;
        let sender_key = self.work(&mut relay).await?.ok_or("a queue that nobody secured")?;
        self.hear(&mut member).await?;
        member.allow(b"member".to_vec(), &mut Env { now: now(), random: &mut self.random })?;
        self.work(&mut member).await?;
        self.hear(&mut relay).await?;
        for side in [&mut relay, &mut member] {
            self.work(side).await?;
            side.heard();
            side.take_changes();
        }
        if !relay.can_rest(now()) {
            return Err("a handshake that is not over".into());
        }
        Ok(Line { relay, member, sender_key })
    }

    /// Sends a message.
    pub(crate) async fn say(&mut self, side: &mut Connection, body: &[u8]) -> Result<(), Failure> {
        side.send(body, SendOptions::default(), &mut Env { now: now(), random: &mut self.random })?;
        self.work(side).await.map(drop)
    }

    /// The next message of the application, which is acknowledged.
    pub(crate) async fn listen(&mut self, side: &mut Connection) -> Result<Vec<u8>, Failure> {
        let event = self.hear(side).await?.into_iter().next();
        let Some(Event::Message(message)) = event else { return Err(format!("no message, but {event:?}").into()) };
        let mut env = Env { now: now(), random: &mut self.random };
        side.acknowledge(&message.id, None, &mut env)?;
        self.work(side).await?;
        Ok(message.body)
    }

    /// Takes the next message of a queue.
    async fn hear(&mut self, side: &mut Connection) -> Result<Vec<Event>, Failure> {
        let queue = side.subscribed_queue().cloned().ok_or("no queue")?;
        if let Some((id, body)) = self.next.take() {
            let events = side.receive(id, &body, &mut Env { now: now(), random: &mut self.random });
            self.work(side).await?;
            return Ok(events);
        }
        loop {
            let event = self.events.next().await.ok_or("the session has ended")?;
            if RecipientId::from(event.entity_id) == queue
                && let Ok(Response::Msg(id, body)) = event.response
            {
                let events = side.receive(id, &body, &mut Env { now: now(), random: &mut self.random });
                self.work(side).await?;
                return Ok(events);
            }
        }
    }

    /// Runs everything that is due for one side; the key with which it secured the peer's queue, if it did.
    async fn work(&mut self, side: &mut Connection) -> Result<Option<AuthPrivateKey>, Failure> {
        let mut secured = None;
        while let Some(id) = side.due(now()).into_iter().next() {
            let task = side.task(&id, &mut Env { now: now(), random: &mut self.random })?;
            let mut request = Request::new(task.command).about(task.entity_id);
            if let Some(key) = &task.key {
                request = request.authorized_by(key);
            }
            if let Some(corr_id) = task.corr_id {
                request = request.with_corr_id(corr_id);
            }
            let response = match self.client.send(request).await {
                Err(ClientError::Refused(error)) => Response::Err(error),
                other => other?,
            };
            // The answer to an acknowledgement may bring the next message.
            if let Response::Msg(id, body) = &response {
                self.next = Some((id.clone(), body.clone()));
            }
            if id == TaskId::SecureSendQueue {
                secured.clone_from(&task.key);
            }
            let events =
                side.finish(&id, Outcome::Answered(response), &mut Env { now: now(), random: &mut self.random });
            if let Some(fault) = events.iter().find(|event| matches!(event, Event::Stopped(_) | Event::NotSent { .. }))
            {
                return Err(format!("{fault:?}").into());
            }
        }
        Ok(secured)
    }

    /// Receives from the queue of one side.
    pub(crate) async fn subscribe(&mut self, side: &mut Connection) -> Result<(), Failure> {
        let Subscription { queue, key, .. } = side.subscription().ok_or("no queue")?;
        Ok(self.client.subscribe(&queue, &key).await?)
    }
}
