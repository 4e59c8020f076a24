//! What a queue and a connection cost the server while nothing happens.

use crypto::SeededRandom;
use crypto::authorize::AuthPrivateKey;
use crypto::sign::Ed25519PrivateKey;
use net::client::{Client, Request};
use smp::command::Command;

use crate::Failure;
use crate::client::{messaging_queue, open_connection, runtime, start_client};
use crate::report::Measured;
use crate::server::Server;

const QUEUE_BOUND: f64 = 1024.0;
const CONNECTION_BOUND: f64 = 40.0 * 1024.0;

const QUEUES: u32 = 20_000;
const CONNECTIONS: u32 = 2_000;
/// What the server allocates once, for the first of them, is not counted.
const WARM_UP: u32 = 500;

/// Commands under way at once.
const WINDOW: usize = 200;

/// Bytes per idle queue.
pub(crate) fn idle_queues() -> Result<Vec<Measured>, Failure> {
    runtime()?.block_on(async {
        let server = Server::start()?;
        let mut random = SeededRandom::new(&[1; 32], "idle queues");
        let (client, _events) = start_client(&server, &mut random).await?;
        create_queues(&client, WARM_UP, &mut random).await?;
        let before = server.memory()?;
        create_queues(&client, QUEUES, &mut random).await?;
        let bytes = (server.memory()? - before) / f64::from(QUEUES);
        Ok(vec![Measured::limited("smp_memory_idle_queue", bytes, "bytes", QUEUE_BOUND)])
    })
}

/// Bytes per idle connection.
pub(crate) fn idle_connections() -> Result<Vec<Measured>, Failure> {
    runtime()?.block_on(async {
        let server = Server::start()?;
        let mut random = SeededRandom::new(&[2; 32], "idle connections");
        let mut open = Vec::new();
        for _ in 0..WARM_UP {
            open.push(open_connection(&server, &mut random).await?);
        }
        let before = server.memory()?;
        for _ in 0..CONNECTIONS {
            open.push(open_connection(&server, &mut random).await?);
        }
        let bytes = (server.memory()? - before) / f64::from(CONNECTIONS);
        Ok(vec![Measured::limited("smp_memory_idle_connection", bytes, "bytes", CONNECTION_BOUND)])
    })
}

async fn create_queues(client: &Client, count: u32, random: &mut SeededRandom) -> Result<(), Failure> {
    let mut under_way = std::collections::VecDeque::new();
    for _ in 0..count {
        let key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(random));
        let queue = messaging_queue(key.public()?, random);
        let request = Request::new(Command::New(Box::new(queue))).authorized_by(&key);
        under_way.push_back(client.submit(request).await?);
        if under_way.len() >= WINDOW
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.response().await?;
        }
    }
    for response in under_way {
        response.response().await?;
    }
    Ok(())
}
