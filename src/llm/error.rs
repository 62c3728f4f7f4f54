//! Why there is no answer, and whether asking again can help.

use std::time::Duration;

use crate::domain::failure::{Failure, FailureKind};
use crate::domain::usage::Usage;

/// Every message names the provider, says what happened and, where a person can act, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum LlmError {
    /// Busy, out of reach, too slow, or the answer broke off.
    #[error("{message}")]
    Unavailable {
        message: String,
        /// How long the provider asks us to stay away.
        retry_after: Option<Duration>,
        /// What the part that came before it broke off cost, as a guess.
        usage: Usage,
    },
    /// The provider understood and said no. `status` is missing where it said so inside an answer.
    #[error("{message}")]
    Refused { status: Option<u16>, message: String },
    /// An answer that is none: HTML, another kind of JSON. `usage` has what it cost all the same.
    #[error("{message}")]
    BadOutput { message: String, usage: Usage },
    /// The answer did not fit into `max_output_tokens`. Its tool calls may be cut anywhere and are not kept.
    #[error("{message}")]
    Truncated { message: String, text: String, usage: Usage },
    /// The script of a scripted model does not fit the conversation.
    #[error("{message}")]
    Script { message: String },
}

impl LlmError {
    /// Whether the same request may do better later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::BadOutput { .. } => true,
            Self::Refused { .. } | Self::Truncated { .. } | Self::Script { .. } => false,
        }
    }

    /// What the failed try cost.
    pub(crate) fn usage(&self) -> Usage {
        match self {
            Self::Unavailable { usage, .. } | Self::BadOutput { usage, .. } | Self::Truncated { usage, .. } => *usage,
            Self::Refused { .. } | Self::Script { .. } => Usage::default(),
        }
    }

    /// The same error of a try, or of tries, that cost so much.
    pub(super) fn with_usage(self, usage: Usage) -> Self {
        match self {
            Self::Unavailable { message, retry_after, .. } => Self::Unavailable { message, retry_after, usage },
            Self::BadOutput { message, .. } => Self::BadOutput { message, usage },
            Self::Truncated { message, text, .. } => Self::Truncated { message, text, usage },
            other => other,
        }
    }

    /// The end of a task that cannot go on without the answer.
    pub(crate) fn failure(&self) -> Failure {
        let kind = match self {
            Self::Unavailable { .. } => FailureKind::LlmUnavailable,
            Self::Refused { .. } | Self::Script { .. } => FailureKind::LlmError,
            Self::BadOutput { .. } | Self::Truncated { .. } => FailureKind::LlmBadOutput,
        };
        Failure::new(kind, self.to_string())
    }
}
