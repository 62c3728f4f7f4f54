//! Who somebody is elsewhere, and who that is here.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Db, DbError, people};
use crate::{
    domain::{
        account::Account,
        person::{Email, PersonId, PersonName},
    },
    wall_clock,
};

impl Db {
    /// The person with this account: who had it before; who was invited, or is here, by an address that is verified; or
    /// somebody new who is allowed. Nobody else, and nobody who was removed unless they are invited again.
    pub(crate) async fn person_by_account(&self, new: Account) -> Result<Option<PersonId>, DbError> {
        self.write(move |transaction| {
            let known = known(transaction, &new)?;
            if let Some((person, true)) = known {
                return Ok(Some(person));
            }
            let person = match by_email(transaction, &new)? {
                Some(person) => person,
                None if new.is_allowed && known.is_none() => make(transaction, &new)?,
                None => return Ok(None),
            };
            transaction.execute(
                "INSERT OR REPLACE INTO identities (provider, subject, person, login) VALUES (?1, ?2, ?3, ?4)",
                params![new.provider, new.subject, person.0, new.login],
            )?;
            Ok(Some(person))
        })
        .await
    }
}

/// Who had the account last, and whether they are still here.
fn known(connection: &Connection, new: &Account) -> Result<Option<(PersonId, bool)>, DbError> {
    let found = connection
        .query_row(
            "SELECT people.id, removed_at IS NULL FROM identities JOIN people ON people.id = identities.person
             WHERE provider = ?1 AND subject = ?2",
            [&new.provider, &new.subject],
            |row| Ok((PersonId(row.get(0)?), row.get(1)?)),
        )
        .optional()?;
    Ok(found)
}

fn by_email(connection: &Connection, new: &Account) -> Result<Option<PersonId>, DbError> {
    for email in &new.emails {
        let invited: Option<(i64, String)> = connection
            .query_row(
                "SELECT id, name FROM invites WHERE email = ?1 AND expires_at > ?2",
                [email.as_str(), &wall_clock::now().to_string()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        if let Some((invite, name)) = invited {
            connection.execute("DELETE FROM invites WHERE id = ?1", [invite])?;
            return people::add(connection, &name, Some(email.as_str())).map(Some);
        }
        let here: Option<i64> = connection
            .query_row("SELECT id FROM people WHERE email = ?1 AND removed_at IS NULL", [email.as_str()], |row| {
                row.get(0)
            })
            .optional()?;
        if let Some(person) = here {
            return Ok(Some(PersonId(person)));
        }
    }
    Ok(None)
}

/// With the name they have there, or one like it when somebody here has it.
fn make(connection: &Connection, new: &Account) -> Result<PersonId, DbError> {
    let fits = |name: &str| PersonName::try_from(name).ok().map(String::from);
    let name = new.name.as_deref().and_then(fits).or_else(|| fits(&new.login)).unwrap_or_else(|| new.provider.clone());
    let mut free = name.clone();
    let mut number = 2;
    while people::is_taken(connection, &free)? {
        free = format!("{name} {number}");
        number += 1;
    }
    people::add(connection, &free, new.emails.first().map(Email::as_str))
}
