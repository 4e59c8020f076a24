//! Delivery and acknowledgement, lines 36 to 46.

use smp::command::Command;
use smp::error::{CommandError, Error};
use smp::id::{EntityId, MessageId};
use smp::response::{Response, SubscriptionState};

use crate::support::{Server, messaging, send, unsubscribed};

const NO_MSG: Response = Response::Err(Error::NoMessage);
const PROHIBITED: Response = Response::Err(Error::Command(CommandError::Prohibited));

#[tokio::test]
async fn smp_36_messages_come_one_at_a_time_each_for_the_last_ack() {
    let server = Server::start().await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut recipient).await;
    assert_eq!(queue.send(&mut sender, b"one").await, Response::Ok);
    assert_eq!(queue.send(&mut sender, b"two").await, Response::Ok);
    let first = queue.pushed(&mut recipient).await;
    assert_eq!(first.body(), b"one");
    recipient.nothing_more().await;
    let second = queue.open(queue.ack(&mut recipient, &first.id).await);
    assert_eq!(second.body(), b"two");
    assert_eq!(queue.ack(&mut recipient, &second.id).await, Response::Ok);
    recipient.nothing_more().await;
}

#[tokio::test]
async fn smp_37_only_a_delivered_message_can_be_acknowledged() {
    let server = Server::start().await;
    let (mut recipient, mut sender) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut recipient).await;
    assert_eq!(queue.ack(&mut recipient, &MessageId::from([1; 24])).await, NO_MSG);
    assert_eq!(queue.send(&mut sender, b"one").await, Response::Ok);
    let message = queue.pushed(&mut recipient).await;
    assert_eq!(queue.ack(&mut recipient, &MessageId::from([1; 24])).await, NO_MSG);
    assert_eq!(queue.ack(&mut sender, &message.id).await, NO_MSG, "not subscribed");
    assert_eq!(queue.ack(&mut recipient, &message.id).await, Response::Ok);
    assert_eq!(queue.ack(&mut recipient, &message.id).await, NO_MSG);
}

#[tokio::test]
async fn smp_38_an_unacknowledged_message_is_delivered_again_byte_for_byte() {
    let server = Server::start().await;
    let mut sender = server.connect().await;
    let mut first = server.connect().await;
    let queue = messaging(&mut first).await;
    assert_eq!(queue.send(&mut sender, b"one").await, Response::Ok);
    let delivered = first.event().await;
    for version in [15, 16, 18] {
        let mut again = server.connect_at(version).await;
        let subscribed = queue.does(&mut again, Command::Sub).await;
        // What is `SOK` from version 16 on is `OK` before.
        assert_eq!(subscribed, if version == 15 { Response::Ok } else { Response::Sok(None) });
        assert_eq!(again.event().await, delivered, "version {version}");
        assert_eq!(queue.does(&mut again, Command::Sub).await, subscribed);
        assert_eq!(again.event().await, delivered, "subscribed twice on one connection");
    }
}

#[tokio::test]
async fn smp_39_a_later_subscription_takes_over() {
    let server = Server::start().await;
    let mut sender = server.connect().await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut first).await;
    assert_eq!(queue.send(&mut sender, b"one").await, Response::Ok);
    let message = queue.pushed(&mut first).await;
    assert_eq!(queue.does(&mut second, Command::Sub).await, Response::Sok(None));
    assert_eq!(first.event().await, (EntityId::from(queue.recipient_id.clone()), Response::End));
    assert_eq!(queue.ack(&mut first, &message.id).await, NO_MSG);
    assert_eq!(queue.pushed(&mut second).await, message);
    assert_eq!(queue.ack(&mut second, &message.id).await, Response::Ok);
    assert_eq!(queue.send(&mut sender, b"two").await, Response::Ok);
    assert_eq!(queue.pushed(&mut second).await.body(), b"two");
    first.nothing_more().await;
}

#[tokio::test]
async fn smp_39_end_is_delayed_and_dropped_when_the_first_connection_comes_back() {
    let event_delay = std::time::Duration::from_millis(50);
    let server = Server::start_with(smp_server::config::Config { event_delay, ..crate::support::config() }).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    let (kept, lost) = (messaging(&mut first).await, messaging(&mut first).await);
    for queue in [&kept, &lost] {
        assert_eq!(queue.does(&mut second, Command::Sub).await, Response::Sok(None));
    }
    assert_eq!(kept.does(&mut first, Command::Sub).await, Response::Sok(None));
    // One event each way: both connections lost one queue for good.
    assert_eq!(first.event().await, (EntityId::from(lost.recipient_id.clone()), Response::End));
    assert_eq!(second.event().await, (EntityId::from(kept.recipient_id.clone()), Response::End));
    first.nothing_more().await;
}

#[tokio::test]
async fn smp_40_deleting_tells_the_subscriber_but_not_the_deleter() {
    let server = Server::start().await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut first).await;
    assert_eq!(queue.does(&mut second, Command::Sub).await, Response::Sok(None));
    assert_eq!(first.event().await.1, Response::End);
    assert_eq!(queue.does(&mut first, Command::Del).await, Response::Ok);
    assert_eq!(second.event().await, (EntityId::from(queue.recipient_id), Response::Deld));
    first.nothing_more().await;

    let own = messaging(&mut second).await;
    assert_eq!(own.does(&mut second, Command::Del).await, Response::Ok);
    second.nothing_more().await;
}

#[tokio::test]
async fn smp_41_get_hands_out_one_message_and_its_ack_no_other() {
    let server = Server::start().await;
    let mut peer = server.connect().await;
    let queue = unsubscribed(&mut peer).await;
    assert_eq!(queue.does(&mut peer, Command::Get).await, Response::Ok);
    assert_eq!(queue.send(&mut peer, b"one").await, Response::Ok);
    assert_eq!(queue.send(&mut peer, b"two").await, Response::Ok);
    let first = queue.open(queue.does(&mut peer, Command::Get).await);
    assert_eq!(first.body(), b"one");
    assert_eq!(queue.open(queue.does(&mut peer, Command::Get).await), first);
    assert_eq!(queue.ack(&mut peer, &first.id).await, Response::Ok);
    assert_eq!(queue.ack(&mut peer, &first.id).await, NO_MSG);
    assert_eq!(queue.open(queue.does(&mut peer, Command::Get).await).body(), b"two");
    peer.nothing_more().await;
}

#[tokio::test]
async fn smp_42_get_and_sub_exclude_each_other_on_one_connection() {
    let server = Server::start().await;
    let (mut subscriber, mut getter) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut subscriber).await;
    assert_eq!(queue.does(&mut subscriber, Command::Get).await, PROHIBITED);
    assert_eq!(queue.does(&mut getter, Command::Get).await, Response::Ok);
    assert_eq!(queue.does(&mut getter, Command::Sub).await, PROHIBITED);
    subscriber.nothing_more().await;
}

#[tokio::test]
async fn smp_43_subscriber_and_getter_receive_the_same_message() {
    let server = Server::start().await;
    let (mut subscriber, mut getter) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut subscriber).await;
    assert_eq!(queue.send(&mut getter, b"one").await, Response::Ok);
    let message = queue.pushed(&mut subscriber).await;
    assert_eq!(queue.open(queue.does(&mut getter, Command::Get).await), message);
    assert_eq!(queue.ack(&mut subscriber, &message.id).await, Response::Ok);
    assert_eq!(queue.ack(&mut getter, &message.id).await, Response::Ok);
}

#[tokio::test]
async fn smp_44_a_message_removed_by_a_getter_does_not_cost_the_subscriber_the_next() {
    let server = Server::start().await;
    let (mut subscriber, mut getter) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut subscriber).await;
    for body in [b"one", b"two"] {
        assert_eq!(queue.send(&mut getter, body).await, Response::Ok);
    }
    let message = queue.pushed(&mut subscriber).await;
    assert_eq!(queue.open(queue.does(&mut getter, Command::Get).await), message);
    assert_eq!(queue.ack(&mut getter, &message.id).await, Response::Ok);
    assert_eq!(queue.open(queue.ack(&mut subscriber, &message.id).await).body(), b"two");
}

#[tokio::test]
async fn smp_45_concurrent_senders_lose_nothing() {
    const EACH: usize = 20;
    let server = Server::start().await;
    let mut recipient = server.connect().await;
    let queue = messaging(&mut recipient).await;
    let sending = (0..2_u8).map(|sender| {
        let (sender_id, server) = (queue.sender_id.clone(), &server);
        async move {
            let mut peer = server.connect().await;
            for number in 0..EACH {
                let command = send(&[sender, u8::try_from(number).unwrap()]);
                assert_eq!(peer.command(None, sender_id.clone(), command).await, Response::Ok);
            }
        }
    });
    let receiving = async {
        let mut message = queue.pushed(&mut recipient).await;
        let mut bodies = vec![message.body().to_vec()];
        while bodies.len() < 2 * EACH {
            message = match queue.ack(&mut recipient, &message.id).await {
                Response::Ok => queue.pushed(&mut recipient).await,
                response => queue.open(response),
            };
            bodies.push(message.body().to_vec());
        }
        assert_eq!(queue.ack(&mut recipient, &message.id).await, Response::Ok);
        bodies
    };
    let [one, other]: [_; 2] = sending.collect::<Vec<_>>().try_into().ok().unwrap();
    let ((), (), bodies) = tokio::join!(one, other, receiving);
    for sender in 0..2_u8 {
        let numbers: Vec<_> = bodies.iter().filter(|body| body[0] == sender).map(|body| usize::from(body[1])).collect();
        assert_eq!(numbers, (0..EACH).collect::<Vec<_>>(), "in the order in which they were sent");
    }
}

#[tokio::test]
async fn smp_46_many_queues_can_be_subscribed_from_a_new_connection() {
    let server = Server::start().await;
    let mut first = server.connect().await;
    let mut queues = Vec::new();
    for _ in 0..100 {
        queues.push(messaging(&mut first).await);
    }
    drop(first);
    let mut second = server.connect().await;
    let subscriptions: Vec<_> = queues
        .iter()
        .map(|queue| {
            let corr_id = smp::id::CorrId::from(crate::support::random_bytes());
            second.encode(&corr_id, &queue.recipient_id.clone().into(), &Command::Sub, Some(&queue.key))
        })
        .collect();
    second.send_transmissions(&subscriptions).await;
    for queue in &queues {
        let answer = second.receive().await;
        assert_eq!((answer.entity_id, answer.response), (queue.recipient_id.clone().into(), Ok(Response::Sok(None))));
    }
}

#[tokio::test]
async fn que_describes_queue_and_subscription() {
    let server = Server::start().await;
    let (mut subscriber, mut other) = (server.connect().await, server.connect().await);
    let queue = messaging(&mut subscriber).await;
    assert_eq!(queue.send(&mut other, b"one").await, Response::Ok);
    let message = queue.pushed(&mut subscriber).await;
    let Response::Info(info) = queue.does(&mut subscriber, Command::Que).await else { panic!() };
    let subscription = info.subscription.unwrap();
    assert_eq!(subscription.state, SubscriptionState::NoSub);
    assert_eq!(subscription.delivered.unwrap(), codec::text::base64_standard(message.id.as_bytes()));
    assert_eq!((info.secured, info.notifier, info.size), (false, false, 1));
    let Response::Info(info) = queue.does(&mut other, Command::Que).await else { panic!() };
    assert_eq!(info.subscription, None);
}
