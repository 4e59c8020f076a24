//! Single messages and members, in an SQLite file beside the state file, and lines that wait to be printed.
//!
//! What follows from a message stands in the state file before it stands here, and a line stands here until it was printed.
//! So whatever is cut off is done again: nothing is lost, and at worst a line is printed twice.
//!
//! What is old goes, so that a run that goes on for years does not fill the disk: of a message only its name stays, so that
//! no relay can deliver it as a new one, and of those that are older still, nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cli::{Code, Error};
use codec::{Decode as _, Encode as _};
use group::identity::MemberId;
use group::membership::{Change, MemberRecord, MessageRecord, RecordError, RecordKey, Records};
use group::message_id::MessageId;
use group::owner::PastRecords;
use store::rusqlite::{OptionalExtension as _, params};
use store::{Schema, Store};

/// How the names of records of members begin, and those of what follows them.
const MEMBERS: std::ops::Range<&[u8]> = b"P".as_slice()..b"Q".as_slice();
const SUFFIX: &str = ".messages";
/// "grpm"
const SCHEMA: Schema<'_> = Schema { application_id: 0x6772_706d, migrations: &[TABLES, AGES] };
const TABLES: &str = "
CREATE TABLE record (
    name  BLOB PRIMARY KEY,                 -- of a message or a member
    value BLOB NOT NULL                     -- JSON
) STRICT;

CREATE TABLE line (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    value  TEXT NOT NULL                    -- JSON, waits to be printed
) STRICT;
";

const AGES: &str = "
ALTER TABLE record ADD COLUMN written_at INTEGER NOT NULL DEFAULT 0;    -- in Unix seconds
ALTER TABLE record ADD COLUMN is_forgotten INTEGER NOT NULL DEFAULT 0;  -- only the name is left
UPDATE record SET written_at = unixepoch();
CREATE INDEX record_by_age ON record (is_forgotten, written_at) WHERE name >= x'4d' AND name < x'4e';
";
/// Condition for records of messages, whose names begin with the letter M.
const OF_MESSAGES: &str = "name >= x'4d' AND name < x'4e'";
/// The same for reactions: R.
const OF_REACTIONS: &str = "name >= x'52' AND name < x'53'";
/// How many records are forgotten in one transaction: others wait for it.
const BATCH: u32 = 1000;
/// How many names are kept for each message that may be kept whole.
const NAMES_FOR_EACH: u32 = 10;
/// In seconds.
const DAY: i64 = 86_400;

/// For how long, and how much, is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Retention {
    /// Keep messages for N days after they came or changed; of older ones only the names
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_days: u32,

    /// Keep at most N messages; of others only the names, and of ten times as many not even these
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    pub keep_messages: u32,
}

/// How often old messages are forgotten.
const TIDY: Duration = Duration::from_secs(3600);

/// Forgets old messages now and then, in a run that goes on for long.
pub struct Tidying {
    retention: Retention,
    last: Option<Instant>,
}

impl Tidying {
    /// What is kept.
    pub fn new(retention: Retention) -> Self {
        Tidying { retention, last: None }
    }

    /// Forgets what is old at this time, in Unix seconds, unless that was done a short while ago.
    pub async fn tidy(&mut self, messages: &Messages, now: i64) -> Result<(), Error> {
        if self.last.is_some_and(|last| last.elapsed() < TIDY) {
            return Ok(());
        }
        self.last = Some(Instant::now());
        messages.forget_old(self.retention, now).await
    }
}

/// The messages of a group that a run knows. Clones are the same.
#[derive(Clone)]
pub struct Messages(Arc<Store>);

/// A line that waits to be printed.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number.
    pub number: i64,
    /// What it says.
    pub value: String,
}

impl Messages {
    /// Opens or creates the file that belongs to a state file.
    pub fn beside(state: &Path) -> Result<Self, Error> {
        let state = state.canonicalize().unwrap_or_else(|_| state.to_owned());
        let mut name = OsString::from(state);
        name.push(SUFFIX);
        let path = PathBuf::from(name);
        let store = Store::open(&path, &SCHEMA).map_err(|error| failed(&error).at(path.display()))?;
        Ok(Messages(Arc::new(store)))
    }

    /// Writes records, and lines that are to be printed; the numbers of the lines.
    pub async fn write(&self, changes: Vec<Change>, lines: Vec<String>) -> Result<Vec<Line>, Error> {
        let pending = self.0.write(move |tx| {
            let mut record = tx.prepare_cached(
                "INSERT INTO record (name, value, written_at) VALUES (?1, ?2, unixepoch()) ON CONFLICT (name) DO UPDATE \
                 SET value = excluded.value, written_at = excluded.written_at, \
                 is_forgotten = is_forgotten AND value = excluded.value",
            )?;
            for Change { key, value } in &changes {
                record.execute(params![key.to_bytes(), value])?;
            }
            let mut line = tx.prepare_cached("INSERT INTO line (value) VALUES (?1)")?;
            let mut numbered = Vec::new();
            for value in lines {
                let number = line.insert(params![value])?;
                numbered.push(Line { number, value });
            }
            Ok(numbered)
        });
        pending.await.map_err(|error| failed(&error))
    }

    /// All members that somebody told of, in the order of their IDs.
    pub fn members(&self) -> Result<Vec<(MemberId, MemberRecord)>, Error> {
        let rows = self.0.read(|db| {
            let mut query =
                db.prepare("SELECT name, value FROM record WHERE name >= ?1 AND name < ?2 ORDER BY name")?;
            let rows = query.query_map(params![MEMBERS.start, MEMBERS.end], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<Vec<(Vec<u8>, Vec<u8>)>, _>>()
        });
        let malformed = |error: &dyn std::fmt::Display| Error::new(Code::StoreFailed, error.to_string());
        let member = |(name, value): (Vec<u8>, Vec<u8>)| {
            let key = RecordKey::decode_all(&name).map_err(|error| malformed(&error))?;
            let record = MemberRecord::parse(&key, &value).map_err(|error| malformed(&error))?;
            match key {
                RecordKey::Member(id) => Ok((id, record)),
                _ => Err(malformed(&"a record under another's name")),
            }
        };
        rows.map_err(|error| failed(&error))?.into_iter().map(member).collect()
    }

    /// What is known of a member, if somebody told of it.
    pub fn member(&self, id: &MemberId) -> Result<Option<MemberRecord>, Error> {
        let key = RecordKey::Member(id.clone());
        let record = self.read(&key).and_then(|bytes| bytes.map(|bytes| MemberRecord::parse(&key, &bytes)).transpose());
        record.map_err(|error| Error::new(Code::StoreFailed, error))
    }

    /// The lines that an earlier run did not print, or did not remember to have printed.
    pub fn waiting(&self) -> Result<Vec<Line>, Error> {
        let lines = self.0.read(|db| {
            let mut query = db.prepare("SELECT number, value FROM line ORDER BY number")?;
            let lines = query.query_map([], |row| Ok(Line { number: row.get(0)?, value: row.get(1)? }))?;
            lines.collect()
        });
        lines.map_err(|error| failed(&error))
    }

    /// Forgets what is too old or too much at this time, in Unix seconds.
    async fn forget_old(&self, retention: Retention, now: i64) -> Result<(), Error> {
        let oldest = now.saturating_sub(i64::from(retention.keep_days).saturating_mul(DAY));
        while self.forget_some(retention, oldest).await? > 0 {}
        Ok(())
    }

    /// Forgets a few messages, and names of messages; how many.
    async fn forget_some(&self, retention: Retention, oldest: i64) -> Result<usize, Error> {
        let names = retention.keep_messages.saturating_mul(NAMES_FOR_EACH);
        let pending = self.0.write(move |tx| {
            let counted = |forgotten: u32| {
                tx.query_row(
                    &format!("SELECT count(*) FROM record WHERE is_forgotten = ?1 AND {OF_MESSAGES}"),
                    params![forgotten],
                    |row| row.get::<_, u32>(0),
                )
            };
            let oldest_of = |forgotten: u32| {
                format!(
                    "SELECT rowid FROM record WHERE is_forgotten = {forgotten} AND {OF_MESSAGES} \
                     ORDER BY written_at LIMIT ?1"
                )
            };
            let surplus = counted(0)?.saturating_sub(retention.keep_messages).min(BATCH);
            let forget = "UPDATE record SET value = ?2, is_forgotten = 1 WHERE rowid IN";
            let tombstone = MessageRecord::forgotten();
            let surplus = tx.execute(&format!("{forget} ({})", oldest_of(0)), params![surplus, tombstone])?;
            let aged = format!(
                "{forget} (SELECT rowid FROM record WHERE is_forgotten = 0 AND written_at < ?1 AND {OF_MESSAGES} \
                 LIMIT {BATCH})"
            );
            let aged = tx.execute(&aged, params![oldest, tombstone])?;
            let reactions = format!(
                "DELETE FROM record WHERE rowid IN (SELECT rowid FROM record WHERE written_at < ?1 AND {OF_REACTIONS} \
                 LIMIT {BATCH})"
            );
            let reactions = tx.execute(&reactions, params![oldest])?;
            let nameless = counted(1)?.saturating_sub(names).min(BATCH);
            let delete = format!("DELETE FROM record WHERE rowid IN ({})", oldest_of(1));
            let deleted = tx.execute(&delete, params![nameless])?;
            Ok(surplus.saturating_add(aged).saturating_add(reactions).saturating_add(deleted))
        });
        pending.await.map_err(|error| failed(&error))
    }

    /// All lines up to this one were printed.
    pub async fn printed(&self, number: i64) -> Result<(), Error> {
        let pending = self.0.write(move |tx| tx.execute("DELETE FROM line WHERE number <= ?1", params![number]));
        pending.await.map(drop).map_err(|error| failed(&error))
    }
}

fn failed(error: &store::Error) -> Error {
    Error::new(Code::StoreFailed, error)
}

impl PastRecords for Messages {
    fn before(&self, place: Option<i64>, limit: usize) -> Result<Vec<(i64, MessageId, Vec<u8>)>, RecordError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let page = self.0.read(|db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT rowid, name, value FROM record WHERE rowid < ?1 AND is_forgotten = 0 AND {OF_MESSAGES} \
                 ORDER BY rowid DESC LIMIT ?2"
            ))?;
            let rows = query.query_map(params![place.unwrap_or(i64::MAX), limit], |row| {
                Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        let page = page.map_err(|error| RecordError::Read(error.to_string()))?;
        let named = |(place, name, value): (i64, Vec<u8>, Vec<u8>)| match RecordKey::decode_all(&name) {
            Ok(RecordKey::Message(id)) => Ok((place, id, value)),
            _ => Err(RecordError::Read("a record without a name".to_owned())),
        };
        page.into_iter().map(named).collect()
    }
}

impl Records for Messages {
    fn read(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        let name = key.to_bytes();
        let read = self.0.read(|db| {
            let mut query = db.prepare_cached("SELECT value FROM record WHERE name = ?1")?;
            query.query_row(params![name], |row| row.get(0)).optional()
        });
        read.map_err(|error| RecordError::Read(error.to_string()))
    }
}
