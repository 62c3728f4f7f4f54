//! Tokens that people made for their programs. Only hashes get here.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Db, DbError, Known, SecretHash, people};
use crate::{domain::person::PersonId, wall_clock};

/// What is known of a token, but for the token.
#[derive(Debug, Clone)]
pub(crate) struct ApiToken {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    /// To a few minutes.
    pub(crate) seen_at: Option<Timestamp>,
}

impl Db {
    pub(crate) async fn insert_api_token(
        &self,
        person: PersonId,
        name: String,
        token_hash: SecretHash,
    ) -> Result<(), DbError> {
        self.write(move |transaction| {
            transaction.execute(
                "INSERT INTO api_tokens (token_hash, person, name, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![token_hash, person.0, name, wall_clock::now().to_string()],
            )?;
            Ok(())
        })
        .await
    }

    /// Whose token it is; nobody's once it is revoked or they were removed.
    pub(crate) async fn api_token(&self, token_hash: SecretHash) -> Result<Option<Known>, DbError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT people.id, people.name, api_tokens.seen_at
                 FROM api_tokens JOIN people ON people.id = api_tokens.person
                 WHERE token_hash = ?1 AND removed_at IS NULL",
            )?;
            Ok(statement.query_row([token_hash], people::known).optional()?)
        })
        .await
    }

    /// The newest first.
    pub(crate) async fn api_tokens_of(&self, person: PersonId) -> Result<Vec<ApiToken>, DbError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, created_at, seen_at FROM api_tokens WHERE person = ?1 ORDER BY id DESC",
            )?;
            let tokens = statement.query_map([person.0], |row| {
                Ok(ApiToken {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    created_at: people::time(row, 2)?,
                    seen_at: people::time_option(row, 3)?,
                })
            })?;
            Ok(tokens.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Does nothing to a token of somebody else.
    pub(crate) async fn revoke_api_token(&self, person: PersonId, id: i64) -> Result<(), DbError> {
        self.write(move |transaction| {
            transaction.execute("DELETE FROM api_tokens WHERE person = ?1 AND id = ?2", [person.0, id])?;
            Ok(())
        })
        .await?;
        self.access_was_taken();
        Ok(())
    }

    pub(crate) async fn api_token_was_used(&self, token_hash: SecretHash) -> Result<(), DbError> {
        self.write(move |transaction| people::was_used(transaction, "api_tokens", token_hash)).await
    }
}
