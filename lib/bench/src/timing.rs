//! Whether the time of `ERR AUTH` tells if a queue exists: line 78 of the conformance checklist, in real time.

use std::time::Instant;

use crypto::SeededRandom;
use crypto::authorize::AuthPrivateKey;
use crypto::dh::X25519PrivateKey;
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey};
use net::client::{Client, ClientError, Request};
use smp::command::Command;
use smp::error::Error;
use smp::id::RecipientId;

use crate::Failure;
use crate::client::{messaging_queue, runtime, start_client};

use crate::report::Measured;
use crate::server::Server;

/// The reference tests accept so much difference.
const BOUND: f64 = 0.3;
const SAMPLES: usize = 400;

/// The largest difference between a wrong key and a missing queue, over all kinds of keys and authorizations.
pub(crate) fn measure() -> Result<Vec<Measured>, Failure> {
    runtime()?.block_on(async {
        let server = Server::start()?;
        let mut random = SeededRandom::new(&[5; 32], "timing");
        let (client, _events) = start_client(&server, &mut random).await?;
        let mut worst: f64 = 0.0;
        for queue_key in keys(&mut random) {
            let queue = create(&client, &queue_key, &mut random).await?;
            let missing = RecipientId::random(&mut random);
            for wrong_key in keys(&mut random) {
                worst = worst.max(difference(&client, &queue, &missing, &wrong_key).await?);
            }
        }
        Ok(vec![Measured::limited("smp_auth_timing", worst, "relative difference", BOUND)])
    })
}

fn keys(random: &mut SeededRandom) -> [AuthPrivateKey; 3] {
    [
        AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(random)),
        AuthPrivateKey::Ed448(Ed448PrivateKey::generate(random)),
        AuthPrivateKey::X25519(X25519PrivateKey::generate(random)),
    ]
}

async fn create(client: &Client, key: &AuthPrivateKey, random: &mut SeededRandom) -> Result<RecipientId, Failure> {
    let queue = messaging_queue(key.public()?, random);
    Ok(client.create_queue(queue, None, key).await?.recipient_id)
}

/// Samples take turns, so that what disturbs one disturbs the other as well.
async fn difference(
    client: &Client,
    queue: &RecipientId,
    missing: &RecipientId,
    key: &AuthPrivateKey,
) -> Result<f64, Failure> {
    let (mut existing, mut absent) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        existing.push(refusal(client, queue, key).await?);
        absent.push(refusal(client, missing, key).await?);
    }
    let (existing, absent) = (median(existing), median(absent));
    Ok((existing - absent).abs() / existing.min(absent))
}

async fn refusal(client: &Client, queue: &RecipientId, key: &AuthPrivateKey) -> Result<f64, Failure> {
    let start = Instant::now();
    let answer = client.send(Request::new(Command::Sub).about(queue.clone()).authorized_by(key)).await;
    match answer {
        Err(ClientError::Refused(Error::Auth)) => Ok(start.elapsed().as_secs_f64()),
        other => Err(format!("expected ERR AUTH, got {other:?}").into()),
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}
