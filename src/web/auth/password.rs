//! Passwords: argon2id, away from the async threads, and never so many at once that a flood of logins eats the machine.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::{blocking, web::error::WebError};

/// A password somebody wants to have.
pub(in crate::web) struct NewPassword(String);

#[derive(Debug, thiserror::Error)]
#[error("use at least {MIN_CHARS} characters")]
pub(in crate::web) struct TooShort;

const MIN_CHARS: usize = 10;
const SALT_BYTES: usize = 16;
/// Each takes about 20 MB and a core while it is worked on.
const AT_ONCE: usize = 2;
/// Who comes when so many wait is sent away.
const MAX_WAITING: usize = 16;

/// Compared with when there is no such person, so that the answer takes as long as for one there is.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody has this password").ok());

#[derive(Debug)]
pub(in crate::web) struct Passwords {
    admitted: Semaphore,
    working: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { admitted: Semaphore::new(AT_ONCE + MAX_WAITING), working: Semaphore::new(AT_ONCE) }
    }
}

impl Passwords {
    /// What is stored of a password.
    pub(in crate::web) async fn hash(&self, password: NewPassword) -> Result<String, WebError> {
        self.run(move || hash(&password.0)).await?.map_err(|error| WebError::internal(error.to_string()))
    }

    /// Whether it is the one. With `None` it never is, and takes as long.
    pub(in crate::web) async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, WebError> {
        self.run(move || {
            let is_known = stored.is_some();
            let stored = stored.or_else(|| NOBODY.clone()).unwrap_or_default();
            let is_right = PasswordHash::new(&stored)
                .is_ok_and(|stored| Argon2::default().verify_password(password.as_bytes(), &stored).is_ok());
            is_known && is_right
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, WebError> {
        let _admitted = self.admitted.try_acquire().map_err(|_| WebError::Busy)?;
        let _slot = self.working.acquire().await.map_err(WebError::internal)?;
        Ok(blocking::run(work).await?)
    }
}

impl TryFrom<String> for NewPassword {
    type Error = TooShort;

    fn try_from(text: String) -> Result<Self, TooShort> {
        if text.chars().count() >= MIN_CHARS { Ok(Self(text)) } else { Err(TooShort) }
    }
}

fn hash(password: &str) -> argon2::password_hash::Result<String> {
    let salt: [u8; SALT_BYTES] = rand::random();
    Ok(Argon2::default().hash_password_with_salt(password.as_bytes(), &salt)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn r55_a_password_is_kept_as_argon2id_and_only_it_fits() {
        let passwords = Passwords::default();
        let stored = passwords.hash(NewPassword::try_from("correct horse".to_owned()).ok().unwrap()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        for (password, stored, fits) in [
            ("correct horse", Some(stored.clone()), true),
            ("correct horse ", Some(stored.clone()), false),
            ("", Some(stored), false),
            ("nobody has this password", None, false),
            ("", Some(String::new()), false),
        ] {
            assert_eq!(passwords.verify(password.to_owned(), stored).await.unwrap(), fits, "{password:?}");
        }
        assert!(NewPassword::try_from("too short".to_owned()).is_err());
    }

    #[tokio::test]
    async fn r59_a_flood_of_logins_waits_in_a_short_line() {
        let passwords = Passwords::default();
        let tries = (0..60).map(|_| passwords.verify("x".to_owned(), None));
        let answers = futures_util::future::join_all(tries).await;
        let busy = answers.iter().filter(|answer| matches!(answer, Err(WebError::Busy))).count();
        assert_eq!(busy, 60 - AT_ONCE - MAX_WAITING);
        assert!(passwords.verify("x".to_owned(), None).await.is_ok(), "and then it goes on");
    }
}
