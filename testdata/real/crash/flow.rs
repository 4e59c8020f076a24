//! A queue with a sender and a recipient who never rest.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use net::client::{Client, ClientError, Message, PendingResponse};
use smp::error::Error;
use smp::id::MessageId;
use tokio::sync::watch;

use super::load::{Load, Session, unless_killed};
use crate::client::{Queue, pushed};
use crate::server::soon;

/// Commands that a sender has under way.
const PIPELINE: usize = 8;
/// The body of the last message.
const END: &[u8] = b"end";

pub(super) struct Flow {
    number: u32,
    queue: Queue,
    /// How often the recipient, after the sender met the quota, has acknowledged everything.
    emptied: watch::Sender<u64>,
}

/// What a sender was told of its messages; of the others it knows nothing.
#[derive(Default)]
pub(super) struct Sent {
    last: u64,
    accepted: BTreeSet<u64>,
    /// Refused, or never on its way.
    refused: BTreeSet<u64>,
}

/// What a recipient got.
#[derive(Default)]
pub(super) struct Received {
    session: u32,
    /// The last message, and the session in which it came.
    last: Option<(Message, u32)>,
    known: HashSet<MessageId>,
    acknowledged: HashSet<MessageId>,
    numbers: Vec<u64>,
    again: u32,
}

/// A message on its way.
struct UnderWay {
    number: u64,
    response: PendingResponse,
    emptied: u64,
}

impl Flow {
    pub(super) async fn create(number: u32, client: &Client) -> Arc<Self> {
        let queue = Queue::create(client).await.unwrap();
        Arc::new(Flow { number, queue, emptied: watch::Sender::default() })
    }

    /// Numbers its messages, and sends a last one in the end.
    pub(super) async fn send(self: Arc<Self>, load: Load) -> Sent {
        let mut sent = Sent::default();
        loop {
            let session = load.session().await;
            if session.is_last {
                self.send_end(session).await;
                return sent;
            }
            self.send_until_killed(session, &load, &mut sent).await;
        }
    }

    async fn send_until_killed(&self, mut session: Session, load: &Load, sent: &mut Sent) {
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < PIPELINE && !session.client.is_closed() {
                under_way.extend(self.submit(&session.client, sent).await);
            }
            let Some(first) = under_way.pop_front() else { return };
            if let Some(emptied) = conclude(first, load, sent).await {
                self.emptied_since(emptied, &mut session).await;
            }
        }
    }

    async fn submit(&self, client: &Client, sent: &mut Sent) -> Option<UnderWay> {
        sent.last += 1;
        let (number, emptied) = (sent.last, *self.emptied.borrow());
        match client.submit(self.queue.sending(self.body(number))).await {
            Ok(response) => Some(UnderWay { number, response, emptied }),
            Err(_) => {
                sent.refused.insert(number);
                None
            }
        }
    }

    async fn send_end(&self, mut session: Session) {
        loop {
            let emptied = *self.emptied.borrow();
            match self.queue.send(&session.client, END.to_vec()).await {
                Err(ClientError::Refused(Error::Quota)) => self.emptied_since(emptied, &mut session).await,
                outcome => return outcome.unwrap(),
            }
        }
    }

    /// The recipient acknowledges everything sooner or later, but may not learn that it did.
    async fn emptied_since(&self, before: u64, session: &mut Session) {
        let mut emptied = self.emptied.subscribe();
        let emptied_or_killed = async {
            tokio::select! {
                _ = emptied.wait_for(|now| *now > before) => {}
                _ = session.events.next() => {}
            }
        };
        soon("room in a queue", emptied_or_killed).await;
    }

    /// Receives until the last message.
    pub(super) async fn receive(self: Arc<Self>, load: Load) -> Received {
        let mut received = Received::default();
        while self.receive_until_killed(load.session().await, &load, &mut received).await.is_none() {}
        received
    }

    async fn receive_until_killed(&self, mut session: Session, load: &Load, received: &mut Received) -> Option<()> {
        received.session += 1;
        unless_killed(self.queue.subscribe(&session.client).await)?;
        loop {
            let mut next = Some(pushed(&mut session.events).await?);
            while let Some(message) = next {
                let body = self.take(&message, received);
                next = unless_killed(self.queue.acknowledge(&session.client, &message).await)?;
                received.acknowledged.insert(message.id);
                load.answered();
                match body.as_deref() {
                    Some(END) => return Some(()),
                    Some(_) => {}
                    None => self.emptied.send_modify(|times| *times += 1),
                }
            }
        }
    }

    /// A message may come again, unchanged, on another connection, as long as its acknowledgement was not answered.
    fn take(&self, message: &Message, received: &mut Received) -> Option<Vec<u8>> {
        assert!(!received.acknowledged.contains(&message.id), "acknowledged, and delivered again");
        let body = self.queue.decrypt(message);
        let earlier = received.last.replace((message.clone(), received.session));
        if received.known.insert(message.id.clone()) {
            received.numbers.extend(body.as_deref().filter(|body| *body != END).map(|body| self.number_of(body)));
        } else {
            received.again += 1;
            let (last, session) = earlier.unwrap();
            assert_eq!(last, *message, "delivered again, and not what was delivered last");
            assert!(session < received.session, "delivered twice on one connection");
        }
        body
    }

    /// Flow and number, then filler: messages of all sizes.
    fn body(&self, number: u64) -> Vec<u8> {
        let filler = usize::try_from(number * 7919 % 4000).unwrap();
        [&self.number.to_be_bytes()[..], &number.to_be_bytes(), &vec![b'#'; filler]].concat()
    }

    fn number_of(&self, body: &[u8]) -> u64 {
        let number = u64::from_be_bytes(body[4..12].try_into().unwrap());
        assert_eq!(body, self.body(number));
        number
    }
}

/// Notes what became of a message. If that met the quota: how often the queue had been emptied before.
async fn conclude(message: UnderWay, load: &Load, sent: &mut Sent) -> Option<u64> {
    match message.response.response().await {
        Ok(_) => {
            sent.accepted.insert(message.number);
            load.answered();
        }
        Err(ClientError::OutcomeUnknown) => {}
        Err(ClientError::NotSent) => drop(sent.refused.insert(message.number)),
        Err(ClientError::Refused(Error::Quota)) => {
            sent.refused.insert(message.number);
            return Some(message.emptied);
        }
        Err(error) => panic!("{error}"),
    }
    None
}

/// Holds what the sender was told against what the recipient got.
pub(super) fn compare(sent: &Sent, received: &Received) {
    assert!(received.numbers.is_sorted_by(|a, b| a < b), "out of order: {:?}", received.numbers);
    let numbers: BTreeSet<_> = received.numbers.iter().copied().collect();
    let lost: Vec<_> = sent.accepted.difference(&numbers).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    let refused: Vec<_> = sent.refused.intersection(&numbers).collect();
    assert!(refused.is_empty(), "refused and received: {refused:?}");
    assert!(numbers.last() <= Some(&sent.last) && !sent.accepted.is_empty());
    let (accepted, refused, received, again) = (sent.accepted.len(), sent.refused.len(), numbers.len(), received.again);
    println!("{accepted} accepted, {refused} refused, {received} received, {again} of them again");
}
