//! The files of a task's result, for people to take home: as they were kept, or the source with what was changed.

use std::path::Path;

use git2::{Oid, Repository};

use super::{
    branch::RESULT,
    changes::KeptChanges,
    snapshot::{Listing, Snapshot, SnapshotError, Snapshots, TreeFile, list},
};

/// Holds its repository open: kept files may go meanwhile without harm to who reads.
pub(crate) struct ResultTree {
    repository: Repository,
    files: Listing,
}

impl ResultTree {
    /// The result that was kept in these snapshots, if one was. Blocks.
    pub(crate) fn kept(git_dir: &Path) -> Result<Option<Self>, SnapshotError> {
        if !Snapshots::has_result(git_dir) {
            return Ok(None);
        }
        let repository = Repository::open_bare(git_dir)?;
        let tree = repository.find_reference(RESULT)?.peel_to_tree()?.id();
        Self::of(repository, tree).map(Some)
    }

    /// The source with these changes. Blocks.
    pub(crate) fn changed(
        snapshots: &Snapshots,
        source: &Snapshot,
        changes: &KeptChanges,
    ) -> Result<Self, SnapshotError> {
        let result = snapshots.with_changes(source, changes)?;
        Self::of(snapshots.repository()?, result.tree)
    }

    fn of(repository: Repository, tree: Oid) -> Result<Self, SnapshotError> {
        let files = list(&repository, tree)?;
        Ok(Self { repository, files })
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&[u8], TreeFile)> {
        self.files.iter().map(|(path, file)| (path.as_slice(), *file))
    }

    /// The bytes of a file, or where a link points.
    pub(crate) fn content(&self, file: TreeFile) -> Result<Vec<u8>, SnapshotError> {
        Ok(self.repository.find_blob(file.id)?.content().to_vec())
    }
}
