//! What a person leaves out of a task's result: files and hunks, known by what they hold. So what was judged once stays judged,
//! and what a further turn made of it is in again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::patch::ChangeStatus;

/// The ids of files and hunks that are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct LeftOut(BTreeSet<String>);

/// A file that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct FileChoice {
    pub(crate) id: String,
    /// Bytes that are no UTF-8 are replaced: for people, not for opening.
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old_path: Option<String>,
    pub(crate) status: ChangeStatus,
    pub(crate) left_out: bool,
    /// Where it has parts that can be left out by themselves.
    pub(crate) hunks: Vec<HunkChoice>,
}

/// A part of what was changed in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct HunkChoice {
    pub(crate) id: String,
    /// `@@ -1,3 +1,4 @@` and what follows it; the numbers are those of the whole patch.
    pub(crate) heading: String,
    pub(crate) insertions: usize,
    pub(crate) deletions: usize,
    pub(crate) left_out: bool,
}

impl LeftOut {
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn leave_out(&mut self, id: String) {
        self.0.insert(id);
    }

    pub(crate) fn take_in(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// Those of them that are there.
    pub(crate) fn among(&self, files: &[FileChoice]) -> Self {
        let known = |id: &&String| files.iter().any(|file| file.ids().any(|known| known == **id));
        Self(self.0.iter().filter(known).cloned().collect())
    }

    pub(crate) fn first_not_among(&self, files: &[FileChoice]) -> Option<String> {
        let known = self.among(files);
        self.0.iter().find(|id| !known.contains(id)).cloned()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Another one for everything else that could be left out; empty if nothing is.
    pub(crate) fn name(&self) -> String {
        self.0.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl FromIterator<String> for LeftOut {
    fn from_iter<T: IntoIterator<Item = String>>(ids: T) -> Self {
        Self(ids.into_iter().collect())
    }
}

impl FileChoice {
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        [self.id.as_str()].into_iter().chain(self.hunks.iter().map(|hunk| hunk.id.as_str()))
    }
}
