//! A store that has no space left: new things are refused, old things stay, and whatever makes space goes on.

use std::collections::HashSet;
use std::fs;

use net::client::{Client, ClientError, Events, Message};
use smp::command::LinkData;
use smp::error::Error;
use smp::id::{LinkId, MessageId};

use crate::client::{Queue, dial, pushed, random};
use crate::server::{Place, Server, soon};

const LIMIT: u64 = 4;
/// The number of the last message.
const LAST: u32 = u32::MAX;
const FLAGS: &[&str] = &["--store-limit", "4", "--quota", "10000"];

#[tokio::test]
async fn a_full_store_loses_nothing_and_can_be_emptied() {
    let place = Place::new();
    let server = place.start(FLAGS).await;
    let (client, _events) = dial(&server.address).await.unwrap();
    let (queue, other) = (Queue::create(&client).await.unwrap(), Queue::create(&client).await.unwrap());
    for number in 0..100 {
        other.send(&client, body(number)).await.unwrap();
    }
    let mut accepted = fill(&client, &queue, 0).await;
    assert!(!accepted.is_empty());
    assert!(is_full(&Queue::create(&client).await.map(drop)), "no new queue");
    assert!(is_full(&other.send(&client, b"short".to_vec()).await));

    retry(async || other.delete(&client).await).await;
    let more = fill(&client, &queue, 1000).await;
    assert!(!more.is_empty(), "what was deleted made no room");
    accepted.extend(more);
    server.kill().await;

    let server = place.start(FLAGS).await;
    let (client, events) = dial(&server.address).await.unwrap();
    assert!(is_full(&queue.send(&client, body(9999)).await));
    let mut receiver = Receiver::new(&queue, &client, events).await;
    while receiver.numbers.len() < accepted.len() {
        receiver.receive().await;
    }
    assert_eq!(receiver.numbers, accepted);

    retry(async || queue.send(&client, body(1)).await).await;
    let contact = retry(async || Queue::create_contact(&client).await).await;
    let data = || LinkData { fixed: vec![1; 100], user: vec![2; 10_000] };
    let (link, key) = (LinkId::random(&mut random()), &contact.recipient_key);
    retry(async || client.set_link(&contact.recipient_id, &link, data(), key).await).await;
    stop(server).await;
    assert!(fs::metadata(place.path("queues.sqlite")).unwrap().len() <= LIMIT << 20);

    let server = place.start(&["--quota", "10000"]).await;
    let (client, _events) = dial(&server.address).await.unwrap();
    for number in 0..300 {
        queue.send(&client, body(number)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_get_through_to_a_full_store_that_is_being_sent_to() {
    let place = Place::new();
    let server = place.start(FLAGS).await;
    drain_while_sending(&server).await;
    stop(server).await;
    assert!(fs::metadata(place.path("queues.sqlite")).unwrap().len() <= LIMIT << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_get_through_to_a_full_disk_that_is_being_sent_to() {
    match Place::new().start_on_small_disk(24, &["--quota", "10000"]).await {
        Some(server) => drain_while_sending(&server).await,
        None => println!("not tested: a small disk cannot be mounted here"),
    }
}

/// Receives three times as much as there is space for, while more is being sent than fits.
async fn drain_while_sending(server: &Server) {
    let (sender, _no_events) = dial(&server.address).await.unwrap();
    let (client, events) = dial(&server.address).await.unwrap();
    let queue = Queue::create(&client).await.unwrap();
    let mut accepted = fill(&sender, &queue, 0).await;
    let mut refused = 0;

    let enough = accepted.len() * 3;
    let send = async {
        for first in (10_000..).step_by(32) {
            let mut answers = Vec::new();
            for number in first..first + 32 {
                answers.push((number, sender.submit(queue.sending(body(number))).await.unwrap()));
            }
            for (number, answer) in answers {
                match answer.response().await.map(drop) {
                    Ok(()) => accepted.push(number),
                    outcome if is_full(&outcome) => refused += 1,
                    outcome => panic!("{outcome:?}"),
                }
            }
            if accepted.len() >= enough {
                break;
            }
        }
        retry(async || queue.send(&sender, body(LAST)).await).await;
        accepted.push(LAST);
    };
    let receive = async {
        let mut receiver = Receiver::new(&queue, &client, events).await;
        while receiver.numbers.last() != Some(&LAST) {
            receiver.receive().await;
        }
        receiver
    };
    let ((), receiver) = soon("everything", async { tokio::join!(send, receive) }).await;
    println!("{} accepted, {refused} refused, {} acknowledgements failed", accepted.len(), receiver.failed);
    assert_eq!(receiver.numbers, accepted);
    assert!(refused > 0);
}

/// Sends until there is no space left; the numbers of what was accepted.
async fn fill(client: &Client, queue: &Queue, first: u32) -> Vec<u32> {
    let mut accepted = Vec::new();
    for number in first.. {
        match queue.send(client, body(number)).await {
            Ok(()) => accepted.push(number),
            refused if is_full(&refused) => break,
            other => panic!("{other:?}"),
        }
    }
    accepted
}

/// A number and filler.
fn body(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[b'#'; 15_000]].concat()
}

fn is_full(outcome: &Result<(), ClientError>) -> bool {
    matches!(outcome, Err(ClientError::Refused(Error::Store(_))))
}

/// For what must succeed as soon as the server has recovered from a failed commit.
async fn retry<T>(mut command: impl AsyncFnMut() -> Result<T, ClientError>) -> T {
    let succeeded = async {
        loop {
            match command().await {
                Err(ClientError::Refused(Error::Store(_))) => tokio::task::yield_now().await,
                outcome => return outcome.unwrap(),
            }
        }
    };
    soon("success", succeeded).await
}

/// Receives and acknowledges, however often that takes.
struct Receiver<'a> {
    queue: &'a Queue,
    client: &'a Client,
    events: Events,
    next: Option<Message>,
    acknowledged: HashSet<MessageId>,
    numbers: Vec<u32>,
    failed: usize,
}

impl<'a> Receiver<'a> {
    async fn new(queue: &'a Queue, client: &'a Client, events: Events) -> Self {
        retry(async || queue.subscribe(client).await).await;
        Receiver { queue, client, events, next: None, acknowledged: HashSet::new(), numbers: Vec::new(), failed: 0 }
    }

    /// One message. If its acknowledgement fails, it may come again, be it after the next attempt has succeeded.
    async fn receive(&mut self) {
        let message = match self.next.take() {
            Some(message) => message,
            None => pushed(&mut self.events).await.unwrap(),
        };
        if self.acknowledged.contains(&message.id) {
            return;
        }
        let body = self.queue.decrypt(&message).unwrap();
        let number = u32::from_be_bytes(body[..4].try_into().unwrap());
        assert_eq!(body, self::body(number));
        if self.numbers.last() != Some(&number) {
            self.numbers.push(number);
        }
        loop {
            match self.queue.acknowledge(self.client, &message).await {
                Ok(next) => {
                    self.next = next;
                    self.acknowledged.insert(message.id);
                    return;
                }
                Err(ClientError::Refused(Error::Store(_))) => self.failed += 1,
                Err(ClientError::Refused(Error::NoMessage)) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn stop(server: Server) {
    server.signal("TERM").await;
    server.ended().await;
}
