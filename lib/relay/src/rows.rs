//! Members and messages of one group as rows of SQLite.
//!
//! What is looked for stands in columns of its own; the rest is JSON. Reading pages touches neither profiles nor
//! messages, and the index of those who miss something is as small as they are few.

use agent::time::Time;
use group::identity::MemberId;
use group::message_id::MessageId;
use group::relay::ServiceId;
use group::relay::members::{Hall, JoinRequest, Lane, MalformedRow, Member, Persona, ReadRows, Rows, StoredMessage};
use store::rusqlite::types::Type;
use store::rusqlite::{self, Connection, OptionalExtension as _, Params, Row, params};

/// The tables, for the store's migrations.
pub(crate) const TABLES: &str = "
CREATE TABLE relay_hall (
    service INTEGER PRIMARY KEY,
    hall    TEXT NOT NULL                   -- JSON: how far the lanes are, how many members there are
) STRICT;

CREATE TABLE relay_member (
    service   INTEGER NOT NULL,
    number    INTEGER NOT NULL,             -- members are served in this order
    member_id BLOB NOT NULL,
    connected INTEGER NOT NULL,
    moderates INTEGER NOT NULL,
    behind    INTEGER NOT NULL,             -- jobs pass it over
    due       INTEGER,                      -- when there is something to do for it alone; milliseconds
    record    TEXT NOT NULL,                -- JSON
    PRIMARY KEY (service, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX relay_member_id ON relay_member (service, member_id);
CREATE INDEX relay_member_moderates ON relay_member (service, number) WHERE moderates AND connected;
CREATE INDEX relay_member_behind ON relay_member (service, number) WHERE behind;
CREATE INDEX relay_member_due ON relay_member (service, due) WHERE due IS NOT NULL;

CREATE TABLE relay_persona (
    service INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    persona TEXT NOT NULL,                  -- JSON: what the member says about itself
    PRIMARY KEY (service, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE relay_message (
    id      INTEGER PRIMARY KEY,
    service INTEGER NOT NULL,
    lane    INTEGER NOT NULL,               -- 0: to everybody, 1: to moderators
    seq     INTEGER NOT NULL,
    msg_id  BLOB,
    author  BLOB NOT NULL,
    item    INTEGER,                        -- the post that it is or belongs to, for those who join later
    at      INTEGER NOT NULL,               -- milliseconds
    record  TEXT NOT NULL,                  -- JSON
    UNIQUE (service, lane, seq)
) STRICT;

CREATE INDEX relay_message_name ON relay_message (service, msg_id) WHERE msg_id IS NOT NULL;
CREATE INDEX relay_message_history ON relay_message (service, seq) WHERE item IS NOT NULL;
CREATE INDEX relay_message_item ON relay_message (service, item) WHERE item IS NOT NULL;
CREATE INDEX relay_message_at ON relay_message (service, at);

CREATE TABLE relay_request (
    service INTEGER NOT NULL,
    request INTEGER NOT NULL,
    record  TEXT NOT NULL,                  -- JSON
    PRIMARY KEY (service, request)
) STRICT, WITHOUT ROWID;
";

/// The rows of one service, as a connection or a transaction sees them.
pub(crate) struct SqlRows<'a> {
    db: &'a Connection,
    service: i64,
}

type Result<T> = rusqlite::Result<T>;

impl<'a> SqlRows<'a> {
    pub(crate) fn of(db: &'a Connection, service: ServiceId) -> Self {
        SqlRows { db, service: integer(service.0) }
    }

    /// When the first member is due for whom alone there is something to do.
    pub(crate) fn next_due(&self) -> Result<Option<Time>> {
        let sql = "SELECT min(due) FROM relay_member WHERE service = ?1 AND due IS NOT NULL";
        let due: Option<i64> = self.db.prepare_cached(sql)?.query_row([self.service], |row| row.get(0))?;
        Ok(due.map(|due| Time::from_millis(due.unsigned_abs())))
    }

    fn members(&self, sql: &str, params: impl Params) -> Result<Vec<Member>> {
        self.db.prepare_cached(sql)?.query_map(params, |row| read(row, Member::from_record))?.collect()
    }

    fn stored(&self, sql: &str, params: impl Params) -> Result<Vec<StoredMessage>> {
        self.db.prepare_cached(sql)?.query_map(params, |row| read(row, StoredMessage::from_record))?.collect()
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<()> {
        self.db.prepare_cached(sql)?.execute(params).map(drop)
    }
}

/// Services of which there are members or messages.
pub(crate) fn halls(db: &Connection) -> Result<Vec<(ServiceId, Hall)>> {
    let mut statement = db.prepare_cached("SELECT hall, service FROM relay_hall")?;
    let hall = |row: &Row<'_>| {
        let service: i64 = row.get(1)?;
        Ok((ServiceId(service.unsigned_abs()), read(row, hall_of)?))
    };
    statement.query_map([], hall)?.collect()
}

fn hall_of(bytes: &[u8]) -> std::result::Result<Hall, MalformedRow> {
    serde_json::from_slice(bytes).map_err(|_| MalformedRow("hall"))
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn lane_number(lane: Lane) -> i64 {
    match lane {
        Lane::Group => 0,
        Lane::Support => 1,
    }
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The JSON in the first column.
fn read<T>(row: &Row<'_>, from: impl Fn(&[u8]) -> std::result::Result<T, MalformedRow>) -> Result<T> {
    let bytes = row.get_ref(0)?.as_str()?.as_bytes();
    from(bytes).map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))
}

fn text(record: Vec<u8>) -> String {
    String::from_utf8(record).unwrap_or_default()
}

impl ReadRows for SqlRows<'_> {
    type Error = rusqlite::Error;

    fn hall(&self) -> Result<Option<Hall>> {
        let sql = "SELECT hall FROM relay_hall WHERE service = ?1";
        self.db.prepare_cached(sql)?.query_row([self.service], |row| read(row, hall_of)).optional()
    }

    fn member(&self, number: u64) -> Result<Option<Member>> {
        let sql = "SELECT record FROM relay_member WHERE service = ?1 AND number = ?2";
        Ok(self.members(sql, [self.service, integer(number)])?.pop())
    }

    fn member_with_id(&self, id: &MemberId) -> Result<Option<Member>> {
        let sql = "SELECT record FROM relay_member WHERE service = ?1 AND member_id = ?2";
        Ok(self.members(sql, params![self.service, id.as_bytes()])?.pop())
    }

    fn persona(&self, number: u64) -> Result<Option<Persona>> {
        let sql = "SELECT persona FROM relay_persona WHERE service = ?1 AND number = ?2";
        let mut statement = self.db.prepare_cached(sql)?;
        statement.query_row([self.service, integer(number)], |row| read(row, Persona::from_record)).optional()
    }

    fn connected(&self, after: u64, limit: usize) -> Result<Vec<Member>> {
        let sql = "SELECT record FROM relay_member WHERE service = ?1 AND number > ?2 AND connected
            ORDER BY number LIMIT ?3";
        self.members(sql, [self.service, integer(after), count(limit)])
    }

    fn moderators(&self, after: u64, limit: usize) -> Result<Vec<Member>> {
        let sql = "SELECT record FROM relay_member WHERE service = ?1 AND number > ?2 AND moderates AND connected
            ORDER BY number LIMIT ?3";
        self.members(sql, [self.service, integer(after), count(limit)])
    }

    fn behind(&self, after: u64, upto: u64) -> Result<Vec<Member>> {
        let sql = "SELECT record FROM relay_member WHERE service = ?1 AND number > ?2 AND number <= ?3 AND behind
            ORDER BY number";
        self.members(sql, [self.service, integer(after), integer(upto)])
    }

    fn everybody(&self, after: u64, limit: usize) -> Result<Vec<Member>> {
        let sql = "SELECT record FROM relay_member WHERE service = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        self.members(sql, [self.service, integer(after), count(limit)])
    }

    fn due(&self, now: Time, limit: usize) -> Result<Vec<Member>> {
        let sql = "SELECT record FROM relay_member WHERE service = ?1 AND due <= ?2 ORDER BY due LIMIT ?3";
        self.members(sql, [self.service, integer(now.millis()), count(limit)])
    }

    fn message(&self, lane: Lane, seq: u64) -> Result<Option<StoredMessage>> {
        Ok(self.messages(lane, seq, seq.saturating_add(1), 1)?.pop())
    }

    fn messages(&self, lane: Lane, from: u64, below: u64, limit: usize) -> Result<Vec<StoredMessage>> {
        let sql = "SELECT record FROM relay_message WHERE service = ?1 AND lane = ?2 AND seq >= ?3 AND seq < ?4
            ORDER BY seq LIMIT ?5";
        self.stored(sql, [self.service, lane_number(lane), integer(from), integer(below), count(limit)])
    }

    fn named(&self, id: &MessageId, limit: usize) -> Result<Vec<StoredMessage>> {
        let sql = "SELECT record FROM relay_message WHERE service = ?1 AND msg_id = ?2 ORDER BY id LIMIT ?3";
        self.stored(sql, params![self.service, id.as_bytes(), count(limit)])
    }

    fn has_said(&self, author: &MemberId, id: &MessageId) -> Result<bool> {
        let sql = "SELECT 1 FROM relay_message WHERE service = ?1 AND msg_id = ?2 AND author = ?3";
        self.db.prepare_cached(sql)?.exists(params![self.service, id.as_bytes(), author.as_bytes()])
    }

    fn of_item(&self, item: u64) -> Result<Vec<StoredMessage>> {
        let sql = "SELECT record FROM relay_message WHERE service = ?1 AND item = ?2 ORDER BY seq";
        self.stored(sql, [self.service, integer(item)])
    }

    fn first_of_last_items(&self, below: u64, limit: usize) -> Result<Option<u64>> {
        let sql = "SELECT min(seq) FROM (SELECT seq FROM relay_message
            WHERE service = ?1 AND item IS NOT NULL AND item = seq AND seq < ?2 ORDER BY seq DESC LIMIT ?3)";
        let params = [self.service, integer(below), count(limit)];
        let first: Option<i64> = self.db.prepare_cached(sql)?.query_row(params, |row| row.get(0))?;
        Ok(first.map(i64::unsigned_abs))
    }

    fn history(&self, from: u64, below: u64, limit: usize) -> Result<Vec<StoredMessage>> {
        let sql = "SELECT record FROM relay_message WHERE service = ?1 AND item IS NOT NULL AND seq >= ?2 AND seq < ?3
            ORDER BY seq LIMIT ?4";
        self.stored(sql, [self.service, integer(from), integer(below), count(limit)])
    }

    fn requests(&self, limit: usize) -> Result<Vec<JoinRequest>> {
        let sql = "SELECT record FROM relay_request WHERE service = ?1 ORDER BY request LIMIT ?2";
        let mut statement = self.db.prepare_cached(sql)?;
        statement.query_map([self.service, count(limit)], |row| read(row, JoinRequest::from_record))?.collect()
    }

    fn request(&self, request: u64) -> Result<Option<JoinRequest>> {
        let sql = "SELECT record FROM relay_request WHERE service = ?1 AND request = ?2";
        let mut statement = self.db.prepare_cached(sql)?;
        let params = [self.service, integer(request)];
        statement.query_row(params, |row| read(row, JoinRequest::from_record)).optional()
    }
}

impl Rows for SqlRows<'_> {
    fn put_hall(&mut self, hall: &Hall) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO relay_hall VALUES (?1, ?2)";
        let json =
            serde_json::to_string(hall).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        self.execute(sql, params![self.service, json])
    }

    fn put_member(&mut self, member: &Member) -> Result<()> {
        let sql = "INSERT INTO relay_member VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET
            connected = excluded.connected, moderates = excluded.moderates, behind = excluded.behind,
            due = excluded.due, record = excluded.record";
        let due = member.due.map(|due| integer(due.millis()));
        let states = (member.is_connected(), member.moderates(), member.behind.is_some());
        let (number, id) = (integer(member.number), member.id.as_bytes());
        let record = text(member.to_record());
        self.execute(sql, params![self.service, number, id, states.0, states.1, states.2, due, record])
    }

    fn put_persona(&mut self, number: u64, persona: &Persona) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO relay_persona VALUES (?1, ?2, ?3)";
        self.execute(sql, params![self.service, integer(number), text(persona.to_record())])
    }

    fn remove_member(&mut self, number: u64) -> Result<()> {
        for sql in [
            "DELETE FROM relay_member WHERE service = ?1 AND number = ?2",
            "DELETE FROM relay_persona WHERE service = ?1 AND number = ?2",
        ] {
            self.execute(sql, [self.service, integer(number)])?;
        }
        Ok(())
    }

    fn put_message(&mut self, message: &StoredMessage) -> Result<()> {
        let sql = "INSERT INTO relay_message (service, lane, seq, msg_id, author, item, at, record)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            ON CONFLICT DO UPDATE SET item = excluded.item, at = excluded.at, record = excluded.record";
        let (lane, seq, at) = (lane_number(message.lane), integer(message.seq), integer(message.at.millis()));
        let name = message.id.as_ref().map(MessageId::as_bytes);
        let item = message.history.map(|history| integer(history.item));
        let record = text(message.to_record());
        self.execute(sql, params![self.service, lane, seq, name, message.author.as_bytes(), item, at, record])
    }

    fn put_request(&mut self, request: &JoinRequest) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO relay_request VALUES (?1, ?2, ?3)";
        self.execute(sql, params![self.service, integer(request.request), text(request.to_record())])
    }

    fn remove_request(&mut self, request: u64) -> Result<()> {
        self.execute("DELETE FROM relay_request WHERE service = ?1 AND request = ?2", [self.service, integer(request)])
    }

    fn forget_messages(&mut self, time: Time, group: u64, support: u64) -> Result<()> {
        let sql = "DELETE FROM relay_message WHERE service = ?1 AND at < ?2
            AND seq < CASE lane WHEN 0 THEN ?3 ELSE ?4 END";
        self.execute(sql, [self.service, integer(time.millis()), integer(group), integer(support)])
    }

    fn clear(&mut self) -> Result<()> {
        for table in ["relay_hall", "relay_member", "relay_persona", "relay_message", "relay_request"] {
            self.execute(&format!("DELETE FROM {table} WHERE service = ?1"), [self.service])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
