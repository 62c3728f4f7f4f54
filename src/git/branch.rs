//! From a task's result to a commit on a branch of today. libgit2 on two repositories of the server's own: the snapshots of
//! the task, and one that was fetched for this and sees the objects of the first.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use git2::{Index, MergeOptions, Oid, Repository, RepositoryInitOptions, Signature, Time};

use super::{
    changes::KeptChanges,
    patch::wanted,
    snapshot::{Snapshot, SnapshotError, Snapshots, TreeFile, file_at, list, write_tree},
};
use crate::{domain::confirm_first::Change, redact, wall_clock};

/// In the snapshots of a task: the source as it came in, and with its changes.
const SOURCE: &str = "refs/atelier/source";
pub(super) const RESULT: &str = "refs/atelier/result";
pub(super) const SUBMODULE: u32 = 0o160_000;

/// Whose commit it is.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) name: String,
    pub(crate) email: String,
}

/// Where a commit goes.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The commit of the other branch that the result is merged onto.
    pub(crate) onto: String,
    /// The commit that it follows: the same, or an earlier one of ours that was made on it.
    pub(crate) after: String,
}

/// What the result comes to on a branch.
#[derive(Debug)]
pub(crate) enum Drafted {
    /// A commit with everything that differs from the branch.
    Commit {
        commit: String,
        changes: Vec<Change>,
    },
    /// A secret of this server stands in files that would be pushed.
    HoldsSecret {
        files: BTreeSet<String>,
    },
    /// The branch changed the same places since the source was fetched.
    Conflict {
        files: BTreeSet<String>,
    },
    Nothing,
}

impl Snapshots {
    /// Remembers what the task came to, so that it can be published later. Blocks.
    pub(crate) fn keep_result(&self, s0: &Snapshot, s1: &Snapshot, end: &Snapshot) -> Result<(), SnapshotError> {
        let repository = self.repository()?;
        let result = write_tree(&repository, &wanted(&repository, s0, s1, end)?)?;
        repository.reference(SOURCE, s0.tree, true, "")?;
        repository.reference(RESULT, result, true, "")?;
        Ok(())
    }

    /// Makes what was kept the source with these changes. Nothing, where no result was kept. Blocks.
    pub(crate) fn choose_result(git_dir: &Path, changes: &KeptChanges) -> Result<(), SnapshotError> {
        if !Self::has_result(git_dir) {
            return Ok(());
        }
        let repository = Repository::open_bare(git_dir)?;
        let mut files = list(&repository, repository.refname_to_id(SOURCE)?)?;
        changes.put_onto(&repository, &mut files)?;
        repository.reference(RESULT, write_tree(&repository, &files)?, true, "")?;
        Ok(())
    }

    /// Makes an empty repository at `git_dir` that has these objects too. Blocks.
    pub(super) fn lend_to(&self, git_dir: &Path) -> Result<(), SnapshotError> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).mkpath(true).external_template(false);
        Repository::init_opts(git_dir, &options)?;
        let objects = fs::canonicalize(self.repository()?.path().join("objects"))?;
        if objects.as_os_str().as_bytes().contains(&b'\n') {
            return Err(io::Error::from(io::ErrorKind::InvalidFilename).into());
        }
        let info = git_dir.join("objects/info");
        fs::create_dir_all(&info)?;
        fs::write(info.join("alternates"), [objects.as_os_str().as_bytes(), b"\n"].concat())?;
        Ok(())
    }

    /// Whether a result was kept.
    pub(crate) fn has_result(git_dir: &Path) -> bool {
        Repository::open_bare(git_dir).is_ok_and(|repository| repository.refname_to_id(RESULT).is_ok())
    }
}

/// A commit of the task's result, in the repository at `git_dir` that has the commits of its place. What the other branch
/// changed since the source was fetched stays. Blocks.
pub(crate) fn draft(
    git_dir: &Path,
    snapshots: &Path,
    place: &Place,
    author: &Author,
    message: &str,
) -> Result<Drafted, SnapshotError> {
    let kept = Repository::open_bare(snapshots)?;
    let (source, result) = (kept.refname_to_id(SOURCE)?, kept.refname_to_id(RESULT)?);
    let repository = Repository::open_bare(git_dir)?;
    let parent = repository.find_commit(Oid::from_str(&place.after)?)?;
    let onto = repository.find_commit(Oid::from_str(&place.onto)?)?.tree_id();
    let (source, result) = as_stored(&repository, onto, source, result)?;
    let mut merged = merge(&repository, source, onto, result)?;
    if merged.has_conflicts() {
        return Ok(Drafted::Conflict { files: conflicts(&merged)? });
    }
    let tree = merged.write_tree_to(&repository)?;
    let changes = changes(&repository, parent.tree_id(), tree)?;
    if changes.is_empty() {
        return Ok(Drafted::Nothing);
    }
    let files = with_secret(&repository, tree, &changes)?;
    if !files.is_empty() {
        return Ok(Drafted::HoldsSecret { files });
    }
    let signature = Signature::new(&author.name, &author.email, &Time::new(wall_clock::now().as_second(), 0))?;
    let tree = repository.find_tree(tree)?;
    let commit = repository.commit(None, &signature, &signature, message, &tree, &[&parent])?;
    Ok(Drafted::Commit { commit: commit.to_string(), changes })
}

/// Attributes may make git write other line ends into a work tree than it stores. Where a changed file came in like that, it
/// goes back with the stored ones.
fn as_stored(repository: &Repository, branch: Oid, source: Oid, result: Oid) -> Result<(Oid, Oid), git2::Error> {
    let stored = list(repository, branch)?;
    let (mut before, mut after) = (list(repository, source)?, list(repository, result)?);
    let content = |file: TreeFile| Ok::<_, git2::Error>(repository.find_blob(file.id)?.content().to_vec());
    let mut is_changed = false;
    for (path, file) in &mut before {
        let (Some(stored), Some(new)) = (stored.get(path), after.get_mut(path)) else { continue };
        let differs = file.id != new.id && file.id != stored.id && stored.mode != SUBMODULE;
        if differs && with_stored_line_ends(&content(*file)?) == content(*stored)? {
            file.id = stored.id;
            new.id = repository.blob(&with_stored_line_ends(&content(*new)?))?;
            is_changed = true;
        }
    }
    if !is_changed {
        return Ok((source, result));
    }
    Ok((write_tree(repository, &before)?, write_tree(repository, &after)?))
}

pub(super) fn with_stored_line_ends(bytes: &[u8]) -> Vec<u8> {
    let next = bytes.iter().skip(1).map(Some).chain([None]);
    bytes
        .iter()
        .zip(next)
        .filter(|(byte, next)| **byte != b'\r' || *next != Some(&b'\n'))
        .map(|(byte, _)| *byte)
        .collect()
}

/// The source is what both sides began with. What only the fetched branch has (submodules, files too large for a snapshot) is
/// in neither of the others, so it stays as well.
fn merge(repository: &Repository, source: Oid, branch: Oid, result: Oid) -> Result<Index, git2::Error> {
    let tree = |id| repository.find_tree(id);
    let mut options = MergeOptions::new();
    options.find_renames(true);
    repository.merge_trees(&tree(source)?, &tree(branch)?, &tree(result)?, Some(&options))
}

fn conflicts(merged: &Index) -> Result<BTreeSet<String>, git2::Error> {
    let mut files = BTreeSet::new();
    for conflict in merged.conflicts()? {
        let conflict = conflict?;
        let sides = [conflict.our, conflict.their, conflict.ancestor];
        files.extend(sides.into_iter().flatten().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    Ok(files)
}

fn with_secret(repository: &Repository, tree: Oid, changes: &[Change]) -> Result<BTreeSet<String>, git2::Error> {
    let mut files = BTreeSet::new();
    for Change { path, .. } in changes {
        if let Some(file) = file_at(repository, tree, path)?
            && redact::holds_secret(repository.find_blob(file.id)?.content())
        {
            files.insert(String::from_utf8_lossy(path).into_owned());
        }
    }
    Ok(files)
}

fn changes(repository: &Repository, from: Oid, to: Oid) -> Result<Vec<Change>, git2::Error> {
    let (before, after) = (list(repository, from)?, list(repository, to)?);
    let mut changes = BTreeMap::new();
    for (path, file) in &before {
        if after.get(path) != Some(file) {
            let after = after.get(path).map(|file| file.mode);
            changes.insert(path, Change { path: path.clone(), before: Some(file.mode), after });
        }
    }
    for (path, file) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
        changes.insert(path, Change { path: path.clone(), before: None, after: Some(file.mode) });
    }
    Ok(changes.into_values().collect())
}
