//! Invitations that nobody has taken up yet. Only a hash of the link's secret gets here.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Db, DbError, SecretHash, people};
use crate::{domain::person::PersonId, wall_clock};

/// Somebody who was asked to come.
#[derive(Debug, Clone)]
pub(crate) struct Invite {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// An invitation to be stored.
#[derive(Debug)]
pub(crate) struct NewInvite {
    pub(crate) token_hash: SecretHash,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) expires_at: Timestamp,
}

const COLUMNS: &str = "id, name, email, created_at, expires_at";

impl Db {
    /// `NameTaken` when somebody who is here, or invited, has the name.
    pub(crate) async fn invite(&self, new: NewInvite) -> Result<(), DbError> {
        self.write(move |transaction| {
            let now = wall_clock::now().to_string();
            transaction.execute("DELETE FROM invites WHERE expires_at < ?1", [&now])?;
            let is_invited = |name: &str| name.to_lowercase() == new.name.to_lowercase();
            if people::is_taken(transaction, &new.name)?
                || all(transaction)?.iter().any(|known| is_invited(&known.name))
            {
                return Err(DbError::NameTaken);
            }
            transaction.execute(
                "INSERT INTO invites (token_hash, name, email, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![new.token_hash, new.name, new.email, now, new.expires_at.to_string()],
            )?;
            Ok(())
        })
        .await
    }

    /// Those that can still be taken up, the newest first.
    pub(crate) async fn invites(&self) -> Result<Vec<Invite>, DbError> {
        self.read(|connection| {
            let mut invites = all(connection)?;
            invites.retain(|invite| invite.expires_at > wall_clock::now());
            Ok(invites)
        })
        .await
    }

    /// The invitation with this secret, unless it is over, taken up or taken back.
    pub(crate) async fn invite_of(&self, token_hash: SecretHash) -> Result<Option<Invite>, DbError> {
        self.read(move |connection| find(connection, token_hash)).await
    }

    pub(crate) async fn take_invite_back(&self, id: i64) -> Result<(), DbError> {
        self.write(move |transaction| {
            transaction.execute("DELETE FROM invites WHERE id = ?1", [id])?;
            Ok(())
        })
        .await
    }

    /// Makes a person of an invitation, which is gone then. Nobody when it is gone already.
    pub(crate) async fn take_invite_up(
        &self,
        token_hash: SecretHash,
        password_hash: String,
    ) -> Result<Option<PersonId>, DbError> {
        self.write(move |transaction| {
            let Some(invite) = find(transaction, token_hash)? else { return Ok(None) };
            transaction.execute("DELETE FROM invites WHERE id = ?1", [invite.id])?;
            let id = people::add(transaction, &invite.name, invite.email.as_deref())?;
            transaction.execute("UPDATE people SET password_hash = ?2 WHERE id = ?1", params![id.0, password_hash])?;
            Ok(Some(id))
        })
        .await
    }
}

fn find(connection: &Connection, token_hash: SecretHash) -> Result<Option<Invite>, DbError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM invites WHERE token_hash = ?1"))?;
    let invite = statement.query_row([token_hash], from_row).optional()?;
    Ok(invite.filter(|invite| invite.expires_at > wall_clock::now()))
}

fn all(connection: &Connection) -> Result<Vec<Invite>, DbError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM invites ORDER BY id DESC"))?;
    let invites = statement.query_map([], from_row)?.collect::<Result<_, _>>()?;
    Ok(invites)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Invite> {
    Ok(Invite {
        id: row.get(0)?,
        name: row.get(1)?,
        email: row.get(2)?,
        created_at: people::time(row, 3)?,
        expires_at: people::time(row, 4)?,
    })
}
