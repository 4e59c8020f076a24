//! Two agents that find each other and talk.

use agent::connection::Event;

use crate::support::Server;
use crate::user::{User, connect, id};

#[tokio::test]
async fn two_agents_connect_through_two_servers_and_talk_both_ways() {
    let (here, there) = (Server::start().await, Server::start().await);
    let (mut alice, mut bob) = (User::new(&here), User::new(&there));
    let id = id("friends");
    connect(&mut alice, &mut bob, &id).await;
    for round in 0..5u8 {
        let number = alice.send(&id, &[round; 100]).await;
        assert_eq!(bob.receive(&id).await.body, [round; 100]);
        alice.event(&id, |event| (*event == Event::Sent { number }).then_some(())).await;
        bob.send(&id, &[round; 13_000]).await;
        assert_eq!(alice.receive(&id).await.body, [round; 13_000]);
    }
    alice.agent.close().await;
    bob.agent.close().await;
}
