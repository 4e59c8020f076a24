//! How long a server with many queues takes until it can be reached again.

use std::path::Path;
use std::time::Instant;

use crypto::SeededRandom;
use crypto::authorize::AuthPrivateKey;
use crypto::sign::Ed25519PrivateKey;
use smp::id::CorrId;
use smp_server::queue_store::QueueStore as _;
use smp_server::sqlite::SqliteStore;
use smp_server::step::new;

use crate::Failure;
use crate::client::messaging_queue;
use crate::report::Measured;
use crate::server::Server;

const QUEUES: i64 = 100_000;
const SECONDS_BOUND: f64 = 1.0;

/// Seconds from starting the program to its ready line, with 100,000 queues on disk.
pub(crate) fn measure() -> Result<Vec<Measured>, Failure> {
    let folder = tempfile::tempdir()?;
    fill(&folder.path().join("state.sqlite"))?;
    // The first start makes certificates; they are not what is measured.
    drop(Server::start_in(folder.path())?);
    let start = Instant::now();
    let server = Server::start_in(folder.path())?;
    let seconds = start.elapsed().as_secs_f64();
    if i64::try_from(server.queues())? != QUEUES {
        return Err("the server did not find all queues".into());
    }
    Ok(vec![Measured::limited("smp_restart_100k_queues", seconds, "seconds", SECONDS_BOUND)])
}

/// Writes the queues as the server would have, without the network in between.
fn fill(path: &Path) -> Result<(), Failure> {
    let store = SqliteStore::open(path)?;
    let mut random = SeededRandom::new(&[4; 32], "restart");
    let recipient_key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut random)).public()?;
    let command = messaging_queue(recipient_key, &mut random);
    for row in 1..=QUEUES {
        let mut created = new::new(&CorrId::default(), command.clone(), 0, &mut random)?;
        created.queue.row = row;
        store.create(created.queue, None, None);
    }
    // Later writes are durable only after earlier ones.
    store.inner().write(|_| Ok(())).wait()?;
    Ok(())
}
