//! What an agent changed, as a patch that `git apply` takes.

use std::collections::HashMap;

use git2::{
    Delta, Diff, DiffDelta, DiffFindOptions, DiffFormat, DiffLineType, DiffOptions, Oid, Patch as FilePatch, Repository,
};

use super::snapshot::{Listing, Snapshot, SnapshotError, Snapshots, list, write_tree};
use crate::domain::patch::{ChangeStatus, ChangedFile, DiffSummary};

/// The content of `diff.patch` and its table of contents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) summary: DiffSummary,
    pub(crate) files: Vec<ChangedFile>,
}

const MAX_PATCH_BYTES: usize = 256 << 20;
/// Renames with changes are found by comparing every new file with every deleted one.
const MAX_RENAME_CANDIDATES: usize = 400;

impl Snapshots {
    /// The files that differ between `s1` (after setup) and `end`, written against `s0` (the source as it came), so that
    /// it applies to a clean checkout and holds nothing of what setup did. Blocks.
    pub(crate) fn patch(&self, s0: &Snapshot, s1: &Snapshot, end: &Snapshot) -> Result<Patch, SnapshotError> {
        let repository = self.repository()?;
        let wanted = wanted(&repository, s0, s1, end)?;
        write_patch(&repository, s0.tree, &wanted)
    }
}

/// The source with the changes between `s1` and `end`.
pub(super) fn wanted(
    repository: &Repository,
    s0: &Snapshot,
    s1: &Snapshot,
    end: &Snapshot,
) -> Result<Listing, git2::Error> {
    let (after_setup, at_end) = (list(repository, s1.tree)?, list(repository, end.tree)?);
    let changed = after_setup
        .iter()
        .filter(|(path, file)| at_end.get(*path) != Some(file))
        .map(|(path, _)| path)
        .chain(at_end.keys().filter(|path| !after_setup.contains_key(*path)))
        .filter(|path| !s1.is_unknown(path) && !end.is_unknown(path));
    let mut wanted = list(repository, s0.tree)?;
    for path in changed {
        replace(&mut wanted, path, &at_end);
    }
    Ok(wanted)
}

/// Puts `path` into `listing` as it is in `at_end`, and takes out what cannot be beside it: a file that is its folder
/// now, or the files of a folder that it was.
pub(super) fn replace(listing: &mut Listing, path: &[u8], at_end: &Listing) {
    let Some(file) = at_end.get(path) else {
        listing.remove(path);
        return;
    };
    for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
        listing.remove(&path[..end]);
    }
    let inside = [path, b"/"].concat();
    let beneath: Vec<_> = listing
        .range(inside.clone()..)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(&inside))
        .cloned()
        .collect();
    for path in beneath {
        listing.remove(&path);
    }
    listing.insert(path.to_vec(), *file);
}

pub(super) fn write_patch(repository: &Repository, from: Oid, wanted: &Listing) -> Result<Patch, SnapshotError> {
    let mut patch = Patch::default();
    for diff in diffs(repository, from, wanted)? {
        patch.add(&diff)?;
    }
    Ok(patch)
}

/// A file that becomes a link, or a link that becomes a file, is deleted and made anew: `git apply` takes it in no other
/// way, and libgit2, once it looks for renames, writes it as one change. So there are two diffs, by way of a tree without
/// these paths.
pub(super) fn diffs<'a>(repository: &'a Repository, from: Oid, wanted: &Listing) -> Result<[Diff<'a>; 2], git2::Error> {
    let before = list(repository, from)?;
    let is_retyped =
        |path: &Vec<u8>, mode: u32| before.get(path).is_some_and(|file| is_link(file.mode) != is_link(mode));
    let mut between = wanted.clone();
    between.retain(|path, file| !is_retyped(path, file.mode));
    let to = write_tree(repository, wanted)?;
    let by_way_of = if between.len() == wanted.len() { to } else { write_tree(repository, &between)? };

    let mut first = diff(repository, from, by_way_of)?;
    let mut renames = DiffFindOptions::new();
    renames.renames(true).rename_limit(MAX_RENAME_CANDIDATES);
    first.find_similar(Some(&mut renames))?;
    Ok([first, diff(repository, by_way_of, to)?])
}

fn diff(repository: &Repository, from: Oid, to: Oid) -> Result<Diff<'_>, git2::Error> {
    let mut options = DiffOptions::new();
    options.show_binary(true).id_abbrev(40).indent_heuristic(true);
    let (from, to) = (repository.find_tree(from)?, repository.find_tree(to)?);
    repository.diff_tree_to_tree(Some(&from), Some(&to), Some(&mut options))
}

fn is_link(mode: u32) -> bool {
    mode == 0o120_000
}

impl Patch {
    fn add(&mut self, diff: &Diff<'_>) -> Result<(), SnapshotError> {
        print(diff, &mut self.bytes)?;
        let earlier: HashMap<String, usize> =
            self.files.iter().enumerate().map(|(at, file)| (file.path.clone(), at)).collect();
        for (at, delta) in diff.deltas().enumerate() {
            let file = changed_file(diff, at, &delta)?;
            self.summary.insertions += file.insertions;
            self.summary.deletions += file.deletions;
            let first_half = earlier.get(&file.path).and_then(|at| self.files.get_mut(*at));
            if let Some(first_half) = first_half.filter(|first_half| first_half.status == ChangeStatus::Deleted) {
                // Deleted as a file and made anew as a link, or the other way round.
                first_half.status = ChangeStatus::Modified;
                first_half.insertions += file.insertions;
                first_half.binary |= file.binary;
            } else {
                self.summary.files += 1;
                self.files.push(file);
            }
        }
        Ok(())
    }
}

fn print(diff: &Diff<'_>, bytes: &mut Vec<u8>) -> Result<(), SnapshotError> {
    let printed = diff.print(DiffFormat::Patch, |delta, _, line| {
        // A binary file of which only the name or the mode changed: libgit2 says that it differs, and git apply then
        // asks for a content that is not there.
        if line.origin_value() == DiffLineType::Binary && delta.old_file().id() == delta.new_file().id() {
            return true;
        }
        // The other lines, headers and binary data, come with everything they need.
        if matches!(line.origin(), ' ' | '+' | '-') {
            bytes.extend(line.origin().to_string().as_bytes());
        }
        bytes.extend_from_slice(line.content());
        bytes.len() <= MAX_PATCH_BYTES
    });
    if bytes.len() > MAX_PATCH_BYTES {
        return Err(SnapshotError::PatchTooLarge { limit: MAX_PATCH_BYTES });
    }
    Ok(printed?)
}

fn changed_file(diff: &Diff<'_>, at: usize, delta: &DiffDelta<'_>) -> Result<ChangedFile, SnapshotError> {
    let path = |file: git2::DiffFile<'_>| {
        file.path_bytes().map(|path| String::from_utf8_lossy(path).into_owned()).unwrap_or_default()
    };
    let status = match delta.status() {
        Delta::Added => ChangeStatus::Added,
        Delta::Deleted => ChangeStatus::Deleted,
        Delta::Renamed => ChangeStatus::Renamed,
        _ => ChangeStatus::Modified,
    };
    let file_patch = FilePatch::from_diff(diff, at)?;
    let (_, insertions, deletions) = file_patch.as_ref().map_or(Ok((0, 0, 0)), FilePatch::line_stats)?;
    // Only the diff of the file itself knows.
    let binary = file_patch.is_some_and(|patch| patch.delta().flags().is_binary());
    Ok(ChangedFile {
        path: path(delta.new_file()),
        old_path: (status == ChangeStatus::Renamed).then(|| path(delta.old_file())),
        status,
        insertions: insertions as u64,
        deletions: deletions as u64,
        binary,
    })
}
