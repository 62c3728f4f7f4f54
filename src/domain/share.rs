//! A link that lets whoever has it read one task, or a part of it.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{person::Person, task_id::TaskId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) id: ShareId,
    pub(crate) task: TaskId,
    pub(crate) scope: ShareScope,
    pub(crate) made_by: Person,
    pub(crate) created_at: Timestamp,
    /// None: never.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) last_opened_at: Option<Timestamp>,
    pub(crate) opened: u64,
}

impl Share {
    pub(crate) fn new(task: TaskId, made_by: Person, scope: ShareScope, lifetime: Lifetime, now: Timestamp) -> Self {
        let expires_at = match lifetime {
            Lifetime::Days(days) => Some(now + SignedDuration::from_hours(24 * i64::from(days))),
            Lifetime::Endless => None,
        };
        Self {
            id: ShareId::generate(),
            task,
            scope,
            made_by,
            created_at: now,
            expires_at,
            last_opened_at: None,
            opened: 0,
        }
    }

    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// What the link shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub(crate) enum ShareScope {
    /// The page of the task with everything on it.
    Task,
    /// The diff and its patch.
    Diff,
    /// One file beneath `logs/`.
    Log {
        #[serde(rename = "log")]
        name: String,
    },
}

impl ShareScope {
    pub(crate) fn shows_file(&self, wanted: &str) -> bool {
        match self {
            Self::Task => true,
            Self::Diff => wanted == "diff.patch",
            Self::Log { name } => wanted == name,
        }
    }
}

/// How long a link works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Days(u16),
    Endless,
}

impl Lifetime {
    pub(crate) const DEFAULT: Self = Self::Days(7);
}

/// Names a share to those who may revoke it; it opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ShareId(String);

#[derive(Debug, thiserror::Error)]
#[error("not the id of a share")]
pub(crate) struct NotAShareId;

const ID_CHARACTERS: usize = 16;

impl ShareId {
    fn generate() -> Self {
        Self(BASE32_NOPAD.encode(&rand::random::<[u8; 10]>()).to_ascii_lowercase())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ShareId {
    type Err = NotAShareId;

    fn from_str(text: &str) -> Result<Self, NotAShareId> {
        let fits = text.len() == ID_CHARACTERS && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAShareId) }
    }
}

impl fmt::Display for ShareId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::PersonId;

    #[test]
    fn a_share_shows_what_it_says_until_it_expires() {
        let task = TaskId::generate(Timestamp::UNIX_EPOCH);
        let person = Person { id: PersonId::OWNER, name: "owner".to_owned() };
        let log = ShareScope::Log { name: "setup.log".to_owned() };
        let share = Share::new(task, person, log, Lifetime::Days(1), Timestamp::UNIX_EPOCH);
        assert_eq!(share.id.as_str().parse::<ShareId>().unwrap(), share.id);
        let hours = |hours| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        assert_eq!((share.has_expired(hours(23)), share.has_expired(hours(24))), (false, true));
        assert!(share.scope.shows_file("setup.log") && !share.scope.shows_file("agent.log"));
        assert!(ShareScope::Diff.shows_file("diff.patch") && !ShareScope::Diff.shows_file("setup.log"));
    }
}
