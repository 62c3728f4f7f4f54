//! The files of a folder as a person would count them: without `.git`, without what `.gitignore` names, no link followed.
//!
//! The rules of `.gitignore` are ripgrep's, from the crate `ignore`. The walk is our own: its walker opens paths, this
//! one lets the kernel resolve every folder beneath the code directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::FileType;

use crate::workspace::{Entry, RelativePath, Workspace, WorkspaceError};

const LARGEST_IGNORE_FILE: u64 = 1 << 20;

/// Goes through a folder from top to bottom, names in order.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    workspace: &'a Workspace,
    /// The rules of the folders above the start, outermost first.
    above: Vec<Rules>,
    levels: Vec<Level>,
    depth: usize,
    /// Folders that could not be read.
    pub(super) unreadable: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    File(RelativePath),
    Link(RelativePath),
    /// One without anything to show in it, or deeper than asked for.
    Folder(RelativePath),
}

#[derive(Debug)]
struct Level {
    path: RelativePath,
    rules: Option<Rules>,
    entries: IntoIter<Entry>,
    /// Whether anything in it was found.
    fruitful: bool,
}

/// What the `.gitignore` of one folder says.
#[derive(Debug)]
struct Rules {
    folder: PathBuf,
    patterns: Gitignore,
}

impl<'a> Walk<'a> {
    /// Begins at a folder, whatever is said about the folder itself: it was asked for. With a depth of 1 it alone is read.
    pub(super) fn new(workspace: &'a Workspace, start: RelativePath, depth: usize) -> Result<Self, WorkspaceError> {
        let root = RelativePath::root();
        let parents = start.as_path().ancestors().skip(1).map(|parent| root.join(parent));
        let mut above: Vec<Rules> = parents.filter_map(|parent| Rules::of(workspace, &parent)).collect();
        above.reverse();
        let mut walk = Self { workspace, above, levels: Vec::new(), depth, unreadable: 0 };
        walk.enter(start)?;
        Ok(walk)
    }

    fn enter(&mut self, path: RelativePath) -> Result<(), WorkspaceError> {
        let entries = self.workspace.entries(&path)?.into_iter();
        let rules = Rules::of(self.workspace, &path);
        self.levels.push(Level { path, rules, entries, fruitful: false });
        Ok(())
    }

    /// The innermost rule that says anything counts.
    fn is_ignored(&self, path: &Path, kind: FileType) -> bool {
        let inner = self.levels.iter().rev().filter_map(|level| level.rules.as_ref());
        let said = inner.chain(self.above.iter().rev()).find_map(|rules| rules.say(path, kind));
        said.unwrap_or(false)
    }
}

impl Iterator for Walk<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let depth = self.levels.len();
            let level = self.levels.last_mut()?;
            let Some(entry) = level.entries.next() else {
                let level = self.levels.pop()?;
                // The folder that was asked for says nothing by its own name.
                if !level.fruitful && !self.levels.is_empty() {
                    return Some(Found::Folder(level.path));
                }
                continue;
            };
            let path = level.path.join(&entry.name);
            if entry.name == OsStr::new(".git") || self.is_ignored(path.as_path(), entry.kind) {
                continue;
            }
            let found = match entry.kind {
                FileType::RegularFile => Found::File(path),
                FileType::Symlink => Found::Link(path),
                FileType::Directory if depth >= self.depth => Found::Folder(path),
                FileType::Directory => {
                    if self.enter(path).is_err() {
                        self.unreadable += 1;
                    }
                    if let Some(parent) = self.levels.get_mut(depth - 1) {
                        parent.fruitful = true;
                    }
                    continue;
                }
                // FIFOs, sockets and devices are no files of a project.
                _ => continue,
            };
            if let Some(level) = self.levels.last_mut() {
                level.fruitful = true;
            }
            return Some(found);
        }
    }
}

impl Rules {
    fn of(workspace: &Workspace, folder: &RelativePath) -> Option<Self> {
        let found = workspace.read(&folder.join(".gitignore"), LARGEST_IGNORE_FILE).ok()?;
        let mut builder = GitignoreBuilder::new(".");
        for line in String::from_utf8_lossy(&found.bytes).lines() {
            // git too skips a pattern that is none.
            let _ = builder.add_line(None, line);
        }
        let patterns = builder.build().ok()?;
        Some(Self { folder: folder.as_path().to_owned(), patterns })
    }

    fn say(&self, path: &Path, kind: FileType) -> Option<bool> {
        let beneath = path.strip_prefix(&self.folder).unwrap_or(path);
        match self.patterns.matched(beneath, kind == FileType::Directory) {
            Match::None => None,
            Match::Ignore(_) => Some(true),
            Match::Whitelist(_) => Some(false),
        }
    }
}
