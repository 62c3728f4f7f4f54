//! Gives whole trees to a user, whatever is in them: any depth, any name, no link followed.

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, Stat, chownat, fchmod, fchown, fstat, openat, statat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::confine::User;

/// What [`own`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Entries whose owner or mode had to be changed.
    pub chowned: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot give {path} to the user: {problem}")]
pub struct OwnershipError {
    path: String,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{0}")]
    Kernel(#[from] Errno),
    #[error("the tree changed under our hands")]
    Moved,
}

/// Makes `user` the owner of everything beneath the folders and lets the user write and the group read it.
pub fn own(user: User, folders: &[PathBuf]) -> Result<Owned, OwnershipError> {
    let mut chowned = 0;
    for folder in folders {
        chowned += own_tree(user, folder)?;
    }
    Ok(Owned { chowned })
}

/// A directory on the way down: what is left to visit in it, and how to know it again on the way up.
struct Level {
    name: CString,
    device: u64,
    inode: u64,
    folders: Vec<CString>,
}

/// Depth costs memory for names, never a file descriptor or stack: only the current directory is open, and the way up
/// is `..`, checked against what was there on the way down.
fn own_tree(user: User, root: &Path) -> Result<u64, OwnershipError> {
    let at_root = |problem| OwnershipError { path: root.display().to_string(), problem };
    let mut current = open_folder(CWD, root).map_err(|errno| at_root(errno.into()))?;
    let mut chowned = 0;
    let mut levels = vec![visit(user, &current, CString::default(), &mut chowned).map_err(at_root)?];
    while let Some(level) = levels.last_mut() {
        let moved = if let Some(name) = level.folders.pop() {
            descend(user, &mut current, name, &mut chowned).map(|level| levels.extend(level))
        } else {
            levels.pop();
            ascend(&mut current, levels.last())
        };
        moved.map_err(|problem| OwnershipError { path: place(root, &levels), problem })?;
    }
    Ok(chowned)
}

/// Enters and mends the directory `name`; `None` when it is gone.
fn descend(user: User, current: &mut OwnedFd, name: CString, chowned: &mut u64) -> Result<Option<Level>, Problem> {
    let folder = match open_folder(&*current, name.as_c_str()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let level = visit(user, &folder, name, chowned)?;
    *current = folder;
    Ok(Some(level))
}

fn ascend(current: &mut OwnedFd, parent: Option<&Level>) -> Result<(), Problem> {
    let Some(parent) = parent else { return Ok(()) };
    *current = open_folder(&*current, c"..")?;
    let stat = fstat(&*current)?;
    if (stat.st_dev, stat.st_ino) == (parent.device, parent.inode) { Ok(()) } else { Err(Problem::Moved) }
}

/// Mends the directory and everything in it that is none.
fn visit(user: User, folder: &OwnedFd, name: CString, chowned: &mut u64) -> Result<Level, Problem> {
    let stat = fstat(folder)?;
    if foreign(user, &stat) {
        fchown(folder, Some(user.uid), Some(user.gid))?;
    }
    let opened = opened_mode(&stat);
    if let Some(mode) = opened {
        fchmod(folder, mode)?;
    }
    *chowned += u64::from(foreign(user, &stat) || opened.is_some());
    let mut level = Level { name, device: stat.st_dev, inode: stat.st_ino, folders: Vec::new() };
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match mend_entry(user, folder, name, chowned) {
            Ok(FileType::Directory) => level.folders.push(name.to_owned()),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(level)
}

fn mend_entry(user: User, folder: &OwnedFd, name: &CStr, chowned: &mut u64) -> Result<FileType, Errno> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::Directory {
        return Ok(kind);
    }
    if foreign(user, &stat) {
        chownat(folder, name, Some(user.uid), Some(user.gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    // A mode means something to nobody on a link, a FIFO, a socket or a device.
    let opened = opened_mode(&stat).filter(|_| kind == FileType::RegularFile);
    if let Some(mode) = opened {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        fchmod(openat(folder, name, flags, Mode::empty())?, mode)?;
    }
    *chowned += u64::from(foreign(user, &stat) || opened.is_some());
    Ok(kind)
}

fn foreign(user: User, stat: &Stat) -> bool {
    (stat.st_uid, stat.st_gid) != (user.uid.as_raw(), user.gid.as_raw())
}

/// The mode with `u+rwX,g+rX`, when that differs.
fn opened_mode(stat: &Stat) -> Option<Mode> {
    let mode: RawMode = stat.st_mode & 0o7777;
    let enter = FileType::from_raw_mode(stat.st_mode) == FileType::Directory || mode & 0o111 != 0;
    let wanted = mode | 0o640 | if enter { 0o110 } else { 0 };
    (wanted != mode).then(|| Mode::from_raw_mode(wanted))
}

fn open_folder<P: rustix::path::Arg>(parent: impl AsFd, name: P) -> Result<OwnedFd, Errno> {
    openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// For the message only; a deep tree is cut to its end, where the trouble is.
fn place(root: &Path, levels: &[Level]) -> String {
    let names = levels.iter().map(|level| level.name.to_string_lossy()).collect::<Vec<_>>();
    let tail = &names[names.len().saturating_sub(20)..];
    format!("{}{}", root.display(), tail.join("/")).escape_debug().to_string()
}
