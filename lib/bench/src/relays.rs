//! Invitations that a relay accepts per second of one core, each durable at every step: the request is kept, the group
//! link read and checked, the relay link created, the owner answered.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::non_empty::NonEmpty;
use agent::short_link::ContactShortLink;
use cpu_time::ProcessTime;
use crypto::SeededRandom;
use crypto::sign::Ed25519PrivateKey;
use group::relay::{RelayIdentity, RelaySettings};
use group::user_data::RelayProfile;
use net::SharedRandom;
use net::agent::AgentOptions;
use net::tls::Connector;
use relay::config::Config;
use relay::observe::Observer;
use relay::service::RelayService;
use relay::store::RelayStore;
use smp::address::ServerWithPassword;
use tokio::sync::{mpsc, oneshot};

use crate::Failure;
use crate::client::{runtime, start_client};
use crate::connections::{count, now};
use crate::owners::{Requests, create_groups};
use crate::primitives::{Handshakes, Primitives};
use crate::report::Measured;
use crate::server::Server;

/// Invitations in one run.
const INVITATIONS: usize = 400;
/// Of these, the one in the middle counts: machines are shared.
const RUNS: usize = 3;
/// Lines of the log that may wait to be read.
const LINES: usize = 100_000;

/// Lets a relay find invitations when it starts, and waits until it has answered all.
pub(crate) fn measure() -> Result<Vec<Measured>, Failure> {
    runtime()?.block_on(async {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(Run::measure().await?);
        }
        runs.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        Ok(runs.get(RUNS / 2).ok_or("no run")?.results())
    })
}

/// A relay that takes as many invitations as there are.
pub(crate) fn config(server: ServerWithPassword, lines: Option<mpsc::Sender<String>>) -> Config {
    let profile =
        RelayProfile { display_name: "Relay".to_owned(), full_name: String::new(), short_descr: None, image: None };
    let settings = RelaySettings {
        max_services: usize::MAX,
        max_unlisted_services: usize::MAX,
        max_unread: usize::MAX,
        ..RelaySettings::new(NonEmpty::one(server))
    };
    Config {
        identity: RelayIdentity {
            address_key: Ed25519PrivateKey::from_seed([3; 32]).into(),
            profile,
            credentials: None,
        },
        settings,
        agent: AgentOptions::default(),
        policy: None,
        observer: Observer::none(),
        events: lines,
        log_kept: Duration::from_secs(86_400),
        drain_timeout: Duration::from_secs(5),
    }
}

/// Starts a relay.
pub(crate) async fn start(config: Config, file: &Path, clock: relay::config::Clock) -> Result<RelayService, Failure> {
    let random = SharedRandom::new(Box::new(SeededRandom::new(&[6; 32], &now().millis().to_string())));
    Ok(RelayService::start(config, RelayStore::open(file)?, Connector::new()?, random, clock).await?)
}

/// Makes the relay's address, which a relay does once.
pub(crate) async fn make_address(config: Config, file: &Path) -> Result<ContactShortLink, Failure> {
    let mut service = start(config, file, Arc::new(now)).await?;
    let address = service.handle().address().parse()?;
    let ready = service.ready();
    service.run(ready).await?;
    Ok(address)
}

/// One run, and the primitives around it.
struct Run {
    bound: f64,
    agreement: f64,
    /// Seconds of processor time.
    busy: f64,
    /// Seconds.
    wall: f64,
}

impl Run {
    async fn measure() -> Result<Self, Failure> {
        let server = Server::start_with(&["--quota", "100000"])?;
        let place = ServerWithPassword { address: server.address().parse()?, password: None };
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("relay.sqlite");
        let address = make_address(config(place.clone(), None), &file).await?;
        let mut random = SeededRandom::new(&[8; 32], "owners");
        let (client, _events) = start_client(&server, &mut random).await?;
        let requests = Requests::to(&address, client.clone(), place.clone(), &mut random).await?;
        for group in create_groups(&client, &place, INVITATIONS, &mut random).await? {
            requests.send(group.invitation()?, &mut random).await?;
        }
        client.close().await;

        let (handshakes, before) = (Handshakes::measure(), Primitives::measure());
        let (lines, told) = mpsc::channel(LINES);
        let (processor, began) = (ProcessTime::now(), Instant::now());
        let service = start(config(place, Some(lines)), &file, Arc::new(now)).await?;
        let (end, ended) = oneshot::channel::<()>();
        let (served, answered) = tokio::join!(service.run(async { drop(ended.await) }), async {
            let answered = all_answered(told).await;
            let spent = (processor.elapsed().as_secs_f64(), began.elapsed().as_secs_f64());
            drop(end);
            answered.map(|()| spent)
        });
        served?;
        let (busy, wall) = answered?;
        let after = Primitives::measure();
        let bound = 2.0 / (handshakes.accepted_invitation(&before) + handshakes.accepted_invitation(&after));
        Ok(Run { bound, agreement: handshakes.agree_448(), busy, wall })
    }

    fn ratio(&self) -> f64 {
        count(INVITATIONS) / self.busy / self.bound
    }

    fn results(&self) -> Vec<Measured> {
        let done = count(INVITATIONS);
        vec![
            Measured::of_bound("relay_invitations", done / self.busy, "groups/s/core", self.bound),
            Measured::plain("relay_invitations_wall", done / self.wall, "groups/s"),
            Measured::plain("primitive_agree_x448", self.agreement * 1e6, "us"),
        ]
    }
}

/// Waits until the log says of every invitation that it was accepted.
async fn all_answered(mut told: mpsc::Receiver<String>) -> Result<(), Failure> {
    let mut accepted = 0;
    while accepted < INVITATIONS {
        let line = told.recv().await.ok_or("the relay has ended")?;
        if line.contains(r#""status":"rejected""#) {
            return Err(format!("an invitation was refused: {line}").into());
        }
        accepted += usize::from(line.contains(r#""status":"accepted""#));
    }
    Ok(())
}
