//! What the agent changed, kept when its workspace goes, and brought back into the files of the task for a further turn. A patch
//! would hold the same, but libgit2 does not read every patch that it writes. Whoever is there by then may have put links
//! and folders in the way: every name is opened beneath its folder, and no link is followed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use git2::Repository;
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, Mode, OFlags, fchmod, mkdirat, open, openat, symlinkat, unlinkat},
    io::Errno,
};

use super::{
    changes::{KeptChanges, write_changes},
    kept_files::remove_if_there,
    patch::{Patch, wanted, write_patch},
    snapshot::{Snapshot, SnapshotError, Snapshots, TreeFile, list, write_tree},
};

impl Snapshots {
    /// Copies what the agent changed into a new repository at `git_dir`, which is whole or not there. Blocks.
    pub(crate) fn keep_changes(
        &self,
        (s0, s1, end): (&Snapshot, &Snapshot, &Snapshot),
        git_dir: &Path,
    ) -> Result<(), SnapshotError> {
        let draft = git_dir.with_extension("draft");
        remove_if_there(&draft)?;
        let repository = self.repository()?;
        let kept = Self::create(&draft)?.repository()?;
        let (before, after) = (list(&repository, s0.tree)?, wanted(&repository, s0, s1, end)?);
        write_changes(&repository, &kept, &before, &after)?;
        remove_if_there(git_dir)?;
        Ok(fs::rename(draft, git_dir)?)
    }

    /// The source with changes that were kept. Blocks.
    pub(crate) fn with_changes(&self, source: &Snapshot, changes: &KeptChanges) -> Result<Snapshot, SnapshotError> {
        let repository = self.repository()?;
        let mut files = list(&repository, source.tree)?;
        changes.put_onto(&repository, &mut files)?;
        Ok(Snapshot { tree: write_tree(&repository, &files)?, ..source.clone() })
    }

    /// What was changed since `earlier`, which is the source with the work of the turns before. Blocks.
    pub(crate) fn own_patch(
        &self,
        earlier: &Snapshot,
        (s0, s1, end): (&Snapshot, &Snapshot, &Snapshot),
    ) -> Result<Patch, SnapshotError> {
        let repository = self.repository()?;
        write_patch(&repository, earlier.tree, &wanted(&repository, s0, s1, end)?)
    }

    /// Makes the files beneath `code` that differ between `source` and `wanted` those of `wanted`. Blocks.
    pub(crate) fn lay(&self, source: &Snapshot, wanted: &Snapshot, code: &Path) -> Result<(), SnapshotError> {
        let repository = self.repository()?;
        let (before, after) = (list(&repository, source.tree)?, list(&repository, wanted.tree)?);
        let root = open(code, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        let root = root.map_err(io::Error::from)?;
        for path in before.keys().filter(|path| !after.contains_key(*path)) {
            remove(&root, path)?;
        }
        for (path, file) in after.iter().filter(|(path, file)| before.get(*path) != Some(file)) {
            put(&repository, &root, path, *file)?;
        }
        Ok(())
    }
}

fn put(repository: &Repository, root: &OwnedFd, path: &[u8], file: TreeFile) -> Result<(), SnapshotError> {
    let blob = repository.find_blob(file.id)?;
    let (folders, name) = split(path)?;
    let mut folder = root.try_clone()?;
    for name in folders {
        folder = folder_in(&folder, name)?;
    }
    match unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        // What is in the folder was not the agent's; an empty one may go.
        Err(Errno::ISDIR) => unlinkat(&folder, name, AtFlags::REMOVEDIR).map_err(io::Error::from)?,
        Err(error) => return Err(io::Error::from(error).into()),
    }
    if file.mode == 0o120_000 {
        symlinkat(OsStr::from_bytes(blob.content()), &folder, name).map_err(io::Error::from)?;
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = if file.mode == 0o100_755 { Mode::from_raw_mode(0o755) } else { Mode::from_raw_mode(0o644) };
    let target = openat(&folder, name, flags, mode).map_err(io::Error::from)?;
    fchmod(&target, mode).map_err(io::Error::from)?;
    Ok(File::from(target).write_all(blob.content())?)
}

/// The folder of this name; what else has the name goes.
fn folder_in(parent: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    let enter = || openat(parent, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    match enter() {
        Ok(folder) => return Ok(folder),
        Err(Errno::NOENT) => {}
        Err(Errno::NOTDIR | Errno::LOOP) => unlinkat(parent, name, AtFlags::empty())?,
        Err(error) => return Err(error.into()),
    }
    mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    Ok(enter()?)
}

/// Removes a file, and the folders that are empty then.
fn remove(root: &OwnedFd, path: &[u8]) -> io::Result<()> {
    let (folders, name) = split(path)?;
    let mut way = vec![root.try_clone()?];
    for name in &folders {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Some(parent) = way.last() else { break };
        match openat(parent.as_fd(), *name, flags, Mode::empty()) {
            Ok(folder) => way.push(folder),
            // Not there any more.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    let Some(folder) = way.last() else { return Ok(()) };
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
        Err(error) => return Err(error.into()),
    }
    for (parent, name) in way.iter().zip(&folders).rev() {
        if unlinkat(parent, *name, AtFlags::REMOVEDIR).is_err() {
            break;
        }
    }
    Ok(())
}

/// The folders of a path and its last name. No patch of ours holds a name that leads elsewhere.
fn split(path: &[u8]) -> io::Result<(Vec<&OsStr>, &OsStr)> {
    let mut names: Vec<&OsStr> = path.split(|byte| *byte == b'/').map(OsStr::from_bytes).collect();
    if names.iter().any(|name| matches!(name.as_bytes(), b"" | b"." | b".." | b".git")) {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    let name = names.pop().ok_or(io::ErrorKind::InvalidFilename)?;
    Ok((names, name))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;
    use crate::git::SnapshotLimits;

    fn write(code: &Path, path: &str, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(code.join(path).parent().unwrap()).unwrap();
        fs::write(code.join(path), bytes).unwrap();
    }

    fn source(code: &Path) {
        for (path, text) in [
            ("kept", "kept\n"),
            ("changed", "one\ntwo\n"),
            ("gone/only", "gone\n"),
            ("renamed from", "a\nb\nc\nd\n"),
            ("file becomes link", "text\n"),
            ("file becomes folder", "text\n"),
            ("folder becomes file/a", "a\n"),
            ("no end", "without end"),
            ("script", "#!/bin/sh\n"),
            ("tab\tquote\"", "x\n"),
        ] {
            write(code, path, text);
        }
        write(code, "binary", b"\0\x01\x02");
        symlink("kept", code.join("link becomes file")).unwrap();
    }

    fn work(code: &Path) {
        write(code, "changed", "one\n2\n");
        fs::remove_dir_all(code.join("gone")).unwrap();
        fs::rename(code.join("renamed from"), code.join("renamed to")).unwrap();
        fs::remove_file(code.join("file becomes link")).unwrap();
        symlink("/etc/passwd", code.join("file becomes link")).unwrap();
        fs::remove_file(code.join("file becomes folder")).unwrap();
        write(code, "file becomes folder/inside", "x\n");
        fs::remove_dir_all(code.join("folder becomes file")).unwrap();
        write(code, "folder becomes file", "now a file\n");
        fs::remove_file(code.join("link becomes file")).unwrap();
        write(code, "link becomes file", "now a file\n");
        write(code, "no end", "still without");
        write(code, "tab\tquote\"", "y\n");
        write(code, "binary", b"\0\x01\x03");
        write(code, "new/deep/binary", b"\xff\0\xfe");
        write(code, "empty", "");
        write(code, "umlaut ä", "ä\n");
        fs::set_permissions(code.join("script"), Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn every_kind_of_change_is_kept_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let limits = SnapshotLimits::default();
        source(&first);
        let snapshots = Snapshots::create(&folder.path().join("git")).unwrap();
        let s0 = snapshots.take(&first, None, &limits).unwrap();
        work(&first);
        let end = snapshots.take(&first, Some(&s0), &limits).unwrap();
        let kept = folder.path().join("changes");
        snapshots.keep_changes((&s0, &s0, &end), &kept).unwrap();

        source(&second);
        let again = Snapshots::create(&folder.path().join("git2")).unwrap();
        let fresh = again.take(&second, None, &limits).unwrap();
        assert_eq!(fresh.tree, s0.tree);
        let wanted = again.with_changes(&fresh, &KeptChanges::open(&kept).unwrap()).unwrap();
        assert_eq!(wanted.tree, end.tree);
        // What setup left in the way.
        symlink("/tmp", second.join("new")).unwrap();
        write(&second, "node_modules/made by setup", "x");
        again.lay(&fresh, &wanted, &second).unwrap();
        fs::remove_dir_all(second.join("node_modules")).unwrap();
        let laid = again.take(&second, None, &limits).unwrap();
        assert_eq!(again.list(&laid).unwrap(), snapshots.list(&end).unwrap());
        assert!(!second.join("gone").exists() && !Path::new("/tmp/deep").exists());

        let own = again.own_patch(&wanted, (&fresh, &fresh, &laid)).unwrap();
        assert_eq!((own.bytes.len(), own.summary.files), (0, 0), "nothing was done since");
        write(&second, "changed", "one\n3\n");
        let later = again.take(&second, Some(&fresh), &limits).unwrap();
        let own = again.own_patch(&wanted, (&fresh, &fresh, &later)).unwrap();
        assert_eq!((own.summary.files, own.summary.insertions), (1, 1));
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for path in ["../a", "a/../b", "", "a//b", ".git/config", "a/.git"] {
            assert!(split(path.as_bytes()).is_err(), "{path}");
        }
    }
}
