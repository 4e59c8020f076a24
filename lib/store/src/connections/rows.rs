//! Records as rows.

use agent::connection::keep::Record;
use agent::connection::{Change, RecordKey};
use codec::Malformed;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use zeroize::Zeroizing;

use super::names::Number;

/// Kinds of records; their place in the ID keeps them apart. Never change.
const CORE: i64 = 0;
const POSITION: i64 = 1;
const TURN: i64 = 2;
const SKIPPED: i64 = 3;
const INCOMING: i64 = 4;
const OUTGOING: i64 = 5;
const AWAITED: i64 = 6;
const REQUEST: i64 = 7;

const KINDS: [i64; 8] = [CORE, POSITION, TURN, SKIPPED, INCOMING, OUTGOING, AWAITED, REQUEST];

const KIND_SHIFT: u32 = 59;
const CONNECTION_SHIFT: u32 = 32;
/// What of a record's own number is in its ID. A connection never has so many records of a kind that two would meet.
const NUMBER_MASK: i64 = 0xffff_ffff;

fn kind_and_number(key: &RecordKey) -> (i64, i64) {
    match key {
        RecordKey::Core => (CORE, 0),
        RecordKey::Position => (POSITION, 0),
        RecordKey::Turn => (TURN, 0),
        RecordKey::Skipped => (SKIPPED, 0),
        RecordKey::Incoming => (INCOMING, 0),
        RecordKey::Outgoing(number) => (OUTGOING, *number),
        RecordKey::Awaited(number) => (AWAITED, *number),
        RecordKey::Request(number) => (REQUEST, number.cast_signed()),
    }
}

fn key(kind: i64, number: i64) -> Option<RecordKey> {
    Some(match kind {
        CORE => RecordKey::Core,
        POSITION => RecordKey::Position,
        TURN => RecordKey::Turn,
        SKIPPED => RecordKey::Skipped,
        INCOMING => RecordKey::Incoming,
        OUTGOING => RecordKey::Outgoing(number),
        AWAITED => RecordKey::Awaited(number),
        REQUEST => RecordKey::Request(number.cast_unsigned()),
        _ => return None,
    })
}

fn row_id(kind: i64, connection: Number, number: i64) -> i64 {
    kind << KIND_SHIFT | connection.0 << CONNECTION_SHIFT | number & NUMBER_MASK
}

/// Writes or deletes a record.
pub(super) fn change(tx: &Transaction<'_>, connection: Number, change: &Change) -> rusqlite::Result<()> {
    let (kind, number) = kind_and_number(&change.key);
    let id = row_id(kind, connection, number);
    match &change.value {
        Some(value) => {
            let mut statement = tx.prepare_cached("INSERT OR REPLACE INTO connection_record VALUES (?1, ?2, ?3)")?;
            statement.execute(params![id, number, **value]).map(drop)
        }
        None => tx.prepare_cached("DELETE FROM connection_record WHERE id = ?1")?.execute([id]).map(drop),
    }
}

/// Deletes all records of a connection.
pub(super) fn forget(tx: &Transaction<'_>, connection: Number) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached("DELETE FROM connection_record WHERE id BETWEEN ?1 AND ?2")?;
    for kind in KINDS {
        statement.execute([row_id(kind, connection, 0), row_id(kind, connection, NUMBER_MASK)])?;
    }
    Ok(())
}

/// All records of a connection; none of one that there is not.
pub(super) fn load(db: &Connection, connection: Option<Number>) -> rusqlite::Result<Vec<Record>> {
    let mut records = Vec::new();
    let Some(connection) = connection else { return Ok(records) };
    let mut statement =
        db.prepare_cached("SELECT id, number, value FROM connection_record WHERE id BETWEEN ?1 AND ?2")?;
    for kind in KINDS {
        let range = [row_id(kind, connection, 0), row_id(kind, connection, NUMBER_MASK)];
        for record in statement.query_map(range, record)? {
            records.push(record?);
        }
    }
    records.sort_by_key(|(key, _)| *key);
    Ok(records)
}

/// The records of a connection that tell whether it rests: how far it is, what it received last, and one of those that are
/// to be sent.
pub(super) fn outline(db: &Connection, connection: Option<Number>) -> rusqlite::Result<Vec<Record>> {
    let mut records = Vec::new();
    let Some(connection) = connection else { return Ok(records) };
    let mut statement =
        db.prepare_cached("SELECT id, number, value FROM connection_record WHERE id BETWEEN ?1 AND ?2 LIMIT 1")?;
    for kind in [CORE, INCOMING, OUTGOING] {
        let range = [row_id(kind, connection, 0), row_id(kind, connection, NUMBER_MASK)];
        records.extend(statement.query_row(range, record).optional()?);
    }
    Ok(records)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let (id, number) = (row.get::<_, i64>(0)?, row.get(1)?);
    let key = key(id >> KIND_SHIFT, number).ok_or_else(damaged)?;
    Ok((key, Zeroizing::new(row.get_ref(2)?.as_blob()?.to_vec())))
}

/// Somebody else has written into the file, or a newer program.
fn damaged() -> rusqlite::Error {
    let error = Malformed::BadValue("kind of a record");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, Box::new(error))
}
