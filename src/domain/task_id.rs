//! The id of a task: `20261120_` and 12 random base-32 characters.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

/// Sorts by day of creation, is unguessable within it, and is safe as a file name, a URL segment and a container name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TaskId(String);

#[derive(Debug, thiserror::Error)]
#[error("not a task id: expected eight digits, an underscore and 12 characters of a-z and 2-7")]
pub(crate) struct NotATaskId;

const RANDOM_CHARACTERS: usize = 12;

impl TaskId {
    /// A new id for a task made at `now` (the date is UTC).
    pub(crate) fn generate(now: jiff::Timestamp) -> Self {
        let random: [u8; 8] = rand::random();
        let mut suffix = BASE32_NOPAD.encode(&random).to_ascii_lowercase();
        suffix.truncate(RANDOM_CHARACTERS);
        Self(format!("{}_{suffix}", now.strftime("%Y%m%d")))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TaskId {
    type Error = NotATaskId;

    fn try_from(text: String) -> Result<Self, NotATaskId> {
        let (day, random) = text.split_once('_').ok_or(NotATaskId)?;
        let day_is_digits = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
        let random_is_base32 =
            random.len() == RANDOM_CHARACTERS && random.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        if day_is_digits && random_is_base32 { Ok(Self(text)) } else { Err(NotATaskId) }
    }
}

impl std::str::FromStr for TaskId {
    type Err = NotATaskId;

    fn from_str(text: &str) -> Result<Self, NotATaskId> {
        Self::try_from(text.to_owned())
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_id_parses_and_bad_ones_do_not() {
        let id = TaskId::generate(jiff::Timestamp::UNIX_EPOCH);
        assert!(id.as_str().starts_with("19700101_"));
        assert_eq!(id.as_str().parse::<TaskId>().unwrap(), id);
        for bad in ["", "0", "-1", "../../etc", "19700101_", "19700101_abcdefghijk1", "19700101_ABCDEFGHIJKL"] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
    }
}
