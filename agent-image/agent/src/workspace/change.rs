//! Changes to the files of the code directory: one in one move, several all or none.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, mkdirat, openat, readlinkat, renameat, unlinkat};
use rustix::io::Errno;

use super::{FoundFile, Problem, RelativePath, Workspace, WorkspaceError};

/// As many links as the kernel itself follows.
const MOST_LINKS: usize = 40;
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What one file was and what it is to be.
#[derive(Debug)]
pub(crate) struct FileChange<'a> {
    pub(crate) path: &'a RelativePath,
    /// `None` for a file that is new.
    pub(crate) before: Option<&'a FoundFile>,
    /// `None` for a file that is to go.
    pub(crate) after: Option<NewContent<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct NewContent<'a> {
    pub(crate) bytes: &'a [u8],
    /// Without one, the mode is that of any new file.
    pub(crate) mode: Option<Mode>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// Every file is what it was.
    #[error("{0}; nothing was changed")]
    Untouched(WorkspaceError),
    #[error("{cause}; these files could not be put back, look at them: {}", .left.join(", "))]
    HalfDone { cause: WorkspaceError, left: Vec<String> },
}

impl Workspace {
    /// Puts new content into the place of a file, in one move: readers see the old content or the new one. Without a
    /// `mode` the file is new, and the directories on the way are made. Through a link, its target is written.
    pub(crate) fn write(&self, path: &RelativePath, bytes: &[u8], mode: Option<Mode>) -> Result<(), WorkspaceError> {
        let write = || Draft::write(self, path, NewContent { bytes, mode }, 0)?.commit();
        write().map_err(|problem| path.error(problem))
    }

    /// Makes all changes or none. All content is on the disk before the first file changes, so what can go wrong after
    /// that is rare, and undone.
    pub(crate) fn change_all(&self, changes: &[FileChange<'_>]) -> Result<(), ChangeError> {
        // Files go last: whoever was interrupted has one too many rather than one too few.
        let (written, removed): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.after.is_some());
        let changes: Vec<&FileChange<'_>> = written.into_iter().chain(removed).collect();
        let mut drafts = Drafts(Vec::new());
        for (number, change) in changes.iter().enumerate() {
            let draft = match change.after {
                Some(content) => Draft::write(self, change.path, content, number),
                None => Draft::removal(self, change.path),
            };
            drafts.0.push(draft.map_err(|problem| ChangeError::Untouched(change.path.error(problem)))?);
        }
        for (done, draft) in drafts.0.iter().enumerate() {
            if let Err(problem) = draft.commit() {
                let cause = changes[done].path.error(problem);
                let left = self.undo(&changes[..done], &drafts.0[..done]);
                return Err(match left.as_slice() {
                    [] => ChangeError::Untouched(cause),
                    _ => ChangeError::HalfDone { cause, left },
                });
            }
        }
        Ok(())
    }

    /// Returns what could not be undone.
    fn undo(&self, changes: &[&FileChange<'_>], drafts: &[Draft]) -> Vec<String> {
        let mut left = Vec::new();
        for (change, draft) in changes.iter().zip(drafts).rev() {
            let undone = match change.before {
                Some(found) => self.write(change.path, &found.bytes, Some(found.mode)).is_ok(),
                None => unlinkat(&draft.folder, &draft.name, AtFlags::empty()).is_ok(),
            };
            if !undone {
                left.push(change.path.as_path().display().to_string());
            }
        }
        left
    }

    /// The directory, open, in which the file itself stands or will stand, and its name there; links are followed.
    fn home_of(&self, path: &Path, made: &mut Made) -> Result<(OwnedFd, OsString), Problem> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let name = path.file_name().ok_or(Problem::IsDirectory)?.to_owned();
            let parent = path.parent().unwrap_or(Path::new(""));
            let folder = self.make_folder(parent, made)?;
            match readlinkat(&folder, &name, Vec::new()) {
                Ok(target) => {
                    let target = OsString::from_vec(target.into_bytes());
                    if Path::new(&target).has_root() {
                        return Err(Problem::LeadsOut);
                    }
                    path = parent.join(target);
                }
                // Not a link, or nothing yet.
                Err(Errno::INVAL | Errno::NOENT) => return Ok((folder, name)),
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Errno::LOOP.into())
    }

    fn make_folder(&self, path: &Path, made: &mut Made) -> Result<OwnedFd, Problem> {
        let mut reached = PathBuf::from(".");
        match self.beneath(&reached.join(path), FOLDER) {
            Err(Errno::NOENT) => {}
            opened => return Ok(opened?),
        }
        let mut folder = self.beneath(&reached, FOLDER)?;
        for component in path.components() {
            reached.push(component);
            let name: &OsStr = component.as_os_str();
            let next = match self.beneath(&reached, FOLDER) {
                Err(Errno::NOENT) => match mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) => {
                        made.0.push((folder.try_clone()?, name.to_owned()));
                        self.beneath(&reached, FOLDER)?
                    }
                    Err(Errno::EXIST) => self.beneath(&reached, FOLDER)?,
                    Err(errno) => return Err(errno.into()),
                },
                opened => opened?,
            };
            folder = next;
        }
        Ok(folder)
    }
}

/// A change that is ready to be made.
struct Draft {
    folder: OwnedFd,
    name: OsString,
    /// The file that waits to take the place; `None` for a removal.
    waiting: Option<String>,
    /// Dropped after the draft is gone: only then are the folders empty again.
    _made: Made,
}

/// Dropped from the last to the first, for the same reason.
struct Drafts(Vec<Draft>);

/// Directories made on the way to a draft.
struct Made(Vec<(OwnedFd, OsString)>);

impl Draft {
    /// The number keeps drafts in one directory apart.
    fn write(
        workspace: &Workspace,
        path: &RelativePath,
        content: NewContent<'_>,
        number: usize,
    ) -> Result<Self, Problem> {
        let mut made = Made(Vec::new());
        let (folder, name) = workspace.home_of(path.as_path(), &mut made)?;
        let draft = format!(".atelier-{}-{number}.draft", std::process::id());
        // A draft that an earlier agent left when it was killed is in the way of nobody else.
        let _ = unlinkat(&folder, &draft, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&folder, &draft, flags, Mode::from_raw_mode(0o666))?);
        let ready = Self { folder, name, waiting: Some(draft), _made: made };
        file.write_all(content.bytes)?;
        if let Some(mode) = content.mode {
            fchmod(&file, mode)?;
        }
        Ok(ready)
    }

    fn removal(workspace: &Workspace, path: &RelativePath) -> Result<Self, Problem> {
        let name = path.as_path().file_name().ok_or(Problem::IsDirectory)?.to_owned();
        let parent = Path::new(".").join(path.as_path().parent().unwrap_or(Path::new("")));
        let folder = workspace.beneath(&parent, FOLDER)?;
        match readlinkat(&folder, &name, Vec::new()) {
            Ok(_) => Err(Problem::Link),
            Err(Errno::INVAL) => Ok(Self { folder, name, waiting: None, _made: Made(Vec::new()) }),
            Err(errno) => Err(errno.into()),
        }
    }

    fn commit(&self) -> Result<(), Problem> {
        match &self.waiting {
            Some(draft) => Ok(renameat(&self.folder, draft, &self.folder, &self.name)?),
            None => Ok(unlinkat(&self.folder, &self.name, AtFlags::empty())?),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(draft) = &self.waiting {
            // Gone already when the change was made; otherwise the error that led here says more.
            let _ = unlinkat(&self.folder, draft, AtFlags::empty());
        }
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for (folder, name) in self.0.iter().rev() {
            // One that holds a file by now is not empty, and stays.
            let _ = unlinkat(folder, name, AtFlags::REMOVEDIR);
        }
    }
}
