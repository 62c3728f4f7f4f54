//! Reads a tree that an agent wrote. Nothing is followed out of it, nothing is waited for, nothing recurses: folders and
//! files are opened beneath one handle by the kernel's rules (openat2), and only regular files are read.

use std::ffi::CStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use git2::{IndexEntry, ObjectType, Odb, Oid, Repository};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2, readlinkat, statat};
use rustix::io::Errno;

use super::ignore_rules::IgnoreRules;
use super::reserved_names::is_reserved;
use super::snapshot::{Base, SkipReason, Skipped, SnapshotError, SnapshotLimits, TreeFile, index_entry};
use super::stat_cache::StatCache;
use crate::wall_clock;

/// What was found.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) entries: Vec<IndexEntry>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) bytes: u64,
    pub(super) is_truncated: bool,
}

pub(super) struct Walk<'a> {
    odb: Odb<'a>,
    base: Option<&'a Base>,
    cache: &'a StatCache,
    limits: &'a SnapshotLimits,
    found: Walked,
    looked_at: u64,
}

struct Folder {
    /// Empty for the root, else it ends with a slash.
    path: Vec<u8>,
    depth: usize,
    rules: IgnoreRules,
    /// Only what the base holds is looked at.
    is_ignored: bool,
}

const MAX_DEPTH: usize = 128;
const MAX_SKIPPED: usize = 200;
/// Files, folders and links that are new; a tree of more is not searched for new ones any further.
const MAX_LOOKED_AT: u64 = 500_000;
const MAX_GITIGNORE_BYTES: usize = 1 << 20;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

impl<'a> Walk<'a> {
    pub(super) fn new(
        repository: &'a Repository,
        base: Option<&'a Base>,
        cache: &'a StatCache,
        limits: &'a SnapshotLimits,
    ) -> Result<Self, SnapshotError> {
        Ok(Self { odb: repository.odb()?, base, cache, limits, found: Walked::default(), looked_at: 0 })
    }

    pub(super) fn run(mut self, code: &Path) -> Result<Walked, SnapshotError> {
        let root = open(code, READ | OFlags::DIRECTORY, Mode::empty()).map_err(io::Error::from)?;
        let rules = self.rules_of(b"", &IgnoreRules::default())?;
        let mut folders = vec![Folder { path: Vec::new(), depth: 0, rules, is_ignored: false }];
        while let Some(folder) = folders.pop() {
            let name = folder.path.strip_suffix(b"/").unwrap_or(b".");
            let opened = openat2(&root, name, READ | OFlags::DIRECTORY, Mode::empty(), BENEATH)
                .and_then(|handle| Dir::read_from(&handle).map(|entries| (handle, entries)));
            match opened {
                Ok((handle, entries)) => self.enter(&folder, handle.as_fd(), entries, &mut folders)?,
                Err(error) if folder.path.is_empty() => return Err(io::Error::from(error).into()),
                Err(Errno::NOENT) => {}
                Err(_) => self.skip(name, SkipReason::Unreadable),
            }
        }
        Ok(self.found)
    }

    fn enter(
        &mut self,
        folder: &Folder,
        handle: BorrowedFd<'_>,
        entries: Dir,
        folders: &mut Vec<Folder>,
    ) -> Result<(), SnapshotError> {
        for entry in entries {
            let Ok(entry) = entry else {
                self.skip(folder.path.strip_suffix(b"/").unwrap_or(b""), SkipReason::Unreadable);
                return Ok(());
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b".." | b".git") {
                continue;
            }
            let path = [&folder.path, name.to_bytes()].concat();
            let is_known = self.is_known(&path);
            if !is_known && (folder.is_ignored || !self.has_room()) {
                continue;
            }
            let Ok(stat) = statat(handle, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let kind = FileType::from_raw_mode(stat.st_mode);
            let is_folder = kind == FileType::Directory;
            let is_ignored = self.base.is_some()
                && (folder.is_ignored
                    || folder.rules.ignores(&path, is_folder)
                    || is_folder && is_cargo_target(handle, name));
            if is_ignored && !is_known {
                continue;
            }
            if is_reserved(name.to_bytes(), kind == FileType::Symlink) {
                self.skip(&path, SkipReason::ReservedName);
                continue;
            }
            match kind {
                FileType::Directory if folder.depth == MAX_DEPTH => self.skip(&path, SkipReason::TooDeep),
                FileType::Directory => {
                    let mut path = path;
                    path.push(b'/');
                    let rules = self.rules_of(&path, &folder.rules)?;
                    // What the base holds of an ignored folder is looked at, what is new in it is not.
                    folders.push(Folder { path, depth: folder.depth + 1, rules, is_ignored });
                }
                FileType::RegularFile => self.add_file(handle, name, &path, &stat)?,
                FileType::Symlink => self.add_link(handle, name, &path)?,
                _ => self.skip(&path, SkipReason::Special),
            }
        }
        Ok(())
    }

    fn add_file(&mut self, folder: BorrowedFd<'_>, name: &CStr, path: &[u8], stat: &Stat) -> Result<(), SnapshotError> {
        let mode = git_mode(stat);
        if let Some(id) = self.cache.content(path, stat, mode) {
            // Remembered once, so it had settled then.
            let entry = StatCache::entry(path, stat, TreeFile { mode, id }, wall_clock::of_files());
            return self.add(entry, size(stat));
        }
        if size(stat) > self.limits.max_file_bytes {
            self.skip(path, SkipReason::TooLarge);
            return Ok(());
        }
        let read_at = wall_clock::of_files();
        // It may have become a FIFO or a link just now: neither is waited for or followed.
        let opened = openat2(folder, name, READ | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty(), BENEATH)
            .and_then(|file| fstat(&file).map(|stat| (file, stat)));
        let (file, before) = match opened {
            Ok((file, stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => (file, stat),
            Err(Errno::NOENT) => return Ok(()),
            _ => {
                self.skip(path, SkipReason::Unreadable);
                return Ok(());
            }
        };
        match self.store(file, size(&before)) {
            Ok((id, after)) if is_same(&before, &after) => {
                let file = TreeFile { mode: git_mode(&before), id };
                self.add(StatCache::entry(path, &before, file, read_at), size(&before))
            }
            Ok(_) | Err(StoreError::Read) => {
                self.skip(path, SkipReason::Unreadable);
                Ok(())
            }
            Err(StoreError::Write(error)) => Err(error.into()),
        }
    }

    fn add_link(&mut self, folder: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<(), SnapshotError> {
        match readlinkat(folder, name, Vec::new()) {
            Ok(target) => {
                let id = self.odb.write(ObjectType::Blob, target.to_bytes())?;
                self.add(index_entry(path.to_vec(), TreeFile { mode: 0o120_000, id }), 0)
            }
            Err(Errno::NOENT) => Ok(()),
            Err(_) => {
                self.skip(path, SkipReason::Unreadable);
                Ok(())
            }
        }
    }

    /// Writes exactly `size` bytes of the file into the repository.
    fn store(&self, file: OwnedFd, size: u64) -> Result<(Oid, Stat), StoreError> {
        let mut file = std::fs::File::from(file);
        let length = usize::try_from(size).map_err(|_| StoreError::Read)?;
        let id = if length <= CHUNK_BYTES {
            let mut content = vec![0; length];
            file.read_exact(&mut content).map_err(|_| StoreError::Read)?;
            self.odb.write(ObjectType::Blob, &content)?
        } else {
            let mut writer = self.odb.writer(length, ObjectType::Blob)?;
            let mut chunk = vec![0; CHUNK_BYTES];
            let mut left = length;
            while left > 0 {
                let part = &mut chunk[..left.min(CHUNK_BYTES)];
                file.read_exact(part).map_err(|_| StoreError::Read)?;
                writer.write_all(part).map_err(|error| git2::Error::from_str(&error.to_string()))?;
                left -= part.len();
            }
            writer.finalize()?
        };
        Ok((id, fstat(&file).map_err(|_| StoreError::Read)?))
    }

    fn add(&mut self, entry: IndexEntry, bytes: u64) -> Result<(), SnapshotError> {
        self.found.bytes += bytes;
        self.found.entries.push(entry);
        // With a base the files it holds are all looked at; new ones find no room.
        if self.base.is_none() && self.found.entries.len() as u64 > self.limits.max_files {
            return Err(SnapshotError::TooManyFiles { limit: self.limits.max_files });
        }
        if self.base.is_none() && self.found.bytes > self.limits.max_bytes {
            return Err(SnapshotError::TooManyBytes { limit: self.limits.max_bytes });
        }
        Ok(())
    }

    fn is_known(&self, path: &[u8]) -> bool {
        self.base.is_some_and(|base| base.files.contains_key(path) || base.folders.contains(path))
    }

    /// Whether one more that is not in the base is looked at.
    fn has_room(&mut self) -> bool {
        if self.base.is_none() {
            return true;
        }
        self.looked_at += 1;
        let has_room = self.looked_at <= MAX_LOOKED_AT
            && self.found.bytes < self.limits.max_bytes
            && (self.found.entries.len() as u64) < self.limits.max_files;
        self.found.is_truncated |= !has_room;
        has_room
    }

    /// The rules for what lies in a folder: with the `.gitignore` that the base has there.
    fn rules_of(&self, folder: &[u8], above: &IgnoreRules) -> Result<IgnoreRules, SnapshotError> {
        let path = [folder, b".gitignore"].concat();
        let Some(file) = self.base.and_then(|base| base.files.get(&path)).filter(|file| file.mode != 0o120_000) else {
            return Ok(above.clone());
        };
        match self.odb.read_header(file.id)? {
            (size, _) if size > MAX_GITIGNORE_BYTES => Ok(above.clone()),
            _ => Ok(above.with(folder, self.odb.read(file.id)?.data())),
        }
    }

    fn skip(&mut self, path: &[u8], reason: SkipReason) {
        if self.found.skipped.len() < MAX_SKIPPED {
            self.found.skipped.push(Skipped { path: path.to_vec(), reason });
        } else {
            self.found.is_truncated = true;
        }
    }
}

/// Files up to this size are read as a whole, larger ones in parts of it.
const CHUNK_BYTES: usize = 1 << 20;

enum StoreError {
    Read,
    Write(git2::Error),
}

impl From<git2::Error> for StoreError {
    fn from(error: git2::Error) -> Self {
        Self::Write(error)
    }
}

/// `target` is a common word; beside a `Cargo.toml` it is a build result.
fn is_cargo_target(folder: BorrowedFd<'_>, name: &CStr) -> bool {
    name == c"target" && statat(folder, c"Cargo.toml", AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn git_mode(stat: &Stat) -> u32 {
    if stat.st_mode & 0o100 == 0 { 0o100_644 } else { 0o100_755 }
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn is_same(before: &Stat, after: &Stat) -> bool {
    let stamp = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec);
    stamp(before) == stamp(after)
}
