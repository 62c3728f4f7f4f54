//! What the agent changed, as it is kept beside a task that ended: a small repository of the server's own with the files that
//! were changed, as they are and as they were, and the names of those that are gone. Nothing of the others.

use std::path::Path;

use git2::Repository;

use super::{
    patch::replace,
    snapshot::{Listing, SnapshotError, TreeFile, list, write_tree},
};

/// Changes that were kept.
pub(crate) struct KeptChanges {
    pub(super) repository: Repository,
    /// The files that were changed or deleted, as they came; none of changes that were kept by an older version.
    pub(super) before: Option<Listing>,
    pub(super) changed: Listing,
    pub(super) deleted: Listing,
}

const CHANGED: &str = "refs/changed";
const DELETED: &str = "refs/deleted";
const BEFORE: &str = "refs/before";

/// Writes into `kept` how `after` differs from `before`, both of which are in `repository`.
pub(super) fn write_changes(
    repository: &Repository,
    kept: &Repository,
    before: &Listing,
    after: &Listing,
) -> Result<(), SnapshotError> {
    let differing = |files: &Listing, others: &Listing| -> Listing {
        files
            .iter()
            .filter(|(path, file)| others.get(*path) != Some(file))
            .map(|(path, file)| (path.clone(), *file))
            .collect()
    };
    let (changed, was) = (differing(after, before), differing(before, after));
    copy_objects(repository, kept, &changed)?;
    copy_objects(repository, kept, &was)?;
    let nothing = TreeFile { mode: 0o100_644, id: kept.blob(b"")? };
    let gone = was.keys().filter(|path| !after.contains_key(*path));
    let deleted: Listing = gone.map(|path| (path.clone(), nothing)).collect();
    for (name, files) in [(CHANGED, &changed), (DELETED, &deleted), (BEFORE, &was)] {
        kept.reference(name, write_tree(kept, files)?, true, "")?;
    }
    Ok(())
}

impl KeptChanges {
    /// Blocks, as everything here.
    pub(crate) fn open(git_dir: &Path) -> Result<Self, SnapshotError> {
        let repository = Repository::open_bare(git_dir)?;
        let files = |name: &str| list(&repository, repository.find_reference(name)?.peel_to_tree()?.id());
        let (changed, deleted) = (files(CHANGED)?, files(DELETED)?);
        let before = files(BEFORE).ok();
        Ok(Self { repository, before, changed, deleted })
    }

    /// Another name for other changes.
    pub(crate) fn name(&self) -> Result<String, SnapshotError> {
        let tree = |name: &str| Ok::<_, git2::Error>(self.repository.find_reference(name)?.peel_to_tree()?.id());
        Ok(format!("{} {}", tree(CHANGED)?, tree(DELETED)?))
    }

    /// Makes the changes in `files`, and takes to `repository` what they consist of.
    pub(super) fn put_onto(&self, repository: &Repository, files: &mut Listing) -> Result<(), git2::Error> {
        copy_objects(&self.repository, repository, &self.changed)?;
        for path in self.deleted.keys() {
            files.remove(path);
        }
        for path in self.changed.keys() {
            replace(files, path, &self.changed);
        }
        Ok(())
    }
}

fn copy_objects(from: &Repository, to: &Repository, files: &Listing) -> Result<(), git2::Error> {
    let (from, to) = (from.odb()?, to.odb()?);
    for file in files.values() {
        let object = from.read(file.id)?;
        to.write(object.kind(), object.data())?;
    }
    Ok(())
}
