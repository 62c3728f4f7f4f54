//! The code directory, as the tools may touch it: every path is resolved beneath it by the kernel, component by component.
//!
//! `openat2(2)` with `RESOLVE_BENEATH` decides what is inside, not a comparison of prefixes: links within the tree work,
//! whatever leads out of it fails, at the moment of opening and not a moment before.

mod change;

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat};
use rustix::io::Errno;

pub(crate) use change::{ChangeError, FileChange, NewContent};

/// `RESOLVE_BENEATH` gives up with `EAGAIN` when a directory is moved at the same moment.
const MOST_TRIES: usize = 16;

/// The code directory.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: OwnedFd,
    path: PathBuf,
}

/// A path relative to the code directory. Whether it stays inside is for the kernel to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelativePath(PathBuf);

/// A regular file as it was found.
#[derive(Debug)]
pub(crate) struct FoundFile {
    pub(crate) bytes: Vec<u8>,
    /// Permission bits, to be kept by [`Workspace::write`].
    pub(crate) mode: Mode,
    pub(crate) identity: Identity,
}

/// Device and inode: one file under two names is one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// One name in a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: FileType,
}

#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub(crate) struct WorkspaceError {
    path: String,
    pub(crate) problem: Problem,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("an empty path names no file")]
    Empty,
    #[error("outside of the code directory; paths are relative to it")]
    Outside,
    #[error("leads out of the code directory")]
    LeadsOut,
    #[error("no such file or directory")]
    Missing,
    #[error("is a directory")]
    IsDirectory,
    #[error("is not a directory, or a part of the path is not")]
    NotADirectory,
    #[error("is not a regular file but a {0}")]
    Special(&'static str),
    #[error("has {size} bytes, more than the {limit} this tool reads; use run_command with head, tail or sed")]
    TooLarge { size: u64, limit: u64 },
    #[error("is a symbolic link; remove or move it with run_command, or name the file it leads to")]
    Link,
    #[error("cannot be changed: the code is read-only in this task")]
    ReadOnly,
    #[error("this kernel or container runtime does not allow openat2 (Linux 5.6, Docker 20.10 or newer): {0}")]
    NoOpenat2(Errno),
    #[error("{0}")]
    Kernel(Errno),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Workspace {
    pub(crate) fn open(path: &Path) -> Result<Self, WorkspaceError> {
        let fail = |problem| WorkspaceError { path: path.display().to_string(), problem };
        let path = std::path::absolute(path).map_err(|error| fail(error.into()))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, &path, flags, Mode::empty()).map_err(|errno| fail(errno.into()))?;
        let workspace = Self { root, path };
        match workspace.beneath(Path::new("."), flags) {
            Ok(_) => Ok(workspace),
            Err(errno @ (Errno::NOSYS | Errno::PERM)) => Err(fail(Problem::NoOpenat2(errno))),
            Err(errno) => Err(fail(errno.into())),
        }
    }

    /// Reads a path as a model writes it: relative, or absolute under the code directory.
    pub(crate) fn locate(&self, text: &str) -> Result<RelativePath, WorkspaceError> {
        let fail = |problem| Err(WorkspaceError { path: text.to_owned(), problem });
        let path = Path::new(text);
        match path.strip_prefix(&self.path) {
            _ if text.is_empty() => fail(Problem::Empty),
            Ok(beneath) => Ok(RelativePath::new(beneath)),
            Err(_) if path.has_root() => fail(Problem::Outside),
            Err(_) => Ok(RelativePath::new(path)),
        }
    }

    /// Reads a whole file of at most `limit` bytes. Links inside the tree are followed.
    pub(crate) fn read(&self, path: &RelativePath, limit: u64) -> Result<FoundFile, WorkspaceError> {
        let read = || {
            let (file, stat) = self.open_regular(path, limit)?;
            let mut bytes = Vec::new();
            file.take(limit + 1).read_to_end(&mut bytes)?;
            // Also of a file that grows while it is read, or lies about its size as those of /proc do.
            let size = bytes.len() as u64;
            if size > limit {
                return Err(Problem::TooLarge { size, limit });
            }
            let identity = Identity(stat.st_dev, stat.st_ino);
            Ok(FoundFile { bytes, mode: Mode::from_raw_mode(stat.st_mode & 0o7777), identity })
        };
        read().map_err(|problem| path.error(problem))
    }

    /// Opens a file of at most `limit` bytes for reading. Links inside the tree are followed.
    pub(crate) fn open_file(&self, path: &RelativePath, limit: u64) -> Result<File, WorkspaceError> {
        self.open_regular(path, limit).map(|(file, _)| file).map_err(|problem| path.error(problem))
    }

    /// What is in a directory, sorted by name. The entries themselves are not followed.
    pub(crate) fn entries(&self, path: &RelativePath) -> Result<Vec<Entry>, WorkspaceError> {
        let read = || {
            let folder = self.beneath(&path.0, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
            let mut entries = Vec::new();
            for entry in Dir::read_from(&folder)? {
                let entry = entry?;
                let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
                if name == "." || name == ".." {
                    continue;
                }
                let kind = match entry.file_type() {
                    FileType::Unknown => {
                        let stat = statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                        FileType::from_raw_mode(stat.st_mode)
                    }
                    kind => kind,
                };
                entries.push(Entry { name, kind });
            }
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(entries)
        };
        read().map_err(|problem: Problem| path.error(problem))
    }

    /// Where a command with this working directory is to start.
    pub(crate) fn directory(&self, path: &RelativePath) -> Result<PathBuf, WorkspaceError> {
        match self.beneath(&path.0, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC) {
            Ok(_) => Ok(self.path.join(&path.0)),
            Err(errno) => Err(path.error(errno.into())),
        }
    }

    /// Where the path leads when every link is followed, as the kernel says.
    pub(crate) fn real_path(&self, path: &RelativePath) -> Result<RelativePath, WorkspaceError> {
        let follow = || {
            let file = self.beneath(&path.0, OFlags::PATH | OFlags::CLOEXEC)?;
            let (real, root) = (named_by(&file)?, named_by(&self.root)?);
            let beneath = real.strip_prefix(root).map_err(|_| Problem::LeadsOut)?;
            Ok(RelativePath::new(beneath))
        };
        follow().map_err(|problem: Problem| path.error(problem))
    }

    pub(crate) fn absolute(&self, path: &RelativePath) -> PathBuf {
        self.path.join(&path.0)
    }

    fn open_regular(&self, path: &RelativePath, limit: u64) -> Result<(File, Stat), Problem> {
        // NONBLOCK: opening a FIFO must not wait for a writer.
        let file = self.beneath(&path.0, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC)?;
        let stat = fstat(&file)?;
        match (FileType::from_raw_mode(stat.st_mode), u64::try_from(stat.st_size).unwrap_or(0)) {
            (FileType::RegularFile, size) if size > limit => Err(Problem::TooLarge { size, limit }),
            (FileType::RegularFile, _) => Ok((File::from(file), stat)),
            (kind, _) => Err(special(kind)),
        }
    }

    fn beneath(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mut tries = 0;
        loop {
            match openat2(&self.root, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) if tries < MOST_TRIES => tries += 1,
                opened => return opened,
            }
        }
    }
}

impl RelativePath {
    /// Without `.` components, so that the same file has one name in diffs and messages.
    fn new(path: &Path) -> Self {
        let path: PathBuf = path.components().filter(|component| *component != Component::CurDir).collect();
        Self(if path.as_os_str().is_empty() { ".".into() } else { path })
    }

    /// The code directory itself.
    pub(crate) fn root() -> Self {
        Self(".".into())
    }

    /// Beneath this one.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> Self {
        Self::new(&self.0.join(name))
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }

    fn error(&self, problem: Problem) -> WorkspaceError {
        WorkspaceError { path: self.0.display().to_string(), problem }
    }
}

fn named_by(file: &OwnedFd) -> Result<PathBuf, Problem> {
    Ok(std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?)
}

fn special(kind: FileType) -> Problem {
    match kind {
        FileType::Directory => Problem::IsDirectory,
        FileType::Fifo => Problem::Special("FIFO"),
        FileType::Socket => Problem::Special("socket"),
        FileType::CharacterDevice | FileType::BlockDevice => Problem::Special("device"),
        _ => Problem::Special("special file"),
    }
}

impl From<Errno> for Problem {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::XDEV => Self::LeadsOut,
            Errno::NOENT => Self::Missing,
            Errno::ISDIR => Self::IsDirectory,
            Errno::NOTDIR => Self::NotADirectory,
            // What opening a socket says.
            Errno::NXIO => Self::Special("socket"),
            Errno::ROFS => Self::ReadOnly,
            errno => Self::Kernel(errno),
        }
    }
}
