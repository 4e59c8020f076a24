//! What ten thousand groups cost a relay in which nothing happens: every quarter of an hour it reads each group link and
//! checks everything in it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agent::short_link::ContactShortLink;
use agent::time::{Env, Time};
use codec::Encode as _;
use cpu_time::ProcessTime;
use crypto::SeededRandom;
use group::relay::{Outcome, RecordKey, Relay, ServiceId, Status, TaskId};
use smp::address::ServerWithPassword;
use store::rusqlite::{Connection, params};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::Failure;
use crate::client::{runtime, start_client};
use crate::connections::{count, now};
use crate::owners::{Group, create_groups, list_relays};
use crate::primitives::Primitives;
use crate::program::memory_of_this_process;
use crate::relays::{config, make_address, start};
use crate::report::Measured;
use crate::server::Server;

const GROUPS: usize = 10_000;
/// How often all groups are put into memory to see what they take.
const COPIES: usize = 3;
/// Longer than the relay waits between looks at a link, with what it adds by chance.
const ROUND: Duration = Duration::from_secs(20 * 60);
/// Links are made so much before they are looked at.
const BEFORE: Duration = Duration::from_secs(3_600);

/// The records of a relay's machine.
pub(crate) type Records = Vec<(RecordKey, Vec<u8>)>;

/// One round over all groups, after one that is not measured.
pub(crate) fn measure() -> Result<Vec<Measured>, Failure> {
    runtime()?.block_on(async {
        let server = Server::start()?;
        let place = ServerWithPassword { address: server.address().parse()?, password: None };
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("relay.sqlite");
        make_address(config(place.clone(), None), &file).await?;
        // First, because later there is memory that was used before.
        let resident = in_memory(&place, &serve_groups(&server, &place, 1).await?)?;
        let records = serve_groups(&server, &place, GROUPS).await?;
        write_records(&file, &records)?;
        let stored: usize = records.iter().map(|(key, value)| key.to_bytes().len() + value.len()).sum();
        drop(records);
        let round = Round::measure(place, &file).await?;
        let mut results = round.results();
        results.extend([
            Measured::plain("relay_group_stored", count(stored) / count(GROUPS), "bytes"),
            Measured::plain("relay_group_in_memory", resident / count(GROUPS * COPIES), "bytes"),
        ]);
        Ok(results)
    })
}

/// Groups on the server, each of which lists the relay, and the records of a relay that has found itself there.
pub(crate) async fn serve_groups(
    server: &Server,
    place: &ServerWithPassword,
    count: usize,
) -> Result<Records, Failure> {
    let mut random = SeededRandom::new(&[8; 32], &format!("{count} owners"));
    let (client, _events) = start_client(server, &mut random).await?;
    let groups = create_groups(&client, place, count, &mut random).await?;
    let config = config(place.clone(), None);
    let mut served =
        Served { relay: Relay::new(config.identity, config.settings), random, request: 0, services: HashMap::new() };
    let mut invited = Vec::new();
    for group in groups {
        let link = served.accept(&group)?;
        invited.push((group, link));
    }
    let mut random = SeededRandom::new(&[9; 32], "listing");
    let listed = list_relays(&client, invited, &mut random).await?;
    for group in &listed {
        served.find(group)?;
    }
    client.close().await;
    if served.relay.services().filter(|service| *service.status() == Status::Active).count() != count {
        return Err("not every group lists the relay".into());
    }
    let kept = |change: group::relay::Change| match (change.key, change.value) {
        (RecordKey::Log(..), _) | (_, None) => None,
        (key, Some(value)) => Some((key, value.to_vec())),
    };
    Ok(served.relay.take_changes().into_iter().filter_map(kept).collect())
}

/// A relay whose effects are all successful.
struct Served {
    relay: Relay,
    random: SeededRandom,
    request: u64,
    services: HashMap<ContactShortLink, ServiceId>,
}

fn before() -> Time {
    Time::from_millis(now().millis().saturating_sub(BEFORE.as_millis().try_into().unwrap_or_default()))
}

impl Served {
    fn accept(&mut self, group: &Group) -> Result<ContactShortLink, Failure> {
        self.request += 1;
        let (now, info) = (before(), group.invitation()?);
        let env = &mut Env { now, random: &mut self.random };
        self.relay.requested(self.request, &info, env);
        let service = ServiceId(self.request);
        self.services.insert(group.short_link().clone(), service);
        let read = Outcome::LinkData(Box::new(group.data()));
        self.relay.finish(&TaskId::ReadGroupLink(service), read, env);
        self.relay.finish(&TaskId::CreateLink(service), Outcome::Done, env);
        let owner = group::relay::ConnectionName::Owner(service, 1);
        self.relay.finish(&TaskId::Answer(owner), Outcome::Done, env);
        let link = self.relay.service(service).and_then(|service| service.relay_link().cloned());
        Ok(link.ok_or("a group was not accepted")?)
    }

    fn find(&mut self, group: &Group) -> Result<(), Failure> {
        let service = *self.services.get(group.short_link()).ok_or("an unknown group")?;
        let env = &mut Env { now: before(), random: &mut self.random };
        self.relay.finish(&TaskId::CheckLink(service), Outcome::LinkData(Box::new(group.data())), env);
        Ok(())
    }
}

pub(crate) fn write_records(file: &Path, records: &Records) -> Result<(), Failure> {
    let mut db = Connection::open(file)?;
    let tx = db.transaction()?;
    for (key, value) in records {
        tx.execute("INSERT OR REPLACE INTO relay_record VALUES (?1, ?2)", params![key.to_bytes(), value])?;
    }
    Ok(tx.commit()?)
}

/// Bytes by which copies of one group, each under a name of its own, make this process grow.
fn in_memory(place: &ServerWithPassword, of_one: &Records) -> Result<f64, Failure> {
    let service = of_one.iter().find(|(key, _)| matches!(key, RecordKey::Service(_))).ok_or("no record of a group")?;
    let text = std::str::from_utf8(&service.1)?;
    let last = u64::try_from(GROUPS * COPIES)?;
    let relay = (RecordKey::Relay, format!(r#"{{"v":1,"next_service":{}}}"#, last + 1));
    let copy = |id| (RecordKey::Service(ServiceId(id)), text.replacen(r#""id":1,"#, &format!(r#""id":{id},"#), 1));
    let records = std::iter::once(relay).chain((1..=last).map(copy));
    let config = config(place.clone(), None);
    let before = memory_of_this_process()?;
    let relay =
        Relay::load(config.identity, config.settings, records.map(|(key, text)| (key, text.into_bytes().into())))?;
    let grown = memory_of_this_process()? - before;
    if relay.services().count() != GROUPS * COPIES {
        return Err("not every copy was loaded".into());
    }
    Ok(grown)
}

/// One look at every group link.
struct Round {
    bound: f64,
    busy: f64,
    wall: f64,
}

impl Round {
    async fn measure(place: ServerWithPassword, file: &Path) -> Result<Self, Failure> {
        let shift = Arc::new(AtomicU64::new(0));
        let shifted = shift.clone();
        let clock = Arc::new(move || now().after(Duration::from_millis(shifted.load(Ordering::Relaxed))));
        let service = start(config(place, None), file, clock).await?;
        let http = TcpListener::bind("127.0.0.1:0").await?;
        let page = Metrics(http.local_addr()?);
        let pages = tokio::spawn(relay::http::serve(http, service.handle(), std::future::pending()));
        let (end, ended) = oneshot::channel::<()>();
        let (served, round) = tokio::join!(service.run(async { drop(ended.await) }), async {
            let round = Self::run(&page, &shift).await;
            pages.abort();
            drop(end);
            round
        });
        served?;
        round
    }

    async fn run(page: &Metrics, shift: &AtomicU64) -> Result<Self, Failure> {
        page.until_looked(GROUPS).await?;
        shift.fetch_add(ROUND.as_millis().try_into()?, Ordering::Relaxed);
        let before = Primitives::measure();
        let (processor, began) = (ProcessTime::now(), Instant::now());
        page.until_looked(2 * GROUPS).await?;
        let (busy, wall) = (processor.elapsed().as_secs_f64(), began.elapsed().as_secs_f64());
        let bound = 2.0 / (before.watched_link() + Primitives::measure().watched_link());
        Ok(Round { bound, busy, wall })
    }

    fn results(&self) -> Vec<Measured> {
        let reads = count(GROUPS);
        vec![
            Measured::of_bound("relay_monitoring", reads / self.busy, "links/s/core", self.bound),
            Measured::plain("relay_monitoring_round", self.busy, "s of a core"),
            Measured::plain("relay_monitoring_wall", reads / self.wall, "links/s"),
        ]
    }
}

/// The page with the relay's counters.
struct Metrics(std::net::SocketAddr);

impl Metrics {
    /// Waits until that many looks at links were begun and nothing is under way. Asking also makes the relay look at its
    /// clock.
    async fn until_looked(&self, looks: usize) -> Result<(), Failure> {
        loop {
            let page = self.get().await?;
            let number =
                |name: &str| page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok());
            if number("relay_link_checks_total ") >= Some(looks) && number("relay_tasks_under_way ") == Some(0) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn get(&self) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(self.0).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n").await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await?;
        Ok(page)
    }
}
