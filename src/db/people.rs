//! The people who may work here.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Db, DbError,
    sessions::{Known, SecretHash},
};
use crate::{
    domain::person::{Person, PersonId},
    wall_clock,
};

/// What the owner is shown of somebody.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) person: Person,
    pub(crate) email: Option<String>,
    pub(crate) has_password: bool,
    /// As they are known elsewhere: the section of the configuration, and the name there.
    pub(crate) identities: Vec<(String, String)>,
    /// To a few minutes.
    pub(crate) last_seen_at: Option<Timestamp>,
    pub(crate) tasks: u64,
}

/// That somebody is here.
#[derive(Debug, Clone)]
pub(crate) struct Presence {
    pub(crate) person: Person,
    /// Browsers they are logged in with.
    pub(crate) sessions: u64,
    /// To a few minutes.
    pub(crate) last_seen_at: Option<Timestamp>,
}

/// What a login is compared with.
#[derive(Debug)]
pub(crate) struct PasswordOf {
    pub(crate) person: PersonId,
    pub(crate) hash: Option<String>,
}

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

    /// Everybody who is here, those who came first before the others.
    pub(crate) async fn people(&self) -> Result<Vec<Profile>, DbError> {
        self.read(|connection| {
            let mut identities: HashMap<i64, Vec<(String, String)>> = HashMap::new();
            let mut statement = connection.prepare_cached("SELECT person, provider, login FROM identities")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                identities.entry(row.get(0)?).or_default().push((row.get(1)?, row.get(2)?));
            }
            let mut statement = connection.prepare_cached(
                "SELECT id, name, email, password_hash IS NOT NULL, last_seen_at,
                        (SELECT count(*) FROM tasks WHERE owner = people.id)
                 FROM people WHERE removed_at IS NULL ORDER BY id",
            )?;
            let profiles = statement.query_map([], |row| {
                Ok(Profile {
                    identities: identities.remove(&row.get(0)?).unwrap_or_default(),
                    person: person(row)?,
                    email: row.get(2)?,
                    has_password: row.get(3)?,
                    last_seen_at: time_option(row, 4)?,
                    tasks: row.get(5)?,
                })
            })?;
            Ok(profiles.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Who is here, whoever was seen last first.
    pub(crate) async fn presence(&self) -> Result<Vec<Presence>, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, last_seen_at,
                        (SELECT count(*) FROM sessions WHERE person = people.id AND expires_at > ?1)
                 FROM people WHERE removed_at IS NULL ORDER BY last_seen_at DESC, id",
            )?;
            let people = statement.query_map([wall_clock::now().to_string()], |row| {
                Ok(Presence { person: person(row)?, last_seen_at: time_option(row, 2)?, sessions: row.get(3)? })
            })?;
            Ok(people.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Another name for somebody, if nobody else here has it.
    pub(crate) async fn rename(&self, id: PersonId, name: String) -> Result<(), DbError> {
        self.write(move |transaction| {
            let key = name.to_lowercase();
            let mut statement = transaction.prepare_cached("SELECT 1 FROM people WHERE name_key = ?1 AND id <> ?2")?;
            if statement.exists(params![key, id.0])? {
                return Err(DbError::NameTaken);
            }
            transaction.execute(
                "UPDATE people SET name = ?2, name_key = ?3 WHERE id = ?1 AND removed_at IS NULL",
                params![id.0, name, key],
            )?;
            Ok(())
        })
        .await
    }

    /// The names of all who ever were here.
    pub(crate) async fn names(&self) -> Result<HashMap<PersonId, String>, DbError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, name FROM people")?;
            let people = statement.query_map([], |row| Ok((PersonId(row.get(0)?), row.get(1)?)))?;
            Ok(people.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Of who is here by this name, in whatever case it is written.
    pub(crate) async fn password_by_name(&self, name: &str) -> Result<Option<PasswordOf>, DbError> {
        let key = name.to_lowercase();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, password_hash FROM people WHERE name_key = ?1")?;
            Ok(statement.query_row([key], password_of).optional()?)
        })
        .await
    }

    pub(crate) async fn password_of(&self, id: PersonId) -> Result<Option<PasswordOf>, DbError> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT id, password_hash FROM people WHERE id = ?1 AND removed_at IS NULL")?;
            Ok(statement.query_row([id.0], password_of).optional()?)
        })
        .await
    }

    /// Every session of this person but `kept` ends.
    pub(crate) async fn set_password(
        &self,
        id: PersonId,
        password_hash: String,
        kept: Option<SecretHash>,
    ) -> Result<(), DbError> {
        self.write(move |transaction| {
            transaction.execute("UPDATE people SET password_hash = ?2 WHERE id = ?1", params![id.0, password_hash])?;
            super::sessions::end_others(transaction, id, kept)
        })
        .await?;
        self.access_was_taken();
        Ok(())
    }

    /// Ends all that lets them in; who they are elsewhere stays known, so that they do not come in by that. Their tasks stay,
    /// and their name is free. The owner cannot be removed.
    pub(crate) async fn remove_person(&self, id: PersonId) -> Result<(), DbError> {
        self.write(move |transaction| {
            transaction.execute(
                "UPDATE people SET removed_at = ?3, name_key = NULL, password_hash = NULL, email = NULL
                 WHERE id = ?1 AND id <> ?2 AND removed_at IS NULL",
                params![id.0, PersonId::OWNER.0, wall_clock::now().to_string()],
            )?;
            if id != PersonId::OWNER {
                for table in ["sessions", "api_tokens"] {
                    transaction.execute(&format!("DELETE FROM {table} WHERE person = ?1"), [id.0])?;
                }
            }
            Ok(())
        })
        .await?;
        self.access_was_taken();
        Ok(())
    }

    /// Somebody new who needs no invitation.
    #[cfg(test)]
    pub(crate) async fn add_person(&self, name: String, email: Option<String>) -> Result<PersonId, DbError> {
        self.write(move |transaction| add(transaction, &name, email.as_deref())).await
    }
}

pub(super) fn add(connection: &Connection, name: &str, email: Option<&str>) -> Result<PersonId, DbError> {
    if is_taken(connection, name)? {
        return Err(DbError::NameTaken);
    }
    connection.execute(
        "INSERT INTO people (name, name_key, email, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![name, name.to_lowercase(), email, wall_clock::now().to_string()],
    )?;
    Ok(PersonId(connection.last_insert_rowid()))
}

pub(super) fn is_taken(connection: &Connection, name: &str) -> Result<bool, DbError> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM people WHERE name_key = ?1")?;
    Ok(statement.exists([name.to_lowercase()])?)
}

pub(super) fn seen(connection: &Connection, id: PersonId, now: &str) -> Result<(), DbError> {
    connection.prepare_cached("UPDATE people SET last_seen_at = ?2 WHERE id = ?1")?.execute(params![id.0, now])?;
    Ok(())
}

/// Notes on a session or a token, by its table, that its person came with it.
pub(super) fn was_used(connection: &Connection, table: &'static str, token_hash: SecretHash) -> Result<(), DbError> {
    let now = wall_clock::now().to_string();
    let sql = format!("UPDATE {table} SET seen_at = ?2 WHERE token_hash = ?1 RETURNING person");
    let person = connection.query_row(&sql, params![token_hash, now], |row| row.get(0)).optional()?;
    person.map_or(Ok(()), |person| seen(connection, PersonId(person), &now))
}

/// From the columns id, name.
pub(super) fn person(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person { id: PersonId(row.get(0)?), name: row.get(1)? })
}

/// From the columns id, name, time.
pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known { person: person(row)?, seen_at: time_option(row, 2)? })
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(time_option(row, column)?.unwrap_or(Timestamp::UNIX_EPOCH))
}

pub(super) fn time_option(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<String>>(column)?.and_then(|at| at.parse().ok()))
}

fn password_of(row: &Row<'_>) -> rusqlite::Result<PasswordOf> {
    Ok(PasswordOf { person: PersonId(row.get(0)?), hash: row.get(1)? })
}
