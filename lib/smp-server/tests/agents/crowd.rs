//! A thousand connections on each of two agents: steps of all of them in one commit, and a restart of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agent::connection::keep::ConnectionId;
use agent::connection::{Connection, Event, InviteLink, JoinLink, QueuePlan, SendOptions, Settings};
use agent::ratchet::Pq;
use agent::time::Env;
use net::agent::AgentOptions;
use smp::id::MessageId;
use smp_server::random::SystemRandom;

use crate::support::{Server, in_time};
use crate::user::{User, forgetful, id, now, options};

const MANY: usize = 1000;

/// Encapsulation takes most of the time of a handshake, and nothing here depends on it.
fn settings() -> Settings {
    Settings { pq: Pq::Off, ..Settings::default() }
}

fn ids() -> Vec<ConnectionId> {
    (0..MANY).map(|number| id(&format!("member {number}"))).collect()
}

/// One event that `pick` wants of every connection.
async fn of_all<T>(user: &mut User, pick: impl Fn(&Event) -> Option<T> + Copy) -> BTreeMap<ConnectionId, T> {
    let mut found = BTreeMap::new();
    while found.len() < MANY {
        let (id, picked) = user.any_event(pick).await;
        assert!(found.insert(id.clone(), picked).is_none(), "twice from {id}");
    }
    found
}

/// The same step of every connection, in one commit.
async fn all<T: Send + 'static, E: std::fmt::Debug + Send + 'static>(
    user: &User,
    step: impl Fn(&mut Connection, &mut Env<'_>) -> Result<T, E> + Clone + Send + 'static,
) -> Vec<T> {
    let steps = ids().into_iter().map(|id| (id, step.clone())).collect();
    let made = in_time(user.agent.change_many(steps)).await.unwrap();
    made.into_iter().map(Result::unwrap).collect()
}

async fn open_all(user: &User, connections: Vec<Connection>) {
    for (id, connection) in ids().into_iter().zip(connections) {
        in_time(user.agent.open(id, connection)).await.unwrap();
    }
}

async fn connect_all(inviter: &mut User, joiner: &mut User) {
    let settings = settings();
    let invite = |_| {
        let mut env = Env { now: now(), random: &mut SystemRandom };
        let plan = QueuePlan::at(inviter.server.clone());
        Connection::invite(plan, InviteLink::default(), &settings, &mut env).unwrap()
    };
    open_all(inviter, (0..MANY).map(invite).collect()).await;
    of_all(inviter, |event| matches!(event, Event::Created).then_some(())).await;
    let invitations = all(inviter, |connection, _| connection.invitation().ok_or(())).await;
    let join = |invitation: agent::connection::OwnInvitation| {
        let mut env = Env { now: now(), random: &mut SystemRandom };
        let mut connection = Connection::open(JoinLink::Full(Box::new(invitation.full)), &settings, &mut env);
        connection.join(QueuePlan::at(joiner.server.clone()), b"joiner".to_vec(), &mut env).unwrap();
        connection
    };
    open_all(joiner, invitations.into_iter().map(join).collect()).await;
    of_all(inviter, |event| matches!(event, Event::Confirmed { .. }).then_some(())).await;
    all(inviter, |connection, env| connection.allow(b"inviter".to_vec(), env)).await;
    for user in [inviter, joiner] {
        of_all(user, |event| matches!(event, Event::Connected { .. }).then_some(())).await;
        all(user, |connection, _| {
            connection.heard();
            Ok::<_, ()>(())
        })
        .await;
    }
}

/// One side says something to all, who receive it once.
async fn fan_out(from: &mut User, to: &mut User, body: &[u8]) {
    let shared: Arc<[u8]> = body.into();
    all(from, move |connection, env| connection.send(&shared, SendOptions::default(), env)).await;
    let message = |event: &Event| match event {
        Event::Message(message) => Some((message.id.clone(), message.body.clone())),
        _ => None,
    };
    let received = of_all(to, message).await;
    assert!(received.values().all(|(_, received)| received == body));
    let acknowledge = |(id, (message, _)): (ConnectionId, (MessageId, Vec<u8>))| {
        (id, move |connection: &mut Connection, env: &mut Env<'_>| connection.acknowledge(&message, None, env))
    };
    let acknowledged = to.agent.change_many(received.into_iter().map(acknowledge).collect());
    for outcome in in_time(acknowledged).await.unwrap() {
        outcome.unwrap();
    }
    let sent = of_all(from, |event| matches!(event, Event::Sent { .. }).then_some(())).await;
    assert_eq!(sent.into_keys().collect::<BTreeSet<_>>(), ids().into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_talk_through_one_agent_before_and_after_restarts() {
    talk_and_restart(options()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_talk_through_agents_that_remember_ten() {
    talk_and_restart(forgetful(10)).await;
}

async fn talk_and_restart(options: AgentOptions) {
    let server = Server::start().await;
    let (mut alice, mut bob) = (User::with(&server, options.clone()), User::with(&server, options.clone()));
    connect_all(&mut alice, &mut bob).await;
    fan_out(&mut alice, &mut bob, b"hello all").await;
    let server = server.restart().await;
    fan_out(&mut alice, &mut bob, b"hello again").await;
    let mut bob = bob.restart_with(options).await;
    fan_out(&mut alice, &mut bob, b"and again").await;
    alice.agent.close().await;
    bob.agent.close().await;
    drop(server);
}
