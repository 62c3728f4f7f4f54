//! What a patch asks for, file by file, whichever form it was written in.

use rustix::fs::Mode;

use super::hunk::Hunk;

/// The part of a patch that is about one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FilePatch {
    /// The names that the headers may mean, the likeliest first; none without a header.
    pub(super) names: Vec<String>,
    pub(super) action: Action,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create {
        text: String,
        mode: Option<Mode>,
    },
    /// With hunks, only when they remove everything.
    Delete {
        hunks: Vec<Hunk>,
    },
    Update {
        hunks: Vec<Hunk>,
        moved_to: Option<String>,
        mode: Option<Mode>,
    },
}

/// One line of a patch and its number there, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PatchLine<'a> {
    pub(super) number: usize,
    pub(super) text: &'a str,
}

/// Why a text is no patch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::tools) enum NotAPatch {
    #[error("it has neither a hunk (@@) nor a file header nor lines with + or -")]
    Nothing,
    #[error("line {number} is not understood: {text:?}; inside a hunk every line begins with ' ', '-' or '+'")]
    Line { number: usize, text: String },
    #[error("line {number} begins a hunk that adds and removes nothing")]
    EmptyHunk { number: usize },
    #[error("{0} has a header but no hunk")]
    NoHunks(String),
    #[error("{0} is new, so every line of it begins with '+'")]
    OldLinesInNewFile(String),
    #[error("there is no \"*** End Patch\" at the end: was the patch cut off?")]
    NoEnd,
    #[error(
        "line {number} is not understood: {text:?}; a file begins with \"*** Add File: PATH\", \
\"*** Delete File: PATH\" or \"*** Update File: PATH\""
    )]
    Section { number: usize, text: String },
    #[error("line {number}: this part of a patch cannot be applied here: {text:?}; use run_command for it")]
    Unsupported { number: usize, text: String },
}

impl PatchLine<'_> {
    pub(super) fn not_understood(self) -> NotAPatch {
        NotAPatch::Line { number: self.number, text: self.text.to_owned() }
    }

    pub(super) fn unsupported(self) -> NotAPatch {
        NotAPatch::Unsupported { number: self.number, text: self.text.to_owned() }
    }
}
