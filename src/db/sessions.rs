//! Logged-in browsers. Only hashes get here; who stole the database cannot log in with it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Db, DbError};
use crate::wall_clock;

impl Db {
    pub(crate) async fn insert_session(&self, token_hash: [u8; 32], expires_at: Timestamp) -> Result<(), DbError> {
        self.write(move |transaction| {
            let now = wall_clock::now().to_string();
            transaction.execute("DELETE FROM sessions WHERE expires_at < ?1", [&now])?;
            transaction.execute(
                "INSERT INTO sessions (token_hash, created_at, expires_at) VALUES (?1, ?2, ?3)",
                params![token_hash, now, expires_at.to_string()],
            )?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn session_is_valid(&self, token_hash: [u8; 32]) -> Result<bool, DbError> {
        self.read(move |connection| {
            let expires_at: Option<String> = connection
                .prepare_cached("SELECT expires_at FROM sessions WHERE token_hash = ?1")?
                .query_row([token_hash], |row| row.get(0))
                .optional()?;
            Ok(expires_at.and_then(|at| at.parse::<Timestamp>().ok()).is_some_and(|at| at > wall_clock::now()))
        })
        .await
    }

    pub(crate) async fn delete_session(&self, token_hash: [u8; 32]) -> Result<(), DbError> {
        self.write(move |transaction| {
            transaction.execute("DELETE FROM sessions WHERE token_hash = ?1", [token_hash])?;
            Ok(())
        })
        .await
    }
}
