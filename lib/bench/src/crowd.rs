//! A crowd of members of one group, in a relay's store and on a server, made without joining.
//!
//! One member joins: a whole handshake between two connections. All others are copies of it on both sides, with the same
//! ratchet, but each with queues of its own on the server, whose names stand in its records instead of those of the first.
//! Nothing that a relay does for a member depends on ratchets being different.

use agent::connection::keep::{ConnectionId, Keep as _, Record, Revision};
use agent::connection::{Change, Connection, RecordKey};
use agent::time::Time;
use crypto::SeededRandom;
use crypto::authorize::AuthPrivateKey;
use crypto::dh::X25519PrivateKey;
use group::identity::{MemberId, MemberKey};
use group::member::{MemberProfile, Role};
use group::relay::members::{Burst, Hall, Link, LinkState, Member, MemberState, Persona};
use group::relay::{ConnectionName, ServiceId};
use net::client::Client;
use relay::store::RelayStore;
use smp::command::{NewQueue, QueueRequest};
use smp::response::QueueIds;
use std::path::Path;
use store::rusqlite::{self, params};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::Failure;
use crate::connections::now;
use crate::line::{Line, Session};

/// Members that are made at a time.
const TOGETHER: u64 = 200;

/// The group that they are members of.
pub(crate) const SERVICE: ServiceId = ServiceId(1);

/// The bytes by which a connection knows its queues.
#[derive(Clone)]
struct Names {
    /// The relay's queue, for the relay.
    relay_recipient: Vec<u8>,
    /// The relay's queue, for the member.
    relay_sender: Vec<u8>,
    /// The member's queue, for the member.
    member_recipient: Vec<u8>,
    /// The member's queue, for the relay.
    member_sender: Vec<u8>,
    /// What the server encrypts with for the member.
    delivery: [u8; 32],
}

/// One who has joined.
struct Original {
    relay: Vec<Record>,
    member: Vec<Record>,
    names: Names,
    relay_key: AuthPrivateKey,
    member_key: AuthPrivateKey,
    sender_key: AuthPrivateKey,
}

/// Puts members into the store of a relay that does not run, as if they had joined it. Gives back the other sides of so
/// many of them, spread over all.
pub(crate) async fn join_all(
    session: &mut Session,
    line: Line,
    file: &Path,
    count: u64,
    sample: u64,
) -> Result<Vec<Connection>, Failure> {
    let original = Original::of(line)?;
    let store = RelayStore::open(file)?;
    let connections = store.connections()?;
    let step = count.checked_div(sample).unwrap_or(1).max(1);
    let mut sampled = Vec::new();
    let mut next = 1;
    while next <= count {
        let last = next.saturating_add(TOGETHER - 1).min(count);
        let mut batch = Vec::new();
        for (number, names) in original.queues(&session.client, next..=last, &mut session.random).await? {
            let records = original.copy(&original.relay, &names)?;
            let changes = records.into_iter().map(|(key, value)| Change { key, value: Some(value) }).collect();
            batch.push((name_of(number)?, Revision::Change(changes)));
            if number % step == 0 {
                sampled.push(Connection::load(original.copy(&original.member, &names)?)?);
            }
        }
        connections.commit(batch).await?;
        next = last + 1;
    }
    drop((connections, store));
    write_members(file, count, &mut session.random)?;
    Ok(sampled)
}

fn name_of(number: u64) -> Result<ConnectionId, Failure> {
    let name = ConnectionName::Member(SERVICE, number, 1).to_string();
    ConnectionId::new(name.as_bytes()).ok_or_else(|| "name of a connection".into())
}

impl Original {
    fn of(line: Line) -> Result<Self, Failure> {
        let Line { relay, member, sender_key } = line;
        let (relay_side, member_side) = (relay.status(), member.status());
        let receives = |status: &agent::connection::Status| {
            let queue = status.receive.clone().ok_or("no queue")?;
            let (recipient, sender) = (queue.recipient_id.ok_or("no queue")?, queue.sender_id.ok_or("no queue")?);
            Ok::<_, Failure>((recipient.as_bytes().to_vec(), sender.as_bytes().to_vec()))
        };
        let (relay_recipient, relay_sender) = receives(&relay_side)?;
        let (member_recipient, member_sender) = receives(&member_side)?;
        let member_records = member.records();
        let core = core_of(&member_records)?;
        let delivery = after(core, &member_sender).ok_or("no delivery secret")?;
        let names = Names { relay_recipient, relay_sender, member_recipient, member_sender, delivery };
        let key = |connection: &Connection| connection.subscription().map(|subscription| subscription.key);
        Ok(Original {
            relay_key: key(&relay).ok_or("no queue")?,
            member_key: key(&member).ok_or("no queue")?,
            relay: relay.records(),
            member: member_records,
            names,
            sender_key,
        })
    }

    /// Makes the queues of some members on the server, many at once.
    async fn queues(
        &self,
        client: &Client,
        numbers: std::ops::RangeInclusive<u64>,
        random: &mut SeededRandom,
    ) -> Result<Vec<(u64, Names)>, Failure> {
        let mut making = JoinSet::new();
        for number in numbers {
            let delivery_keys = (X25519PrivateKey::generate(random), X25519PrivateKey::generate(random));
            let (client, names) = (client.clone(), self.names.clone());
            let keys = (self.relay_key.clone(), self.member_key.clone(), self.sender_key.clone());
            making.spawn(async move { Ok::<_, Failure>((number, names.fresh(&client, keys, delivery_keys).await?)) });
        }
        making.join_all().await.into_iter().collect()
    }

    fn copy(&self, records: &[Record], names: &Names) -> Result<Vec<Record>, Failure> {
        let copy = |(key, value): &Record| {
            let value = if *key == RecordKey::Core { self.names.replaced(value, names)? } else { value.clone() };
            Ok((*key, value))
        };
        records.iter().map(copy).collect()
    }
}

impl Names {
    /// The queues of another member.
    async fn fresh(
        &self,
        client: &Client,
        keys: (AuthPrivateKey, AuthPrivateKey, AuthPrivateKey),
        delivery_keys: (X25519PrivateKey, X25519PrivateKey),
    ) -> Result<Self, Failure> {
        let (relay_key, member_key, sender_key) = keys;
        let relay: QueueIds = client.create_queue(queue(&relay_key, &delivery_keys.0)?, None, &relay_key).await?;
        let member: QueueIds = client.create_queue(queue(&member_key, &delivery_keys.1)?, None, &member_key).await?;
        client.secure_as_sender(&member.sender_id, &sender_key).await?;
        Ok(Names {
            relay_recipient: relay.recipient_id.as_bytes().to_vec(),
            relay_sender: relay.sender_id.as_bytes().to_vec(),
            member_recipient: member.recipient_id.as_bytes().to_vec(),
            member_sender: member.sender_id.as_bytes().to_vec(),
            delivery: *delivery_keys.1.agree(&member.dh_key).expose(),
        })
    }

    /// A core record with other names in it.
    fn replaced(&self, core: &[u8], by: &Names) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut core = Zeroizing::new(core.to_vec());
        let pairs = [
            (self.relay_recipient.as_slice(), by.relay_recipient.as_slice()),
            (&self.relay_sender, &by.relay_sender),
            (&self.member_recipient, &by.member_recipient),
            (&self.member_sender, &by.member_sender),
            (&self.delivery, &by.delivery),
        ];
        let mut found = 0;
        for (old, new) in pairs {
            if let Some(place) = place_of(&core, old)
                && let Some(bytes) = core.get_mut(place..place + old.len())
            {
                bytes.copy_from_slice(new);
                found += 1;
            }
        }
        // Its own queue has two names, the peer's one; the member's delivery secret is known.
        if found < 3 { Err("a record without the names of its queues".into()) } else { Ok(core) }
    }
}

fn queue(key: &AuthPrivateKey, delivery: &X25519PrivateKey) -> Result<NewQueue, Failure> {
    Ok(NewQueue {
        recipient_key: key.public()?,
        dh_key: delivery.public(),
        basic_auth: None,
        subscribe: false,
        request: Some(QueueRequest::Messaging(None)),
        notifier: None,
    })
}

fn core_of(records: &[Record]) -> Result<&[u8], Failure> {
    let core = records.iter().find(|(key, _)| *key == RecordKey::Core).ok_or("no core record")?;
    Ok(&core.1)
}

fn place_of(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// The 32 bytes after a name.
fn after(bytes: &[u8], name: &[u8]) -> Option<[u8; 32]> {
    let place = place_of(bytes, name)? + name.len();
    bytes.get(place..place + 32)?.try_into().ok()
}

/// Members as rows of the relay's store.
fn write_members(file: &Path, count: u64, random: &mut SeededRandom) -> Result<(), Failure> {
    let mut db = rusqlite::Connection::open(file)?;
    let tx = db.transaction()?;
    let persona = Persona { profile: MemberProfile::named("A member"), join: None, joined_at: 0 }.to_record();
    let persona = String::from_utf8(persona)?;
    for number in 1..=count {
        let member = member(number, now(), random);
        let (id, record) = (member.id.as_bytes(), String::from_utf8(member.to_record())?);
        let mut insert = tx.prepare_cached("INSERT INTO relay_member VALUES (?1, ?2, ?3, 1, 0, 0, NULL, ?4)")?;
        insert.execute(params![SERVICE.0.cast_signed(), number.cast_signed(), id, record])?;
        let mut insert = tx.prepare_cached("INSERT INTO relay_persona VALUES (?1, ?2, ?3)")?;
        insert.execute(params![SERVICE.0.cast_signed(), number.cast_signed(), persona])?;
    }
    let hall = Hall { last_member: count, clock: count, members: count, ..Hall::default() };
    let hall = serde_json::to_string(&hall)?;
    tx.execute("INSERT INTO relay_hall VALUES (?1, ?2)", params![SERVICE.0.cast_signed(), hall])?;
    Ok(tx.commit()?)
}

fn member(number: u64, now: Time, random: &mut SeededRandom) -> Member {
    Member {
        number,
        id: MemberId::random(random),
        key: Some(MemberKey::generate(random).public()),
        role: Role::Member,
        role_since: 0,
        state: MemberState::Connected,
        since: now,
        max_version: 16,
        takes_joins: false,
        blocked: false,
        link: Link { attempt: 1, request: number, state: LinkState::Connected, last: None },
        content: None,
        pair_until: None,
        discarded: Vec::new(),
        attempts: 1,
        start: 1,
        stage: None,
        behind: None,
        roster_served: None,
        last_spoke: None,
        last_asked: None,
        arrived: number,
        introduced_since: None,
        burst: Burst::default(),
        due: None,
        refusals: 0,
    }
}
