//! What a relay, and the servers that it uses, can find out about the groups of one owner: not that they have one.
//!
//! Everything that the relay keeps about two groups is looked at, byte by byte, for anything that both have in common.
//! Software has a lot in common with itself: names of fields, headers of keys, the relay's own server, the hour. That is
//! told from what an owner has by a third group, of somebody else who has nothing to do with the first one, that was
//! invited between the two: whatever stands in all three says nothing about an owner.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use codec::Decode as _;
use codec::text::from_base64url;
use group::relay::{ConnectionName, RecordKey, ServiceId};
use serde_json::Value;
use store::rusqlite::types::ValueRef;
use store::rusqlite::{Connection, OpenFlags};

use crate::connections::{World, lines};
use crate::relays::{Relay, run};
use crate::server::{Place, Server};

/// Shorter pieces are alike by chance.
const PIECE: usize = 12;
/// So much of a piece explains it.
const KNOWN: usize = 8;
/// Words of so many letters may be base64url.
const WORD: usize = 24;
/// Numbers with so many digits are times, and tell the hour.
const DIGITS: usize = 10;

/// A group: where its link is, where its owner receives, and how the relay calls it.
struct Group {
    name: &'static str,
    /// What the owner said about itself, if it did not leave that to chance.
    persona: Option<&'static str>,
    service: ServiceId,
    document: Value,
}

/// Everything that somebody has about each group.
type View = BTreeMap<ServiceId, Vec<Vec<u8>>>;

/// Servers on addresses of their own, so that they can be told apart.
struct Servers(Vec<(Place, Server)>);

impl Servers {
    async fn start(count: u8) -> Self {
        let mut servers = Vec::new();
        for number in 0..count {
            let place = Place::new();
            let server = place.start(&["--listen", &format!("127.0.0.{}:0", 101 + number)]).await;
            servers.push((place, server));
        }
        Servers(servers)
    }

    fn address(&self, number: usize) -> String {
        self.0[number].1.address.to_string()
    }

    fn store(&self, number: usize) -> std::path::PathBuf {
        self.0[number].0.path("queues.sqlite")
    }
}

/// Makes a group whose link is at `server`, and brings the relay into it.
async fn group(world: &World, relay: &Relay, name: &'static str, server: &str, flags: &str) -> Group {
    let file = format!("{name}.json");
    let keys = world.attempt(world.command("grp-keygen"), "", None).await.unwrap().stdout;
    let create = world.command(&format!("grp-link-create --server {server} --name {name} --out {file} --quiet"));
    let created = world.attempt(create, std::str::from_utf8(&keys).unwrap(), None).await.unwrap();
    assert!(created.status.success());
    run(world, &format!("grp-relay-invite --state {file} --relay {} --quiet --timeout 60 {flags}", relay.address))
        .await;
    let document: Value = serde_json::from_slice(&std::fs::read(world.path(&file)).unwrap()).unwrap();
    assert_eq!(document["relay_records"][0]["status"], "active");
    let service = service_of(&relay.log(world).await, document["link"].as_str().unwrap());
    let persona = flags.contains("--name").then_some(PERSONA);
    Group { name, persona, service, document }
}

fn service_of(log: &[Value], link: &str) -> ServiceId {
    let invited = log.iter().find(|line| line["event"] == "invited" && line["group_link"] == link).unwrap();
    ServiceId(invited["service"].as_u64().unwrap())
}

impl Group {
    fn receives_at(&self) -> &str {
        self.document["persona"]["server"].as_str().unwrap()
    }

    fn persona_name(&self) -> &str {
        self.document["persona"]["profile"]["displayName"].as_str().unwrap()
    }
}

fn open(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// All rows of a table, each with all its columns.
fn rows(db: &Connection, table: &str) -> Vec<Vec<Vec<u8>>> {
    let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let bytes = |value: ValueRef<'_>| match value {
        ValueRef::Null => Vec::new(),
        ValueRef::Integer(number) => number.to_be_bytes().to_vec(),
        ValueRef::Real(number) => number.to_be_bytes().to_vec(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
    };
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        rows.push((0..columns).map(|column| bytes(row.get_ref(column).unwrap())).collect());
    }
    rows
}

fn tables(db: &Connection) -> Vec<String> {
    let mut statement = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn integer(column: &[u8]) -> u64 {
    u64::from_be_bytes(column.try_into().unwrap())
}

/// The service that a connection belongs to; none for the address of the relay, and who tests it.
fn service_of_connection(name: &str) -> Option<ServiceId> {
    match name.parse().unwrap() {
        ConnectionName::Owner(service, _) | ConnectionName::Link(service) | ConnectionName::Member(service, ..) => {
            Some(service)
        }
        ConnectionName::Address | ConnectionName::Test(_) => None,
    }
}

/// Everything in the relay's store, by the group that it is about; nothing of a group stands where all groups do.
fn stored(file: &Path) -> (View, Vec<Vec<u8>>) {
    let db = open(file);
    let mut names = BTreeMap::new();
    for row in rows(&db, "connection") {
        names.insert(integer(&row[0]), String::from_utf8(row[1].clone()).unwrap());
    }
    let (mut view, mut shared) = (View::new(), Vec::new());
    for table in tables(&db) {
        for row in rows(&db, &table) {
            let service = match table.as_str() {
                "connection" => service_of_connection(std::str::from_utf8(&row[1]).unwrap()),
                "connection_record" => service_of_connection(&names[&(integer(&row[0]) >> 32 & ((1 << 27) - 1))]),
                "relay_record" => match RecordKey::decode_all(&row[0]).unwrap() {
                    RecordKey::Service(service) | RecordKey::Roster(service) | RecordKey::Log(service, _) => {
                        Some(service)
                    }
                    RecordKey::Relay | RecordKey::Test(_) => None,
                },
                "relay_log" | "relay_hall" | "relay_member" | "relay_persona" | "relay_request" => {
                    Some(ServiceId(integer(&row[0])))
                }
                "relay_message" => Some(ServiceId(integer(&row[1]))),
                "relay_profile" => None,
                other => panic!("a table that nobody has looked at: {other}"),
            };
            match service {
                Some(service) => view.entry(service).or_default().extend(row),
                None => shared.extend(row),
            }
        }
    }
    (view, shared)
}

/// What the log and the trace say besides.
async fn told(world: &World, relay: &Relay, view: &mut View) {
    for line in relay.log(world).await {
        let service = ServiceId(line["service"].as_u64().unwrap());
        view.entry(service).or_default().push(line.to_string().into_bytes());
    }
    let trace = std::fs::read_to_string(world.path("ray").join("trace")).unwrap();
    for line in trace.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        let about = step["about"].as_str().unwrap_or_default();
        let service = about.parse().ok().map(ServiceId).or_else(|| {
            let name = Some(about).filter(|about| !about.is_empty());
            name.and_then(service_of_connection)
        });
        if let Some(service) = service {
            view.entry(service).or_default().push(line.as_bytes().to_vec());
        }
    }
}

/// The pieces of a group, `length` bytes each: of everything that stands between quotation marks or the ends of a value,
/// so that a name of a field and the first letter after it are no piece, and of long words in base64url what they stand for.
fn pieces(blobs: &[Vec<u8>], group: &Group, length: usize) -> HashSet<Vec<u8>> {
    let mut pieces = HashSet::new();
    let mut cut = |bytes: &[u8]| {
        for part in bytes.split(|byte| *byte == b'"') {
            pieces.extend(part.windows(length).map(<[u8]>::to_vec));
        }
    };
    for blob in blobs {
        let (plain, decoded) = read(&without_chance(blob, group));
        decoded.iter().for_each(|bytes| cut(bytes));
        cut(&plain);
    }
    pieces
}

/// A value without its long words in base64url, and what these stand for.
fn read(blob: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut plain, mut decoded) = (Vec::new(), Vec::new());
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    for part in blob.chunk_by(|one, next| is_letter(one) == is_letter(next)) {
        let word = std::str::from_utf8(part).ok().filter(|word| word.len() >= WORD);
        match word.and_then(|word| from_base64url(word).ok()) {
            Some(bytes) => decoded.push(bytes),
            None => plain.extend_from_slice(part),
        }
    }
    (plain, decoded)
}

/// Takes out what is alike by chance: numbers that tell the hour, and one of the few random names of owners.
fn without_chance(blob: &[u8], group: &Group) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(blob) else { return blob.to_vec() };
    let named = match group.persona {
        Some(_) => text.to_owned(),
        None => text.replace(group.persona_name(), group.name),
    };
    let digits = |number: &str| if number.len() < DIGITS { number.to_owned() } else { String::new() };
    let mut kept = String::new();
    let mut number = String::new();
    for c in named.chars() {
        match c {
            '0'..='9' => number.push(c),
            other => {
                kept.push_str(&digits(&std::mem::take(&mut number)));
                kept.push(other);
            }
        }
    }
    kept.push_str(&digits(&number));
    kept.into_bytes()
}

/// Whether so much of a piece stands in what a stranger has that the rest may be alike by chance: where keys follow what
/// stands in front of all keys, their first letters sometimes are.
fn is_explained(piece: &[u8], stranger: &HashSet<Vec<u8>>) -> bool {
    piece.windows(KNOWN).any(|part| stranger.contains(part))
}

/// What two groups have in common and a third one, of somebody else, has not.
fn common(view: &View, one: &Group, other: &Group, stranger: &Group) -> Vec<String> {
    let [one, other] = [one, other].map(|group| pieces(&view[&group.service], group, PIECE));
    let stranger = pieces(&view[&stranger.service], stranger, KNOWN);
    assert!([&one, &other, &stranger].iter().all(|pieces| pieces.len() > 3_000), "there is something to look at");
    let both = one.intersection(&other).filter(|piece| !is_explained(piece, &stranger));
    both.map(|piece| piece.escape_ascii().to_string()).collect()
}

/// Another relay of these groups, which keeps what it was asked word for word.
async fn ask_another(world: &World, groups: &[&Group]) {
    let invite =
        format!("conn-invite --state listener.json --server {} --address --data {RELAY_PROFILE}", world.address());
    let address = run(world, &invite).await["link"].as_str().unwrap().replace("/a#", "/r#");
    for group in groups {
        run(world, &format!("grp-relay-invite --state {}.json --relay {address} --no-wait --quiet", group.name)).await;
    }
}

/// What it was asked, by the group.
async fn asked(world: &World, groups: &[&Group], view: &mut View) {
    let list = world.command("conn-accept --state listener.json --list --quiet");
    let printed = world.attempt(list, "", None).await.unwrap().stdout;
    let requests = lines(std::str::from_utf8(&printed).unwrap());
    assert_eq!(requests.len(), groups.len());
    for request in requests {
        let text = request["text"].as_str().unwrap();
        let said: Value = serde_json::from_str(text).unwrap();
        let link = &said["params"]["groupRelayInvitation"]["groupLink"];
        let group = groups.iter().find(|group| group.document["link"] == *link).unwrap();
        view.entry(group.service).or_default().push(text.as_bytes().to_vec());
    }
}

/// Whatever a queue is known by at a server: IDs and keys, without the head that all keys of a kind have.
fn marks(file: &Path) -> Vec<Vec<u8>> {
    let db = open(file);
    let columns = "recipient_id, sender_id, substr(recipient_keys, -32), delivery_secret, substr(sender_key, -32), \
        link_id, link_hash";
    let rows = rows(&db, &format!("(SELECT {columns} FROM queue)"));
    rows.into_iter().flatten().filter(|mark| !mark.is_empty()).collect()
}

/// What stands behind the address of a relay that only listens.
const RELAY_PROFILE: &str = r#"{"relayProfile":{"displayName":"Listener","fullName":""}}"#;
/// A name that is long enough to be found.
const PERSONA: &str = "Ada-of-the-Walks";

#[tokio::test]
async fn two_groups_of_an_owner_have_nothing_in_common_for_their_relay() {
    let world = World::new("127.0.0.100").await;
    let relay = Relay::start(&world, "ray").await;
    let servers = Servers::start(6).await;
    let (queues, known) = (format!("--server {},{}", servers.address(2), servers.address(3)), servers.address(5));
    // Somebody who takes care, and somebody who has a name and one server for all groups.
    let careless = format!("--name {PERSONA} --server {known}");
    let walks = group(&world, &relay, "Walks", &servers.address(0), &queues).await;
    let talks = group(&world, &relay, "Talks", &servers.address(0), &careless).await;
    let stranger = group(&world, &relay, "Stranger", &servers.address(4), "").await;
    let apart = format!("{queues} --apart-from Walks.json");
    let rides = group(&world, &relay, "Rides", &servers.address(1), &apart).await;
    let songs = group(&world, &relay, "Songs", &servers.address(0), &careless).await;

    let (mut view, shared) = stored(&world.path("ray").join("relay.sqlite"));
    told(&world, &relay, &mut view).await;
    let groups = [&walks, &talks, &stranger, &rides, &songs];
    ask_another(&world, &groups).await;
    asked(&world, &groups, &mut view).await;
    assert_eq!(view.len(), 5, "a group is a service of its own");
    assert_ne!(walks.receives_at(), rides.receives_at());
    assert_eq!(common(&view, &walks, &rides, &stranger), [""; 0]);

    // Nothing of a group is left where the relay keeps what concerns all of them.
    let everybody = pieces(&shared, &stranger, PIECE);
    let software = pieces(&view[&stranger.service], &stranger, KNOWN);
    for group in [&walks, &rides] {
        let own = pieces(&view[&group.service], group, PIECE);
        let left: Vec<_> = own.intersection(&everybody).filter(|piece| !is_explained(piece, &software)).collect();
        assert!(left.is_empty(), "{}: {left:?}", group.name);
    }

    // The same look finds what is there: a name, and a server.
    let found = common(&view, &talks, &songs, &stranger).join("\n");
    let address = known.rsplit_once('@').unwrap().0.trim_start_matches("smp://").trim_end_matches('=').to_owned();
    assert!(found.contains(&PERSONA[..PIECE]), "{found}");
    assert!(common(&view, &talks, &rides, &stranger).is_empty(), "only with the other one");
    let key_hash = from_base64url(&address).unwrap();
    let mut fingerprint = key_hash.windows(PIECE).map(|piece| piece.escape_ascii().to_string());
    assert!(fingerprint.any(|piece| found.contains(&piece)), "the server: {found}");

    // Nor do servers see the same queue or key twice.
    let files = (0..6).map(|number| servers.store(number)).chain([world.path("queues.sqlite")]);
    let mut seen = HashSet::new();
    for mark in files.flat_map(|file| marks(&file)) {
        assert!(seen.insert(mark.clone()), "twice: {mark:?}");
    }
    assert!(seen.len() > 100, "there is something to look at: {}", seen.len());
}
