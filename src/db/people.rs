//! The people who may work here.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Db, DbError, sessions::Known};
use crate::domain::person::{Person, PersonId};

impl Db {
    /// Nobody, when they were removed.
    pub(crate) async fn person(&self, id: PersonId) -> Result<Option<Person>, DbError> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, name FROM people WHERE id = ?1 AND removed_at IS NULL")?;
            Ok(statement.query_row([id.0], person).optional()?)
        })
        .await
    }

    /// Somebody new.
    #[cfg(test)]
    pub(crate) async fn add_person(&self, name: String, email: Option<String>) -> Result<PersonId, DbError> {
        self.write(move |transaction| add(transaction, &name, email.as_deref())).await
    }
}

#[cfg(test)]
fn add(connection: &Connection, name: &str, email: Option<&str>) -> Result<PersonId, DbError> {
    connection.execute(
        "INSERT INTO people (name, name_key, email, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![name, name.to_lowercase(), email, crate::wall_clock::now().to_string()],
    )?;
    Ok(PersonId(connection.last_insert_rowid()))
}

pub(super) fn seen(connection: &Connection, id: PersonId, now: &str) -> Result<(), DbError> {
    connection.prepare_cached("UPDATE people SET last_seen_at = ?2 WHERE id = ?1")?.execute(params![id.0, now])?;
    Ok(())
}

/// From the columns id, name.
pub(super) fn person(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person { id: PersonId(row.get(0)?), name: row.get(1)? })
}

/// From the columns id, name, time.
pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let seen_at: Option<String> = row.get(2)?;
    Ok(Known { person: person(row)?, seen_at: seen_at.and_then(|at| at.parse().ok()) })
}
