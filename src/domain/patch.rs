//! What changed, in numbers.

use serde::{Deserialize, Serialize};

/// Counts of `diff.patch`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct DiffSummary {
    pub(crate) files: u64,
    pub(crate) insertions: u64,
    pub(crate) deletions: u64,
}

/// One file of `diff.patch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct ChangedFile {
    /// Bytes that are no UTF-8 are replaced: for people, not for opening.
    pub(crate) path: String,
    /// The path before a rename.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) old_path: Option<String>,
    pub(crate) status: ChangeStatus,
    /// Lines; none in a binary file.
    pub(crate) insertions: u64,
    pub(crate) deletions: u64,
    pub(crate) binary: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeStatus {
    Added,
    Deleted,
    Modified,
    Renamed,
}

/// Whose line numbers are meant: those before the change or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    Old,
    New,
}

impl Side {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    /// As links to lines name it.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Old => 'L',
            Self::New => 'R',
        }
    }
}

/// Whether a browser may show a file of this name as an image. Not SVG, which is a document.
pub(crate) fn is_image(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| ["png", "jpg", "jpeg", "gif", "webp"].contains(&extension.as_str()))
}
