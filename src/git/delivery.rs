//! The result of a task as a repository that people fetch from: the commit it began with, and one on top of it. It is made in
//! the server's own tree from what no container ever wrote.

use std::{fs, io, path::Path};

use git2::{Oid, Repository, RepositoryInitOptions, Signature, Time};
use jiff::Timestamp;

use super::{
    branch::{Author, SUBMODULE, with_stored_line_ends},
    changes::KeptChanges,
    snapshot::{Listing, SnapshotError, SnapshotLimits, Snapshots, list, write_tree},
};
use crate::domain::source::GitRef;

/// What a commit says. The same note makes the same commit.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) author: Author,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

/// The beginning of a repository that is made for people: the source in one commit.
pub(crate) struct Beginning {
    repository: Repository,
    commit: Oid,
}

impl Beginning {
    /// A clone that nobody has worked in: its objects move to `git_dir`. The commit is the real one, without those before it,
    /// so whoever has it only needs what the task made. Blocks.
    pub(crate) fn of_clone(clone: &Path, commit: &GitRef, git_dir: &Path) -> Result<Self, SnapshotError> {
        let theirs = clone.join(".git");
        init(git_dir)?;
        fs::remove_dir_all(git_dir.join("objects"))?;
        fs::rename(theirs.join("objects"), git_dir.join("objects"))?;
        match fs::copy(theirs.join("shallow"), git_dir.join("shallow")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let repository = Repository::open_bare(git_dir)?;
        let commit = repository.find_commit(Oid::from_str(commit.as_str())?)?.id();
        Ok(Self { repository, commit })
    }

    /// Files that had no history. Blocks.
    pub(crate) fn of_files(
        code: &Path,
        limits: &SnapshotLimits,
        git_dir: &Path,
        note: &Note,
    ) -> Result<Self, SnapshotError> {
        let snapshots = Snapshots::create(git_dir)?;
        let source = snapshots.take(code, None, limits)?;
        let repository = snapshots.repository()?;
        let commit = write_commit(&repository, None, source.tree, note, &[])?;
        Ok(Self { repository, commit })
    }

    /// Puts the changes on top, as the one branch there is. Blocks.
    pub(crate) fn finish(self, changes: &KeptChanges, note: &Note, branch: &str) -> Result<(), SnapshotError> {
        let Self { repository, commit } = self;
        let base = list(&repository, repository.find_commit(commit)?.tree_id())?;
        let mut files = base.clone();
        changes.put_onto(&repository, &mut files)?;
        as_stored(&repository, &base, changes, &mut files)?;
        let tree = write_tree(&repository, &files)?;
        let branch = format!("refs/heads/{branch}");
        write_commit(&repository, Some(&branch), tree, note, &[commit])?;
        Ok(repository.set_head(&branch)?)
    }
}

fn init(git_dir: &Path) -> Result<Repository, git2::Error> {
    let mut options = RepositoryInitOptions::new();
    options.bare(true).mkpath(true).external_template(false);
    Repository::init_opts(git_dir, &options)
}

fn write_commit(
    repository: &Repository,
    branch: Option<&str>,
    tree: Oid,
    note: &Note,
    parents: &[Oid],
) -> Result<Oid, git2::Error> {
    let signature = Signature::new(&note.author.name, &note.author.email, &Time::new(note.at.as_second(), 0))?;
    let tree = repository.find_tree(tree)?;
    let parents = parents.iter().map(|id| repository.find_commit(*id)).collect::<Result<Vec<_>, _>>()?;
    let parents: Vec<_> = parents.iter().collect();
    repository.commit(branch, &signature, &signature, &note.message, &tree, &parents)
}

/// Attributes may make git write other line ends into a work tree than it stores. A changed file that came in like that goes
/// back with the stored ones.
fn as_stored(
    repository: &Repository,
    base: &Listing,
    changes: &KeptChanges,
    files: &mut Listing,
) -> Result<(), git2::Error> {
    for (path, came) in changes.before.iter().flatten() {
        let (Some(stored), Some(file)) = (base.get(path), files.get_mut(path)) else { continue };
        if came.id == stored.id || stored.mode == SUBMODULE {
            continue;
        }
        let came = changes.repository.find_blob(came.id)?;
        if with_stored_line_ends(came.content()) == repository.find_blob(stored.id)?.content() {
            let new = with_stored_line_ends(repository.find_blob(file.id)?.content());
            file.id = repository.blob(&new)?;
        }
    }
    Ok(())
}
