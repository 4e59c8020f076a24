//! The tables.

use store::Schema;

/// "smps".
const APPLICATION_ID: i32 = 0x736d_7073;

pub(super) const SCHEMA: Schema<'_> = Schema { application_id: APPLICATION_ID, migrations: &[QUEUES] };

/// There are no foreign keys and few indexes on purpose: the server keeps its own index in memory and names every row
/// it changes.
const QUEUES: &str = "
CREATE TABLE queue (
    id              INTEGER PRIMARY KEY,
    recipient_id    BLOB NOT NULL UNIQUE,
    sender_id       BLOB NOT NULL UNIQUE,
    recipient_keys  BLOB NOT NULL,          -- DER, each after its length in one byte
    delivery_secret BLOB NOT NULL,          -- X25519 agreement of server and recipient
    sender_key      BLOB,                   -- DER; NULL until the queue is secured
    mode            TEXT CHECK (mode IN ('messaging', 'contact')),
    link_id         BLOB UNIQUE,            -- NULL without link data
    link_hash       BLOB,                   -- SHA-256 of link_data.fixed
    suspended       INTEGER NOT NULL DEFAULT 0,
    blocked         TEXT,                   -- as sent to clients: reason=spam
    used_on         INTEGER NOT NULL        -- days since 1970-01-01
) STRICT;

CREATE TABLE link_data (
    queue INTEGER PRIMARY KEY,              -- queue.id
    fixed BLOB NOT NULL,                    -- encrypted by the client
    user  BLOB NOT NULL                     -- encrypted by the client
) STRICT;

CREATE TABLE message (
    id          INTEGER PRIMARY KEY,        -- in order of arrival
    queue       INTEGER NOT NULL,           -- queue.id
    message_id  BLOB NOT NULL,              -- on the wire
    accepted_at INTEGER NOT NULL,           -- seconds since 1970-01-01
    kind        TEXT NOT NULL CHECK (kind IN ('message', 'quota')),
    notify      INTEGER NOT NULL,
    body        INTEGER                     -- body.id; NULL in messages of kind quota
) STRICT;

CREATE TABLE body (                         -- rows that no message names wait to be used again
    id    INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL                     -- as sent; encrypted by the sender
) STRICT;
";
