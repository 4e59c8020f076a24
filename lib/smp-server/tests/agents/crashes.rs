//! Mishaps at every commit, on either side: nothing is lost, and nothing comes twice.

use net::agent::AgentOptions;

use crate::app::{App, MESSAGES, Side, World};
use crate::frail::Mishap;
use crate::support::{Server, in_time};
use crate::user::{address, forgetful, options};

/// No side commits so often between its first step and its last.
const MANY: usize = 100;

/// Two applications find each other and talk while one has a mishap. False when the mishap was too late to happen.
async fn survives(side: Side, mishap: Mishap, at: usize, options: &AgentOptions, servers: &[Server; 2]) -> bool {
    let world = World::new();
    let mut unlucky = App::new(side, address(&servers[0]), options.clone());
    let other = if side == Side::Inviter { Side::Joiner } else { Side::Inviter };
    let mut lucky = App::new(other, address(&servers[1]), options.clone());
    let (happened, _) = in_time(async {
        tokio::join!(unlucky.live(mishap, at, &world), lucky.live(Mishap::Failure, usize::MAX, &world))
    })
    .await;
    let everything: Vec<Vec<u8>> = (0..MESSAGES).map(|number| vec![number]).collect();
    assert_eq!(unlucky.received(), everything, "{side:?} with {mishap:?} at {at}");
    assert_eq!(lucky.received(), everything, "facing {side:?} with {mishap:?} at {at}");
    happened
}

async fn survives_everywhere(mishap: Mishap, options: AgentOptions) {
    let servers = [Server::start().await, Server::start().await];
    for side in [Side::Inviter, Side::Joiner] {
        let mut at = 1;
        while survives(side, mishap, at, &options, &servers).await {
            at += 1;
            assert!(at < MANY, "{side:?} never ends");
        }
        assert!(at > 10, "{side:?} had {at} commits only");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_before_any_commit_goes_on_where_it_was() {
    survives_everywhere(Mishap::DeathBefore, options()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_after_any_commit_goes_on_where_it_was() {
    survives_everywhere(Mishap::DeathAfter, options()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_commit_may_fail() {
    survives_everywhere(Mishap::Failure, options()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_forgets_connections_may_die_before_any_commit() {
    survives_everywhere(Mishap::DeathBefore, forgetful(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_forgets_connections_may_die_after_any_commit() {
    survives_everywhere(Mishap::DeathAfter, forgetful(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_commit_of_a_process_that_forgets_connections_may_fail() {
    survives_everywhere(Mishap::Failure, forgetful(0)).await;
}
