//! A file of a patch in words: its name, what happened to it, and which of its lines are on the page.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::image::Images;
use crate::{
    diff::{Change, FileEntry, FileKind, Piece},
    domain::choice::FileChoice,
    web::pages::{figures, remarks::Said},
};

#[derive(Debug)]
pub(in crate::web::pages) struct FileView {
    /// Its place in the patch, from one.
    pub(in crate::web::pages) n: usize,
    /// Names the file in links to it and its lines; the same as long as its path is.
    pub(in crate::web::pages) anchor: String,
    pub(in crate::web::pages) path: String,
    pub(in crate::web::pages) old_path: Option<String>,
    /// What the lines do not say.
    pub(in crate::web::pages) tags: Vec<String>,
    pub(in crate::web::pages) insertions: u64,
    pub(in crate::web::pages) deletions: u64,
    pub(in crate::web::pages) rows: usize,
    /// All its text is in the patch.
    pub(super) is_new_text: bool,
}

/// A file on the page.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) file: FileView,
    pub(super) is_open: bool,
    pub(super) slots: Vec<Slot>,
    pub(super) images: Option<Images>,
    /// Remarks that wait to be sent.
    pub(super) said: Vec<Said>,
    /// What of it can be left out.
    pub(super) choice: Option<FileChoice>,
}

/// A run of its lines.
#[derive(Debug)]
pub(super) enum Slot {
    Lines(Piece),
    /// Comes when it is looked at.
    Later {
        from: usize,
        rows: usize,
    },
}

/// Lines that come at once: few enough for a browser to lay out between two frames.
pub(super) const PIECE_ROWS: usize = 200;

impl FileView {
    pub(in crate::web::pages) fn of(entry: &FileEntry, n: usize) -> Self {
        let header = &entry.header;
        Self {
            n,
            anchor: anchor(header.path(), header.change),
            path: header.path().to_owned(),
            old_path: header.old_path_if_moved().map(str::to_owned),
            tags: tags(entry),
            insertions: entry.insertions,
            deletions: entry.deletions,
            rows: entry.rows,
            is_new_text: Self::is_new_text(entry),
        }
    }

    pub(super) fn is_new_text(entry: &FileEntry) -> bool {
        entry.header.change == Change::Added && entry.header.kind() == FileKind::File && entry.rows > 0
    }

    pub(in crate::web::pages) fn has_counts(&self) -> bool {
        self.insertions + self.deletions > 0
    }

    /// What a run of its lines is called.
    pub(super) fn lines(&self, from: usize, rows: usize) -> String {
        let [first, last, all] = [from + 1, from + rows, self.rows].map(|count| figures::count(count as u64));
        tr!("Lines {first} to {last} of {all}", first = first, last = last, all = all)
    }

    pub(in crate::web::pages) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Slot {
    pub(super) fn later(rows: usize, each: usize) -> Vec<Self> {
        (0..rows).step_by(each).map(|from| Self::Later { from, rows: each.min(rows - from) }).collect()
    }
}

/// A file that becomes a link is deleted and made anew in one patch: the two have names of their own.
fn anchor(path: &str, change: Change) -> String {
    let mut hash = Sha256::new_with_prefix(path);
    if change == Change::Deleted {
        hash.update(b"\0");
    }
    format!("f{}", &HEXLOWER.encode(&hash.finalize())[..8])
}

fn tags(entry: &FileEntry) -> Vec<String> {
    let header = &entry.header;
    let kind = match header.kind() {
        FileKind::File => None,
        FileKind::Symlink => Some(tr!("symbolic link").to_owned()),
        FileKind::Submodule => Some(tr!("submodule").to_owned()),
    };
    let change = match header.change {
        Change::Modified => None,
        Change::Added => Some(tr!("new file").to_owned()),
        Change::Deleted => Some(tr!("deleted").to_owned()),
        Change::Renamed => Some(tr!("renamed").to_owned()),
        Change::Copied => Some(tr!("copied").to_owned()),
    };
    let mode = header.modes().map(|(old, new)| match (old, new) {
        ("100644", "100755") => tr!("now executable").to_owned(),
        ("100755", "100644") => tr!("no longer executable").to_owned(),
        _ => tr!("mode {old} → {new}", old = old, new = new),
    });
    let binary = header.binary.as_ref().map(|binary| {
        let sizes = binary.sizes();
        match (
            sizes.before.filter(|_| header.change != Change::Added),
            sizes.after.filter(|_| header.change != Change::Deleted),
        ) {
            (Some(before), Some(after)) => {
                tr!("binary, {before} → {after}", before = figures::bytes(before), after = figures::bytes(after))
            }
            (Some(size), None) | (None, Some(size)) => tr!("binary, {size}", size = figures::bytes(size)),
            (None, None) => tr!("binary").to_owned(),
        }
    });
    let ends = entry.has_crlf.then(|| tr!("CR LF line ends").to_owned());
    [change, kind, mode, binary, ends].into_iter().flatten().collect()
}
