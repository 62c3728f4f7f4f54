//! What a person thought of the result of a task.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Feedback {
    pub(crate) rating: Rating,
    /// At most 4 KiB.
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rating {
    /// Good enough to learn from.
    Up,
    Down,
}

/// Which completed tasks become training data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ratings {
    /// Those with a thumb up.
    #[default]
    Up,
    /// All, whatever people thought of them.
    Any,
}

#[derive(Debug, thiserror::Error)]
#[error("the comment is longer than 4 KiB; make it shorter")]
pub(crate) struct CommentTooLong;

const MAX_COMMENT_BYTES: usize = 4 * 1024;

impl Feedback {
    /// A comment of nothing but space is none.
    pub(crate) fn new(rating: Rating, comment: Option<&str>) -> Result<Self, CommentTooLong> {
        let comment = comment.map(str::trim).filter(|comment| !comment.is_empty());
        if comment.is_some_and(|comment| comment.len() > MAX_COMMENT_BYTES) {
            return Err(CommentTooLong);
        }
        Ok(Self { rating, comment: comment.map(str::to_owned) })
    }
}

impl Rating {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// For people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Up => "good",
            Self::Down => "poor",
        }
    }
}
