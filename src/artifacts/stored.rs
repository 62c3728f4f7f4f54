//! What is kept of a task for people: the files beneath `logs/<id>/`, listed and opened without following links.
//!
//! Part of them a container wrote, so nothing here trusts a name or a kind: every path is resolved by the kernel
//! beneath the folder (`openat2`), and only regular files count.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Dir, FileType, Mode, OFlags, fstat},
    io::Errno,
};

use super::beneath::open_beneath;

/// One file; the name holds slashes for files in folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub(crate) name: String,
    pub(crate) size: u64,
}

const MAX_LISTED: usize = 1000;
const MAX_DEPTH: usize = 16;

/// The regular files beneath `dir` by name, at most a thousand; none when there is no such folder. Names that are not
/// UTF-8 have no address and are left out.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<Artifact>> {
    let Some(root) = open_root(dir)? else { return Ok(Vec::new()) };
    let mut artifacts = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let handle = if folder.is_empty() {
            root.as_fd().try_clone_to_owned().ok()
        } else {
            found(open_beneath(&root, &folder, OFlags::DIRECTORY))?
        };
        let Some(handle) = handle else { continue };
        for entry in Dir::read_from(&handle)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            let stat = match found(open_beneath(&root, &path, OFlags::empty()))? {
                Some(file) => fstat(&file)?,
                None => continue,
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory if path.split('/').count() < MAX_DEPTH => folders.push(path),
                FileType::RegularFile => {
                    artifacts.push(Artifact { name: path, size: stat.st_size.try_into().unwrap_or(0) });
                }
                _ => {}
            }
            if artifacts.len() + folders.len() >= MAX_LISTED {
                folders.clear();
                break;
            }
        }
    }
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(artifacts)
}

/// Opens one file for reading; `None` when there is no regular file of that name beneath `dir`.
pub(crate) fn open(dir: &Path, name: &str) -> io::Result<Option<File>> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if !name.split('/').all(is_plain) {
        return Ok(None);
    }
    let Some(root) = open_root(dir)? else { return Ok(None) };
    let Some(file) = found(open_beneath(&root, name, OFlags::empty()))? else { return Ok(None) };
    let is_regular = FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile;
    Ok(is_regular.then(|| File::from(file)))
}

fn open_root(dir: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    found(rustix::fs::openat(CWD, dir, flags, Mode::empty()))
}

/// What cannot be opened as a plain file beneath the folder does not exist as far as people are concerned.
fn found(opened: Result<OwnedFd, Errno>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(handle) => Ok(Some(handle)),
        Err(
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NXIO | Errno::ACCESS | Errno::NAMETOOLONG,
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn only_regular_files_beneath_the_folder_are_seen() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("logs");
        fs::create_dir_all(dir.join("output/deep")).unwrap();
        fs::write(outer.path().join("secret"), "canary").unwrap();
        fs::write(dir.join("diff.patch"), "+x").unwrap();
        fs::write(dir.join("output/deep/a.txt"), "text").unwrap();
        symlink(outer.path().join("secret"), dir.join("link")).unwrap();
        symlink(outer.path(), dir.join("folder")).unwrap();
        rustix::fs::mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

        let names: Vec<_> = list(&dir).unwrap().into_iter().map(|artifact| (artifact.name, artifact.size)).collect();
        assert_eq!(names, [("diff.patch".to_owned(), 2), ("output/deep/a.txt".to_owned(), 4)]);

        let mut text = String::new();
        open(&dir, "output/deep/a.txt").unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        for bad in
            ["link", "folder/secret", "fifo", "output", "../secret", "output/../../secret", "/etc/passwd", "", "a\0"]
        {
            assert!(open(&dir, bad).unwrap().is_none(), "{bad:?}");
        }
        assert_eq!(list(&dir.join("missing")).unwrap(), []);
    }
}
