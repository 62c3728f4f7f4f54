//! Logged-in browsers. Only hashes get here; who stole the database cannot log in with it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Db, DbError, people};
use crate::{
    domain::person::{Person, PersonId},
    wall_clock,
};

/// A secret that somebody holds, as it is stored.
pub(crate) type SecretHash = [u8; 32];

/// A login that has just succeeded.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub(crate) person: PersonId,
    pub(crate) token_hash: SecretHash,
    pub(crate) expires_at: Timestamp,
    /// What the browser calls itself.
    pub(crate) browser: String,
}

/// Whose secret it is, and when they were last here.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) person: Person,
    pub(crate) seen_at: Option<Timestamp>,
}

/// A session as its person is shown it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) token_hash: SecretHash,
    pub(crate) created_at: Timestamp,
    /// To a few minutes.
    pub(crate) seen_at: Option<Timestamp>,
    pub(crate) browser: String,
}

impl Db {
    pub(crate) async fn insert_session(&self, new: NewSession) -> Result<(), DbError> {
        self.write(move |transaction| {
            let now = wall_clock::now().to_string();
            transaction.execute("DELETE FROM sessions WHERE expires_at < ?1", [&now])?;
            transaction.execute(
                "INSERT INTO sessions (token_hash, created_at, expires_at, person, seen_at, browser)
                 VALUES (?1, ?2, ?3, ?4, ?2, ?5)",
                params![new.token_hash, now, new.expires_at.to_string(), new.person.0, new.browser],
            )?;
            people::seen(transaction, new.person, &now)
        })
        .await
    }

    /// Who is logged in by this session; nobody once it is over or they were removed.
    pub(crate) async fn session(&self, token_hash: SecretHash) -> Result<Option<Known>, DbError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT people.id, people.name, sessions.seen_at, sessions.expires_at
                     FROM sessions JOIN people ON people.id = sessions.person
                     WHERE token_hash = ?1 AND removed_at IS NULL",
                )?
                .query_row([token_hash], |row| Ok((people::known(row)?, row.get::<_, String>(3)?)))
                .optional()?;
            let is_valid = |at: &str| at.parse::<Timestamp>().is_ok_and(|at| at > wall_clock::now());
            Ok(found.and_then(|(known, expires_at)| is_valid(&expires_at).then_some(known)))
        })
        .await
    }

    /// Those that are not over, the newest first.
    pub(crate) async fn sessions_of(&self, person: PersonId) -> Result<Vec<Session>, DbError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT token_hash, created_at, seen_at, browser FROM sessions
                 WHERE person = ?1 AND expires_at > ?2 ORDER BY created_at DESC",
            )?;
            let sessions = statement.query_map(params![person.0, wall_clock::now().to_string()], |row| {
                Ok(Session {
                    token_hash: row.get(0)?,
                    created_at: people::time(row, 1)?,
                    seen_at: people::time_option(row, 2)?,
                    browser: row.get(3)?,
                })
            })?;
            Ok(sessions.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Ends one session of this person; another's stays.
    pub(crate) async fn end_session(&self, person: PersonId, token_hash: SecretHash) -> Result<(), DbError> {
        self.write(move |transaction| {
            let values = params![person.0, token_hash];
            transaction.execute("DELETE FROM sessions WHERE person = ?1 AND token_hash = ?2", values)?;
            Ok(())
        })
        .await?;
        self.access_was_taken();
        Ok(())
    }

    /// Ends every session of this person but `kept`.
    pub(crate) async fn end_other_sessions(&self, person: PersonId, kept: Option<SecretHash>) -> Result<(), DbError> {
        self.write(move |transaction| end_others(transaction, person, kept)).await?;
        self.access_was_taken();
        Ok(())
    }

    pub(crate) async fn delete_session(&self, token_hash: SecretHash) -> Result<(), DbError> {
        self.write(move |transaction| {
            transaction.execute("DELETE FROM sessions WHERE token_hash = ?1", [token_hash])?;
            Ok(())
        })
        .await?;
        self.access_was_taken();
        Ok(())
    }

    pub(crate) async fn session_was_used(&self, token_hash: SecretHash) -> Result<(), DbError> {
        self.write(move |transaction| people::was_used(transaction, "sessions", token_hash)).await
    }
}

pub(super) fn end_others(connection: &Connection, person: PersonId, kept: Option<SecretHash>) -> Result<(), DbError> {
    connection.execute("DELETE FROM sessions WHERE person = ?1 AND token_hash IS NOT ?2", params![person.0, kept])?;
    Ok(())
}
