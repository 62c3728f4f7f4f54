//! Trees of a task's code as they were at certain moments, kept in a bare repository of the server's own that no
//! container ever sees. libgit2 on such a repository runs no hook, filter or other program.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use git2::{Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, RepositoryInitOptions};

use super::stat_cache::StatCache;
use super::walk::{Walk, Walked};
use crate::config;

/// The snapshots of one task. Everything here blocks.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    git_dir: PathBuf,
}

/// The code at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    #[serde(with = "hexadecimal")]
    pub(super) tree: Oid,
    /// What a person should know is missing, a bounded number of them.
    pub(crate) skipped: Vec<Skipped>,
    /// Files and bytes that were looked at.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// New files beyond the limits were not looked at.
    pub(crate) is_truncated: bool,
}

/// Something that is there but not in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Skipped {
    /// Without a leading slash; bytes.
    pub(crate) path: Vec<u8>,
    pub(crate) reason: SkipReason,
}

mod hexadecimal {
    use git2::Oid;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(id: &Oid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Oid, D::Error> {
        Oid::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            SkipReason::Special => "not a regular file",
            SkipReason::TooLarge => "too large",
            SkipReason::TooDeep => "too deep",
            SkipReason::Unreadable => "cannot be read",
            SkipReason::ReservedName => "git takes no such name",
        };
        write!(formatter, "{:?}: {reason}", String::from_utf8_lossy(&self.path))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SkipReason {
    /// A FIFO, a socket or a device.
    Special,
    TooLarge,
    TooDeep,
    /// No permission, or it changed while it was read.
    Unreadable,
    /// Git takes no file of such a name: a spelling of `.git`.
    ReservedName,
}

/// How much a snapshot may hold.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the limits of a clone and of an archive have the same names")]
pub(crate) struct SnapshotLimits {
    pub(crate) max_files: u64,
    pub(crate) max_bytes: u64,
    /// A larger file is skipped.
    pub(crate) max_file_bytes: u64,
}

/// What the source may hold bounds what is looked at later, too; setup and agent may add as much again.
impl From<&config::Source> for SnapshotLimits {
    fn from(settings: &config::Source) -> Self {
        Self { max_files: settings.max_files * 2, max_bytes: settings.max_unpacked_bytes * 2, ..Self::default() }
    }
}

impl Default for SnapshotLimits {
    fn default() -> Self {
        Self { max_files: 100_000, max_bytes: 2 << 30, max_file_bytes: 100 << 20 }
    }
}

/// A file of a snapshot: its mode in git's terms (100644, 100755, 120000) and its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeFile {
    pub(crate) mode: u32,
    pub(super) id: Oid,
}

/// All files of a snapshot by path.
pub(crate) type Listing = BTreeMap<Vec<u8>, TreeFile>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("the snapshots of the task cannot be read or written: {0}")]
    Git(#[from] git2::Error),
    #[error("the code of the task cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error(
        "the code has more than {limit} files; leave out dependencies and build results, or raise [source] max_files"
    )]
    TooManyFiles { limit: u64 },
    #[error(
        "the code is larger than {limit} bytes; leave out dependencies and build results, or raise [source] max_unpacked_bytes"
    )]
    TooManyBytes { limit: u64 },
    #[error("the changes are larger than {limit} bytes; ask for fewer generated files")]
    PatchTooLarge { limit: usize },
    #[error("{path} would be a file and a folder at once; leave out both changes, or neither")]
    Contradiction { path: String },
}

impl Snapshots {
    /// Makes the repository at `git_dir`, or takes the one that is there.
    pub(crate) fn create(git_dir: &Path) -> Result<Self, SnapshotError> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).mkpath(true).external_template(false);
        let repository = Repository::init_opts(git_dir, &options)?;
        let mut config = repository.config()?;
        // Objects live as long as the task: speed is worth more than size.
        config.set_i32("core.looseCompression", 1)?;
        config.set_str("core.attributesFile", "/dev/null")?;
        // Attributes could hide a change from the patch; these outrank any others, and there are none.
        fs::create_dir_all(git_dir.join("info"))?;
        fs::write(git_dir.join("info/attributes"), "* !diff !text !eol !working-tree-encoding\n")?;
        Self::open(git_dir)
    }

    pub(crate) fn open(git_dir: &Path) -> Result<Self, SnapshotError> {
        Repository::open_bare(git_dir)?;
        Ok(Self { git_dir: git_dir.to_owned() })
    }

    /// Records the tree beneath `code` as it is, without `.git` at any depth.
    ///
    /// Without a base everything is taken, and too much of it is an error. With one, the files of the base are always
    /// looked at; of the others not those that the base's `.gitignore` files exclude, nor well-known build results, nor
    /// those beyond the limits. No process that has a file of the tree mapped for writing may be alive.
    pub(crate) fn take(
        &self,
        code: &Path,
        base: Option<&Snapshot>,
        limits: &SnapshotLimits,
    ) -> Result<Snapshot, SnapshotError> {
        let mut index = StatCache::start(&self.stat_cache())?;
        let snapshot = self.look(code, base, limits, &mut index)?;
        // Without the cache the next snapshot is slower, no more.
        if let Err(error) = index.write() {
            tracing::warn!(%error, "the cache of a snapshot is lost");
        }
        Ok(snapshot)
    }

    /// The same while the tree may be changing: a file caught in the middle of a write may be missing or half done, and
    /// nothing of this is remembered for later snapshots, which therefore stay exact.
    pub(crate) fn glance(
        &self,
        code: &Path,
        base: &Snapshot,
        limits: &SnapshotLimits,
    ) -> Result<Snapshot, SnapshotError> {
        self.look(code, Some(base), limits, &mut Index::new()?)
    }

    /// Puts everything recorded so far onto the disk, for whoever writes down that it is there. The whole file system is
    /// told at once: that takes milliseconds, and a word for each object would take one each.
    pub(crate) fn make_durable(&self) -> Result<(), SnapshotError> {
        rustix::fs::syncfs(fs::File::open(&self.git_dir)?).map_err(io::Error::from)?;
        Ok(())
    }

    /// All files of the snapshot.
    #[cfg(test)]
    pub(crate) fn list(&self, snapshot: &Snapshot) -> Result<Listing, SnapshotError> {
        Ok(list(&self.repository()?, snapshot.tree)?)
    }

    /// The content of one file, or where a link points; none if there is no such file.
    pub(crate) fn blob(&self, snapshot: &Snapshot, path: &[u8]) -> Result<Option<Vec<u8>>, SnapshotError> {
        let repository = self.repository()?;
        let Some(file) = file_at(&repository, snapshot.tree, path)? else { return Ok(None) };
        Ok(Some(repository.find_blob(file.id)?.content().to_vec()))
    }

    fn look(
        &self,
        code: &Path,
        base: Option<&Snapshot>,
        limits: &SnapshotLimits,
        index: &mut Index,
    ) -> Result<Snapshot, SnapshotError> {
        let repository = self.repository()?;
        let base = base.map(|base| Base::read(&repository, base)).transpose()?;
        let cache = StatCache::read(&self.stat_cache());
        let Walked { mut entries, skipped, bytes, is_truncated } =
            Walk::new(&repository, base.as_ref(), &cache, limits)?.run(code)?;
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let files = entries.len() as u64;
        for entry in &entries {
            index.add(entry)?;
        }
        let tree = index.write_tree_to(&repository)?;
        Ok(Snapshot { tree, skipped, files, bytes, is_truncated })
    }

    fn stat_cache(&self) -> PathBuf {
        self.git_dir.join("stat-cache")
    }

    pub(super) fn repository(&self) -> Result<Repository, SnapshotError> {
        Ok(Repository::open_bare(&self.git_dir)?)
    }
}

impl Snapshot {
    /// Whether the path was there but could not be recorded: its absence from the snapshot says nothing then.
    pub(super) fn is_unknown(&self, path: &[u8]) -> bool {
        self.skipped.iter().filter(|skipped| skipped.reason != SkipReason::Special).any(|skipped| {
            path.strip_prefix(skipped.path.as_slice()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        })
    }
}

/// The snapshot that another one is compared with.
pub(super) struct Base {
    pub(super) files: Listing,
    pub(super) folders: HashSet<Vec<u8>>,
}

impl Base {
    fn read(repository: &Repository, snapshot: &Snapshot) -> Result<Self, git2::Error> {
        let files = list(repository, snapshot.tree)?;
        let mut folders = HashSet::new();
        for path in files.keys() {
            let ends = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
            for end in ends {
                if !folders.insert(path[..end].to_vec()) {
                    break;
                }
            }
        }
        Ok(Self { files, folders })
    }
}

/// The file of this path, as the tree names it; a folder is none.
pub(super) fn file_at(repository: &Repository, tree: Oid, path: &[u8]) -> Result<Option<TreeFile>, git2::Error> {
    let mut tree = repository.find_tree(tree)?;
    let mut names = path.split(|&byte| byte == b'/').peekable();
    while let Some(name) = names.next() {
        let found = tree.iter().find(|entry| entry.name_bytes() == name);
        let Some((id, kind, mode)) = found.map(|entry| (entry.id(), entry.kind(), entry.filemode())) else { break };
        match kind {
            Some(ObjectType::Blob) if names.peek().is_none() => {
                return Ok(Some(TreeFile { mode: u32::try_from(mode).unwrap_or(0), id }));
            }
            Some(ObjectType::Tree) => tree = repository.find_tree(id)?,
            _ => break,
        }
    }
    Ok(None)
}

pub(super) fn list(repository: &Repository, tree: Oid) -> Result<Listing, git2::Error> {
    let mut listing = Listing::new();
    let mut folders = vec![(Vec::new(), tree)];
    while let Some((folder, id)) = folders.pop() {
        for entry in &repository.find_tree(id)? {
            let mut path = folder.clone();
            path.extend(entry.name_bytes());
            if entry.kind() == Some(ObjectType::Tree) {
                path.push(b'/');
                folders.push((path, entry.id()));
            } else {
                listing.insert(path, TreeFile { mode: u32::try_from(entry.filemode()).unwrap_or(0), id: entry.id() });
            }
        }
    }
    Ok(listing)
}

/// Writes a tree of these files, which are in order and do not contradict each other.
pub(super) fn write_tree(repository: &Repository, listing: &Listing) -> Result<Oid, git2::Error> {
    let mut index = Index::new()?;
    for (path, file) in listing {
        index.add(&index_entry(path.clone(), *file))?;
    }
    index.write_tree_to(repository)
}

/// An entry without anything to recognise the file on disk by.
pub(super) fn index_entry(path: Vec<u8>, file: TreeFile) -> IndexEntry {
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode: file.mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: file.id,
        flags: 0,
        flags_extended: 0,
        path,
    }
}
