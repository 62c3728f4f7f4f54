//! Files and hunks of what was changed, and the changes without some of them. The chosen files are put together from what they
//! were and what they became, and the patch is made anew from that: so it applies.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use git2::{Delta, Diff, Patch as FilePatch};
use sha2::{Digest, Sha256};

use super::{
    changes::KeptChanges,
    patch::{Patch, diffs, write_patch},
    snapshot::{Listing, SnapshotError, TreeFile, write_tree},
};
use crate::domain::{
    choice::{FileChoice, HunkChoice, LeftOut},
    patch::ChangeStatus,
};

/// A hunk as two runs of lines, counted from zero.
struct Part {
    id: String,
    choice: HunkChoice,
    old: std::ops::Range<usize>,
    new: std::ops::Range<usize>,
}

/// A file of the patch.
struct File {
    id: String,
    path: Vec<u8>,
    old_path: Vec<u8>,
    status: ChangeStatus,
    parts: Vec<Part>,
}

const SHOWN_HEADING: usize = 200;

impl KeptChanges {
    /// What can be left out; none of changes that were kept by an older version. Blocks.
    pub(crate) fn choices(&self, left_out: &LeftOut) -> Result<Option<Vec<FileChoice>>, SnapshotError> {
        let Some(before) = &self.before else { return Ok(None) };
        let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        let choice = |file: File| FileChoice {
            left_out: left_out.contains(&file.id),
            id: file.id,
            path: text(&file.path),
            old_path: (file.path != file.old_path).then(|| text(&file.old_path)),
            status: file.status,
            hunks: file
                .parts
                .into_iter()
                .map(|part| HunkChoice { left_out: left_out.contains(&part.id), ..part.choice })
                .collect(),
        };
        Ok(Some(self.files_of_patch(before)?.into_iter().map(choice).collect()))
    }

    /// The changes without what is left out. Blocks.
    pub(crate) fn choose(self, left_out: &LeftOut) -> Result<Self, SnapshotError> {
        let Some(before) = self.before.clone().filter(|_| !left_out.is_empty()) else { return Ok(self) };
        let mut now = self.changed.clone();
        for file in self.files_of_patch(&before)? {
            if left_out.contains(&file.id) {
                now.remove(&file.path);
                now.extend(before.get(&file.old_path).map(|came| (file.old_path.clone(), *came)));
            } else if file.parts.iter().any(|part| left_out.contains(&part.id)) {
                let (Some(came), Some(became)) = (before.get(&file.old_path), now.get(&file.path).copied()) else {
                    continue;
                };
                let id = self.put_together(*came, became, &file.parts, left_out)?;
                now.insert(file.path, TreeFile { id, ..became });
            }
        }
        if let Some(path) = contradiction(&now) {
            return Err(SnapshotError::Contradiction { path: String::from_utf8_lossy(path).into_owned() });
        }
        let differing = |files: &Listing, others: &Listing| -> Listing {
            let differs = |(path, file): &(&Vec<u8>, &TreeFile)| others.get(*path) != Some(*file);
            files.iter().filter(differs).map(|(path, file)| (path.clone(), *file)).collect()
        };
        let (changed, was) = (differing(&now, &before), differing(&before, &now));
        let deleted =
            was.iter().filter(|(path, _)| !now.contains_key(*path)).map(|(path, file)| (path.clone(), *file)).collect();
        Ok(Self { repository: self.repository, before: Some(was), changed, deleted })
    }

    /// Blocks.
    pub(crate) fn patch(&self) -> Result<Patch, SnapshotError> {
        let before = self.before.clone().unwrap_or_default();
        write_patch(&self.repository, write_tree(&self.repository, &before)?, &self.changed)
    }

    fn files_of_patch(&self, before: &Listing) -> Result<Vec<File>, SnapshotError> {
        let from = write_tree(&self.repository, before)?;
        let mut files: BTreeMap<Vec<u8>, File> = BTreeMap::new();
        for diff in diffs(&self.repository, from, &self.changed)? {
            for (at, delta) in diff.deltas().enumerate() {
                let path = |file: git2::DiffFile<'_>| file.path_bytes().unwrap_or_default().to_vec();
                let (old_path, path) = (path(delta.old_file()), path(delta.new_file()));
                let status = match delta.status() {
                    Delta::Added => ChangeStatus::Added,
                    Delta::Deleted => ChangeStatus::Deleted,
                    Delta::Renamed => ChangeStatus::Renamed,
                    _ => ChangeStatus::Modified,
                };
                if let Some(first_half) = files.get_mut(&path) {
                    // Deleted as a file and made anew as a link, or the other way round.
                    first_half.status = ChangeStatus::Modified;
                    continue;
                }
                let (came, became) = (before.get(&old_path), self.changed.get(&path));
                let id = id_of(&[b"file", &old_path, &path, format!("{came:?} {became:?}").as_bytes()]);
                let is_moved = came.map(|file| file.mode) != became.map(|file| file.mode) || path != old_path;
                let mut parts = match status {
                    ChangeStatus::Modified | ChangeStatus::Renamed => parts(&diff, at, &path)?,
                    ChangeStatus::Added | ChangeStatus::Deleted => Vec::new(),
                };
                if parts.len() == 1 && !is_moved {
                    // The only one is the file.
                    parts.clear();
                }
                files.insert(path.clone(), File { id, path, old_path, status, parts });
            }
        }
        Ok(files.into_values().collect())
    }

    fn put_together(
        &self,
        came: TreeFile,
        became: TreeFile,
        parts: &[Part],
        left_out: &LeftOut,
    ) -> Result<git2::Oid, git2::Error> {
        let (old, new) = (self.repository.find_blob(came.id)?, self.repository.find_blob(became.id)?);
        let lines = |bytes| <[u8]>::split_inclusive(bytes, |byte| *byte == b'\n').collect::<Vec<_>>();
        let (old, new): (Vec<&[u8]>, Vec<&[u8]>) = (lines(old.content()), lines(new.content()));
        let (mut content, mut at): (Vec<&[u8]>, usize) = (Vec::new(), 0);
        for part in parts {
            content.extend_from_slice(old.get(at..part.old.start).unwrap_or_default());
            let (side, range) = if left_out.contains(&part.id) { (&old, &part.old) } else { (&new, &part.new) };
            content.extend_from_slice(side.get(range.clone()).unwrap_or_default());
            at = part.old.end;
        }
        content.extend_from_slice(old.get(at..).unwrap_or_default());
        self.repository.blob(&content.concat())
    }
}

fn parts(diff: &Diff<'_>, at: usize, path: &[u8]) -> Result<Vec<Part>, git2::Error> {
    let Some(file) = FilePatch::from_diff(diff, at)? else { return Ok(Vec::new()) };
    let mut parts: Vec<Part> = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..file.num_hunks() {
        let (hunk, lines) = file.hunk(number)?;
        let range = |start: u32, lines: u32| {
            // Of no lines, the number is that of the line before.
            let start = if lines == 0 { start } else { start.saturating_sub(1) } as usize;
            start..start + lines as usize
        };
        let (old, new) = (range(hunk.old_start(), hunk.old_lines()), range(hunk.new_start(), hunk.new_lines()));
        let heading: String = String::from_utf8_lossy(hunk.header()).trim_end().chars().take(SHOWN_HEADING).collect();
        let (mut text, mut insertions, mut deletions) = (Vec::new(), 0, 0);
        for line in 0..lines {
            let line = file.line_in_hunk(number, line)?;
            match line.origin() {
                '+' => insertions += 1,
                '-' => deletions += 1,
                _ => {}
            }
            text.extend(line.origin().to_string().as_bytes());
            text.extend_from_slice(line.content());
        }
        // The same change in several places: the first of them, the second…
        let alike = id_of(&[b"hunk", path, &text]);
        let nth = seen.entry(alike.clone()).and_modify(|nth| *nth += 1).or_default();
        let id = id_of(&[alike.as_bytes(), nth.to_string().as_bytes()]);
        let choice = HunkChoice { id: id.clone(), heading, insertions, deletions, left_out: false };
        parts.push(Part { id, choice, old, new });
    }
    Ok(parts)
}

/// A file beneath a file.
fn contradiction(files: &Listing) -> Option<&[u8]> {
    files.keys().find_map(|path| {
        let mut folders = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &path[..end]);
        folders.find(|folder| files.contains_key(*folder))
    })
}

fn id_of(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    HEXLOWER.encode(&hash.finalize()[..8])
}
