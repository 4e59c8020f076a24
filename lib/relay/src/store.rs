//! Everything durable in one SQLite file: connections, the machine's records, and the log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::short_link::ContactShortLink;
use agent::time::Time;
use codec::{Decode as _, Encode as _, Malformed};
use group::identity::GroupId;
use group::relay::members::{Hall, MemberEvent, forget_old};
use group::relay::{Change, RecordKey, ServiceId};
use net::SharedRandom;
use store::connections::{self, Connections};
use store::rusqlite::types::Type;
use store::rusqlite::{self, Connection, OptionalExtension as _, Row, Transaction, params};
use store::{Error, Schema, Store};
use zeroize::Zeroizing;

use crate::members::{self, MemberStep};
use crate::rows::{self, SqlRows};

/// Only the newest lines of a service are kept, whatever its peers do.
const LINES_PER_SERVICE: i64 = 10_000;
/// Only the newest lines of all services are kept: anybody can begin a service.
const LINES: i64 = 2_000_000;

/// How long messages are kept.
const MESSAGES_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// "rlay".
const SCHEMA: Schema<'_> = Schema {
    application_id: 0x726c_6179,
    migrations: &[
        connections::TABLES,
        "
CREATE TABLE relay_record (
    key   BLOB PRIMARY KEY,                 -- what the record is about
    value BLOB NOT NULL                     -- JSON; of services with a secret
) STRICT, WITHOUT ROWID;

CREATE TABLE relay_profile (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    profile TEXT NOT NULL                   -- what stands behind the relay's address
) STRICT;

CREATE TABLE relay_log (
    service INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,               -- Unix seconds
    line    TEXT NOT NULL,                  -- JSON
    PRIMARY KEY (service, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX relay_log_at ON relay_log (at);
",
        rows::TABLES,
    ],
};

/// Whose lines of the log are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFilter {
    /// Everybody's.
    All,
    /// Those of one service.
    Service(ServiceId),
    /// Those of all services that were invited with a group link.
    Link(ContactShortLink),
    /// Those of all services of a group.
    Group(GroupId),
}

/// A record as it is kept.
pub(crate) type Record = (RecordKey, Zeroizing<Vec<u8>>);

/// The relay's store.
#[derive(Debug)]
pub struct RelayStore(Arc<Store>);

impl RelayStore {
    /// Opens or creates the file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(RelayStore(Arc::new(Store::open(path, &SCHEMA)?)))
    }

    /// The connections in it.
    pub fn connections(&self) -> Result<Connections, Error> {
        Connections::within(self.0.clone())
    }

    /// Makes changes of the machine durable, all together.
    #[cfg(test)]
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), Error> {
        self.write(move |tx| changes.iter().try_for_each(|change| apply(tx, change))).await
    }

    /// Makes changes of the machine durable together with steps of members, which are made on the way; what they told.
    pub(crate) async fn commit_steps(
        &self,
        changes: Vec<Change>,
        steps: Vec<MemberStep>,
        now: Time,
        random: SharedRandom,
    ) -> Result<Vec<(ServiceId, Vec<MemberEvent>)>, Error> {
        let commit = move |tx: &Transaction<'_>| {
            changes.iter().try_for_each(|change| apply(tx, change))?;
            members::make(tx, steps, now, random)
        };
        self.write(commit).await
    }

    /// Lets go of old messages of all groups.
    pub(crate) async fn forget_messages(&self, now: Time) -> Result<(), Error> {
        let forget = move |tx: &Transaction<'_>| {
            let services = rows::halls(tx)?.into_iter().map(|(service, _)| service);
            services.into_iter().try_for_each(|service| forget_old(&mut SqlRows::of(tx, service), MESSAGES_KEPT, now))
        };
        self.write(forget).await
    }

    /// Changes something.
    pub(crate) async fn write<T, F>(&self, change: F) -> Result<T, Error>
    where
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.0.write(change).await
    }

    /// Looks at something, where it blocks nobody.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let store = self.0.clone();
        tokio::task::spawn_blocking(move || store.read(query)).await.unwrap_or(Err(Error::Closed))
    }

    /// Where groups stand of which there are members. Blocks.
    pub(crate) fn halls(&self) -> Result<Vec<(ServiceId, Hall)>, Error> {
        self.0.read(rows::halls)
    }

    /// Everything that the machine needs to go on. Blocks.
    pub(crate) fn load(&self) -> Result<Vec<Record>, Error> {
        self.0.read(|db| db.prepare("SELECT key, value FROM relay_record")?.query_map([], record)?.collect())
    }

    /// What stands behind the address. Blocks.
    pub(crate) fn profile(&self) -> Result<Option<String>, Error> {
        self.0.read(|db| db.query_row("SELECT profile FROM relay_profile", [], |row| row.get(0)).optional())
    }

    pub(crate) async fn set_profile(&self, profile: String) -> Result<(), Error> {
        let sql = "INSERT INTO relay_profile VALUES (1, ?1) ON CONFLICT DO UPDATE SET profile = excluded.profile";
        self.0.write(move |tx| tx.execute(sql, [profile]).map(drop)).await
    }

    /// Forgets lines of the log from before that moment, and the oldest ones of services that have too many, or if there
    /// are too many in all.
    pub(crate) async fn trim_log(&self, before: u64) -> Result<(), Error> {
        self.trim_log_to(before, LINES).await
    }

    async fn trim_log_to(&self, before: u64, lines: i64) -> Result<(), Error> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let surplus = "DELETE FROM relay_log WHERE number <=
            (SELECT max(number) FROM relay_log AS newest WHERE newest.service = relay_log.service) - ?1";
        // Lines of one second stay together.
        let oldest = "DELETE FROM relay_log WHERE at <
            (SELECT at FROM relay_log ORDER BY at DESC LIMIT 1 OFFSET ?1)";
        let trim = move |tx: &Transaction<'_>| {
            tx.execute("DELETE FROM relay_log WHERE at < ?1", [before])?;
            tx.execute(oldest, [lines])?;
            tx.execute(surplus, [LINES_PER_SERVICE]).map(drop)
        };
        self.0.write(trim).await
    }

    /// At most `limit` lines of the log after one that was read before, in the order of services and their numbers.
    /// Blocks.
    pub fn log(&self, filter: &LogFilter, after: (u64, u64), limit: usize) -> Result<Vec<LogLine>, Error> {
        self.0.read(|db| {
            let services = match filter {
                LogFilter::All => None,
                LogFilter::Service(id) => Some(vec![integer(id.0)]),
                LogFilter::Link(link) => Some(services_with(db, "invited", |line| {
                    let text = line.get("group_link").and_then(|text| text.as_str());
                    text.and_then(|text| text.parse().ok()).is_some_and(|found: ContactShortLink| found.same_link(link))
                })?),
                LogFilter::Group(group) => Some(services_with(db, "group_read", |line| {
                    line.get("group_id").and_then(|id| id.as_str()) == Some(&group.to_string())
                })?),
            };
            lines(db, services.as_deref(), after, limit)
        })
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where to go on.
    pub place: (u64, u64),
    /// The JSON.
    pub text: String,
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn apply(tx: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    match (change.key, &change.value) {
        (RecordKey::Log(service, number), Some(line)) => {
            let at = serde_json::from_slice::<At>(line).map(|line| line.at).unwrap_or_default();
            let sql = "INSERT OR REPLACE INTO relay_log VALUES (?1, ?2, ?3, ?4)";
            let line = String::from_utf8_lossy(line);
            tx.prepare_cached(sql)?.execute(params![integer(service.0), integer(number), integer(at), line])?
        }
        (key, Some(value)) => {
            let sql = "INSERT INTO relay_record VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
            tx.prepare_cached(sql)?.execute(params![key.to_bytes(), **value])?
        }
        (key, None) => tx.prepare_cached("DELETE FROM relay_record WHERE key = ?1")?.execute([key.to_bytes()])?,
    };
    Ok(())
}

#[derive(serde::Deserialize)]
struct At {
    at: u64,
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let key = RecordKey::decode_all(row.get_ref(0)?.as_blob()?).map_err(damaged)?;
    Ok((key, Zeroizing::new(row.get_ref(1)?.as_blob()?.to_vec())))
}

/// Services with a line of this event that fits.
fn services_with(
    db: &Connection,
    event: &str,
    fits: impl Fn(&serde_json::Value) -> bool,
) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT service, line FROM relay_log WHERE json_extract(line, '$.event') = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([event])?;
    let mut services = Vec::new();
    while let Some(row) = rows.next()? {
        let line = serde_json::from_str(row.get_ref(1)?.as_str()?).unwrap_or_default();
        if fits(&line) {
            services.push(row.get(0)?);
        }
    }
    Ok(services)
}

fn lines(db: &Connection, services: Option<&[i64]>, after: (u64, u64), limit: usize) -> rusqlite::Result<Vec<LogLine>> {
    let sql = "SELECT service, number, line FROM relay_log WHERE (service, number) > (?1, ?2)
        AND (?3 IS NULL OR service IN (SELECT value FROM json_each(?3))) ORDER BY service, number LIMIT ?4";
    let services = services.map(|services| serde_json::Value::from(services).to_string());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(sql)?;
    let line = |row: &Row<'_>| {
        let place: (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(LogLine { place: (place.0.unsigned_abs(), place.1.unsigned_abs()), text: row.get(2)? })
    };
    statement.query_map(params![integer(after.0), integer(after.1), services, limit], line)?.collect()
}

/// Somebody else has written into the file.
fn damaged(error: Malformed) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error))
}

#[cfg(test)]
mod tests;
