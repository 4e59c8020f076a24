//! Rows back into queues.

use std::collections::HashMap;

use codec::Reader;
use crypto::authorize::AuthPublicKey;
use crypto::dh::SharedSecret;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Result, Row};
use smp::command::{LinkData, MessageFlags};
use smp::error::{BlockingInfo, Error};
use smp::id::{LinkId, RecipientId, SenderId};
use smp::queue_address::QueueMode;
use smp::response::MessageKind;
use store::{Ticket, rusqlite};

use crate::queue::{Link, Message, Queue};
use crate::queue_store::Loaded;

const QUEUE: &str = "SELECT id, recipient_id, sender_id, recipient_keys, delivery_secret, sender_key, mode, link_id,
                            link_hash, suspended, blocked, used_on
                     FROM queue";
const MESSAGE: &str = "SELECT queue, id, message_id, accepted_at, kind, notify FROM message ORDER BY id";

pub(super) fn load(db: &Connection) -> Result<Loaded> {
    let mut queues = db.prepare(QUEUE)?.query_map([], queue)?.collect::<Result<Vec<_>>>()?;
    add_messages(db, &mut queues)?;
    Ok(Loaded { queues, next_queue: next(db, "queue")?, next_message: next(db, "message")? })
}

pub(super) fn reload(db: &Connection, rows: &[i64]) -> Result<Vec<Queue>> {
    let mut select = db.prepare(&format!("{QUEUE} WHERE id = ?"))?;
    let mut queues = Vec::with_capacity(rows.len());
    for row in rows {
        queues.extend(select.query_row([row], queue).optional()?);
    }
    add_messages(db, &mut queues)?;
    Ok(queues)
}

/// Reads all message headers once, whatever the number of queues.
fn add_messages(db: &Connection, queues: &mut [Queue]) -> Result<()> {
    let mut by_row: HashMap<i64, &mut Queue> = queues.iter_mut().map(|queue| (queue.row, queue)).collect();
    let mut select = db.prepare(MESSAGE)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(queue) = by_row.get_mut(&row.get(0)?) {
            queue.messages.push_back(message(row)?);
        }
    }
    Ok(())
}

fn next(db: &Connection, table: &str) -> Result<i64> {
    let highest = db.query_row(&format!("SELECT coalesce(max(id), 0) FROM {table}"), [], |row| row.get::<_, i64>(0))?;
    Ok(highest.saturating_add(1))
}

pub(super) fn body(db: &Connection, row: i64) -> Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT bytes FROM message JOIN body ON body.id = message.body WHERE message.id = ?")?
        .query_row([row], |row| row.get(0))
        .optional()
}

pub(super) fn link_data(db: &Connection, row: i64) -> Result<Option<LinkData>> {
    db.prepare_cached("SELECT fixed, user FROM link_data WHERE queue = ?")?
        .query_row([row], |row| Ok(LinkData { fixed: row.get(0)?, user: row.get(1)? }))
        .optional()
}

fn queue(row: &Row<'_>) -> Result<Queue> {
    Ok(Queue {
        row: row.get(0)?,
        recipient_id: RecipientId::new(row.get::<_, Vec<u8>>(1)?).ok_or_else(|| damaged(1, Type::Blob))?,
        sender_id: SenderId::new(row.get::<_, Vec<u8>>(2)?).ok_or_else(|| damaged(2, Type::Blob))?,
        recipient_keys: keys(row.get_ref(3)?.as_blob()?).ok_or_else(|| damaged(3, Type::Blob))?,
        delivery_secret: SharedSecret::from_bytes(row.get(4)?),
        sender_key: row.get_ref(5)?.as_blob_or_null()?.map(|der| key(der, 5)).transpose()?,
        mode: row.get_ref(6)?.as_str_or_null()?.map(mode).transpose()?,
        link: link(row)?.map(Box::new),
        suspended: row.get(9)?,
        blocked: row.get_ref(10)?.as_str_or_null()?.map(blocking).transpose()?.map(Box::new),
        used_on: row.get(11)?,
        messages: Default::default(),
    })
}

fn message(row: &Row<'_>) -> Result<Message> {
    Ok(Message {
        row: row.get(1)?,
        id: row.get(2)?,
        accepted_at: row.get(3)?,
        kind: kind(row.get_ref(4)?.as_str()?)?,
        flags: MessageFlags { notify: row.get(5)? },
        body: None,
        written: Ticket::START,
    })
}

fn link(row: &Row<'_>) -> Result<Option<Link>> {
    let Some(id) = row.get::<_, Option<Vec<u8>>>(7)? else { return Ok(None) };
    let id = LinkId::new(id).ok_or_else(|| damaged(7, Type::Blob))?;
    Ok(Some(Link { id, fixed_hash: row.get(8)? }))
}

fn keys(mut ders: &[u8]) -> Option<Box<[AuthPublicKey]>> {
    let mut keys = Vec::with_capacity(1);
    while !ders.is_empty() {
        let mut reader = Reader::new(ders);
        keys.push(AuthPublicKey::from_der(reader.short().ok()?).ok()?);
        ders = reader.rest();
    }
    (!keys.is_empty()).then(|| keys.into_boxed_slice())
}

fn key(der: &[u8], column: usize) -> Result<AuthPublicKey> {
    AuthPublicKey::from_der(der).map_err(|_| damaged(column, Type::Blob))
}

fn mode(text: &str) -> Result<QueueMode> {
    match text {
        "messaging" => Ok(QueueMode::Messaging),
        "contact" => Ok(QueueMode::Contact),
        _ => Err(damaged(6, Type::Text)),
    }
}

fn kind(text: &str) -> Result<MessageKind> {
    match text {
        "message" => Ok(MessageKind::Message),
        "quota" => Ok(MessageKind::Quota),
        _ => Err(damaged(4, Type::Text)),
    }
}

/// Kept in the form in which clients are told.
fn blocking(text: &str) -> Result<BlockingInfo> {
    match Error::decode(format!("BLOCKED {text}").as_bytes()) {
        Some(Error::Blocked(info)) => Ok(info),
        _ => Err(damaged(10, Type::Text)),
    }
}

/// Somebody changed the file by hand, or the disk did.
fn damaged(column: usize, kind: Type) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, "the row cannot be read as a queue".into())
}
