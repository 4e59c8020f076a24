//! Which tables a file holds: numbered migrations, run forward only.

use rusqlite::{Connection, TransactionBehavior};

use crate::Error;

/// What a service keeps in its file.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'a> {
    /// Marks the file as belonging to this service (SQLite's `application_id`).
    pub application_id: i32,
    /// SQL scripts; the file's `user_version` says how many of them it has seen. Released ones never change.
    pub migrations: &'a [&'a str],
}

impl Schema<'_> {
    /// Runs the migrations that the file has not seen, all or none.
    pub(crate) fn migrate(&self, connection: &mut Connection) -> Result<(), Error> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let seen = self.check(&transaction)?;
        for migration in self.migrations.iter().skip(seen) {
            transaction.execute_batch(migration)?;
        }
        if seen < self.migrations.len() {
            transaction.pragma_update(None, "application_id", self.application_id)?;
            transaction.pragma_update(None, "user_version", self.migrations.len())?;
        }
        Ok(transaction.commit()?)
    }

    /// How many migrations the file has seen, if it is one of ours.
    fn check(&self, connection: &Connection) -> Result<usize, Error> {
        let found = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0))?;
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        if found != self.application_id && (found != 0 || tables != 0) {
            return Err(Error::Foreign { found, expected: self.application_id });
        }
        let seen = connection.pragma_query_value(None, "user_version", |row| row.get::<_, usize>(0))?;
        let known = self.migrations.len();
        if seen > known { Err(Error::Newer { found: seen, known }) } else { Ok(seen) }
    }
}
