//! `kill -9` under load and while starting: what was answered is still true afterwards.
//!
//! Senders, recipients and an owner of links work without pause, each on a connection of its own, and note what they
//! were told. The server is killed under them again and again. In the end a last server is drained, and what was noted
//! is compared with what it has.

mod flow;
mod links;
mod load;

use std::time::Duration;

use crypto::{Random, SeededRandom};
use smp::address::KeyHash;
use tokio::task::JoinHandle;

use crate::client::dial;
use crate::server::{Place, soon};
use flow::Flow;
use load::Load;

const KILLS: u32 = 20;
const FLOWS: u32 = 5;
/// The quota is small enough to be met now and then.
const FLAGS: &[&str] = &["--quota", "48"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_answered_is_lost_by_20_kills_under_load() {
    let place = Place::new();
    let load = Load::default();
    let flows = start_flows(&place, &load).await;
    let links = tokio::spawn(links::keep(load.clone()));

    let mut moments = SeededRandom::new(&[1; 32], "moments");
    for _ in 0..KILLS {
        let server = place.start(FLAGS).await;
        load.work_at(&server.address, below(&mut moments, 2000)).await;
        server.kill().await;
        if below(&mut moments, 2) == 0 {
            // A start takes about so long.
            place.start_and_kill_after(Duration::from_micros(below(&mut moments, 60_000))).await;
        }
    }

    let server = place.start(FLAGS).await;
    load.end_at(&server.address);
    for (sent, received) in flows {
        flow::compare(&finished(sent).await, &finished(received).await);
    }
    let (client, _events) = dial(&server.address).await.unwrap();
    links::check(&client, &finished(links).await).await;
}

#[tokio::test]
async fn a_first_start_that_is_killed_can_be_repeated() {
    for file in ["ca.key", "server.key", "server.crt", "fingerprint", "ca.crt", "queues.sqlite"] {
        let place = Place::new();
        place.start_and_kill_once_there_is(file).await;
        let first = key_hash_after_start(&place).await;
        assert_eq!(key_hash_after_start(&place).await, first);
    }
}

async fn key_hash_after_start(place: &Place) -> KeyHash {
    let server = place.start(&[]).await;
    let key_hash = server.address.key_hash().clone();
    server.kill().await;
    key_hash
}

type Worker<T> = JoinHandle<T>;

async fn start_flows(place: &Place, load: &Load) -> Vec<(Worker<flow::Sent>, Worker<flow::Received>)> {
    let server = place.start(FLAGS).await;
    let (client, _events) = dial(&server.address).await.unwrap();
    let mut workers = Vec::new();
    for number in 0..FLOWS {
        let flow = Flow::create(number, &client).await;
        let sender = tokio::spawn(flow.clone().send(load.clone()));
        workers.push((sender, tokio::spawn(flow.receive(load.clone()))));
    }
    server.kill().await;
    workers
}

async fn finished<T>(worker: Worker<T>) -> T {
    soon("the end of a worker", worker).await.unwrap()
}

fn below(random: &mut dyn Random, limit: u64) -> u64 {
    u64::from_be_bytes(crypto::random::array(random)) % limit
}
