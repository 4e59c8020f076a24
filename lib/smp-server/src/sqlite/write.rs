//! The changes of [`crate::queue`], made on disk.

use codec::Write as _;
use crypto::authorize::AuthPublicKey;
use rusqlite::{OptionalExtension as _, Result, Transaction, params};
use smp::command::LinkData;
use smp::id::LinkId;
use smp::queue_address::QueueMode;
use smp::response::MessageKind;
use store::rusqlite;

use crate::body::Body;
use crate::queue::{Change, Link, Message, Queue};
use crate::sqlite::slots::Slots;

pub(super) fn create(tx: &Transaction<'_>, queue: &Queue, link_data: Option<&LinkData>) -> Result<()> {
    let link = queue.link.as_deref();
    tx.prepare_cached(
        "INSERT INTO queue (id, recipient_id, sender_id, recipient_keys, delivery_secret, mode, link_id, link_hash,
                            used_on)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        queue.row,
        queue.recipient_id.as_bytes(),
        queue.sender_id.as_bytes(),
        keys(&queue.recipient_keys),
        queue.delivery_secret.expose().as_slice(),
        queue.mode.map(mode),
        link.map(|link| link.id.as_bytes()),
        link.map(|link| link.fixed_hash.as_slice()),
        queue.used_on,
    ])?;
    link_data.map_or(Ok(()), |data| put_link_data(tx, queue.row, data))
}

pub(super) fn change(tx: &Transaction<'_>, slots: &Slots, row: i64, change: &Change) -> Result<()> {
    match change {
        Change::Rekeyed(secret) => {
            set(tx, "UPDATE queue SET delivery_secret = ? WHERE id = ?", secret.expose().as_slice(), row)
        }
        Change::Secured(key) => set(tx, "UPDATE queue SET sender_key = ? WHERE id = ?", key.to_der(), row),
        Change::RecipientKeys(list) => set(tx, "UPDATE queue SET recipient_keys = ? WHERE id = ?", keys(list), row),
        Change::LinkSet(id, data) => set_link(tx, row, id, data),
        Change::LinkDeleted => delete_link(tx, row),
        Change::Suspended => set(tx, "UPDATE queue SET suspended = ? WHERE id = ?", true, row),
        Change::Blocked(info) => {
            set(tx, "UPDATE queue SET blocked = ? WHERE id = ?", info.map(|info| info.to_string()), row)
        }
        Change::Stored(message, body) => store(tx, slots, row, message, body),
        Change::Removed(messages) => remove(tx, slots, messages),
        Change::Used(day) => set(tx, "UPDATE queue SET used_on = ? WHERE id = ?", *day, row),
        Change::Deleted(messages) => delete(tx, slots, row, messages),
    }
}

fn set(tx: &Transaction<'_>, statement: &str, value: impl rusqlite::ToSql, row: i64) -> Result<()> {
    tx.prepare_cached(statement)?.execute(params![value, row]).map(drop)
}

fn set_link(tx: &Transaction<'_>, row: i64, id: &LinkId, data: &LinkData) -> Result<()> {
    let link = Link::of(id.clone(), data);
    tx.prepare_cached("UPDATE queue SET link_id = ?, link_hash = ? WHERE id = ?")?.execute(params![
        link.id.as_bytes(),
        link.fixed_hash.as_slice(),
        row
    ])?;
    put_link_data(tx, row, data)
}

fn put_link_data(tx: &Transaction<'_>, row: i64, data: &LinkData) -> Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO link_data (queue, fixed, user) VALUES (?, ?, ?)")?
        .execute(params![row, data.fixed, data.user])
        .map(drop)
}

fn delete_link(tx: &Transaction<'_>, row: i64) -> Result<()> {
    tx.prepare_cached("UPDATE queue SET link_id = NULL, link_hash = NULL WHERE id = ?")?.execute([row])?;
    tx.prepare_cached("DELETE FROM link_data WHERE queue = ?")?.execute([row]).map(drop)
}

fn store(tx: &Transaction<'_>, slots: &Slots, row: i64, message: &Message, body: &Body) -> Result<()> {
    let body = match message.kind {
        MessageKind::Message => Some(slots.put(tx, body.bytes())?),
        MessageKind::Quota => None,
    };
    tx.prepare_cached(
        "INSERT INTO message (id, queue, message_id, accepted_at, kind, notify, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        message.row,
        row,
        message.id.as_slice(),
        message.accepted_at,
        kind(message.kind),
        message.flags.notify,
        body
    ])
    .map(drop)
}

fn remove(tx: &Transaction<'_>, slots: &Slots, messages: &[i64]) -> Result<()> {
    for row in messages {
        let body: Option<Option<i64>> = tx
            .prepare_cached("DELETE FROM message WHERE id = ? RETURNING body")?
            .query_row([row], |row| row.get(0))
            .optional()?;
        body.flatten().map_or(Ok(()), |body| slots.give_up(tx, body))?;
    }
    Ok(())
}

fn delete(tx: &Transaction<'_>, slots: &Slots, row: i64, messages: &[i64]) -> Result<()> {
    remove(tx, slots, messages)?;
    tx.prepare_cached("DELETE FROM link_data WHERE queue = ?")?.execute([row])?;
    tx.prepare_cached("DELETE FROM queue WHERE id = ?")?.execute([row]).map(drop)
}

fn keys(keys: &[AuthPublicKey]) -> Vec<u8> {
    let mut out = Vec::new();
    keys.iter().for_each(|key| out.put_short(&key.to_der()));
    out
}

fn mode(mode: QueueMode) -> &'static str {
    match mode {
        QueueMode::Messaging => "messaging",
        QueueMode::Contact => "contact",
    }
}

fn kind(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Message => "message",
        MessageKind::Quota => "quota",
    }
}
