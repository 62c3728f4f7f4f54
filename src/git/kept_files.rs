//! The files of a snapshot that people are pointed to: how many lines they have, and a copy of them that stays when the
//! snapshots go, together with the images that changed. The copy is a small repository of the server's own as well.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use git2::{Oid, Repository};

use super::snapshot::{Listing, Snapshot, SnapshotError, Snapshots, TreeFile, file_at, list, write_tree};

/// What stands at a path of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileLines {
    /// No file; a folder is none, and neither is a link.
    None,
    Binary,
    /// More bytes than are shown.
    TooLarge,
    Lines(u64),
}

/// A file that was kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeptFile {
    Text(String),
    Binary,
}

/// No larger file is shown, so none is kept.
const MAX_FILE_BYTES: usize = 2 << 20;
/// As git does it: a NUL in the beginning.
const LOOKED_AT: usize = 8000;
/// Enough to know an image by.
const BEGINNING: u64 = 16;
const LINK: u32 = 0o120_000;
const KEPT: &str = "refs/kept";
const BEFORE: &str = "refs/before";

/// What is to be kept: paths with the snapshot that has them.
#[derive(Debug)]
pub(crate) struct ToKeep<'a> {
    /// As people are to see them: at the end.
    pub(crate) end: (&'a Snapshot, &'a [String]),
    /// As they came.
    pub(crate) before: (&'a Snapshot, &'a [String]),
}

/// Which of the two a kept file was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    End,
}

impl Snapshots {
    /// How many lines a file has. Blocks.
    pub(crate) fn lines(&self, snapshot: &Snapshot, path: &str) -> Result<FileLines, SnapshotError> {
        let repository = self.repository()?;
        let Some(file) = regular_file(&repository, snapshot.tree, path)? else { return Ok(FileLines::None) };
        let odb = repository.odb()?;
        if odb.read_header(file.id)?.0 > MAX_FILE_BYTES {
            return Ok(FileLines::TooLarge);
        }
        let object = odb.read(file.id)?;
        let bytes = object.data();
        if is_binary(bytes) {
            return Ok(FileLines::Binary);
        }
        Ok(FileLines::Lines(bytes.split_inclusive(|byte| *byte == b'\n').count() as u64))
    }

    /// Paths of the snapshot that end with `path`, a whole name at least: what somebody may mean who leaves folders out.
    pub(crate) fn longer_paths(&self, snapshot: &Snapshot, path: &str) -> Result<Vec<String>, SnapshotError> {
        let ending = format!("/{path}");
        let all = list(&self.repository()?, snapshot.tree)?.into_keys();
        Ok(all.filter_map(|path| String::from_utf8(path).ok()).filter(|path| path.ends_with(&ending)).collect())
    }

    /// Copies those files that are there into a new repository at `git_dir`, which is whole or not there: what a killed
    /// server left of one (a lock of its configuration, for one) would be in the way for ever. Blocks.
    pub(crate) fn keep(&self, wanted: &ToKeep<'_>, git_dir: &Path) -> Result<(), SnapshotError> {
        let draft = git_dir.with_extension("draft");
        remove_if_there(&draft)?;
        self.copy_into(wanted.end, KEPT, &draft)?;
        self.copy_into(wanted.before, BEFORE, &draft)?;
        remove_if_there(git_dir)?;
        Ok(fs::rename(draft, git_dir)?)
    }

    fn copy_into(
        &self,
        (snapshot, paths): (&Snapshot, &[String]),
        reference: &str,
        git_dir: &Path,
    ) -> Result<(), SnapshotError> {
        let repository = self.repository()?;
        let kept = Self::create(git_dir)?.repository()?;
        let (from, to) = (repository.odb()?, kept.odb()?);
        let mut listing = Listing::new();
        for path in paths {
            let Some(file) = regular_file(&repository, snapshot.tree, path)? else { continue };
            if from.read_header(file.id)?.0 <= MAX_FILE_BYTES {
                let object = from.read(file.id)?;
                to.write(object.kind(), object.data())?;
                listing.insert(path.clone().into_bytes(), file);
            }
        }
        let tree = write_tree(&kept, &listing)?;
        kept.reference(reference, tree, true, "")?;
        Ok(())
    }
}

pub(super) fn remove_if_there(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A file of those kept at `git_dir`; none when it was not kept. Blocks.
pub(crate) fn kept_file(git_dir: &Path, path: &str) -> Result<Option<KeptFile>, SnapshotError> {
    if !git_dir.exists() {
        return Ok(None);
    }
    let repository = Repository::open_bare(git_dir)?;
    let Some(file) = regular_file(&repository, repository.refname_to_id(KEPT)?, path)? else { return Ok(None) };
    let blob = repository.find_blob(file.id)?;
    Ok(Some(if is_binary(blob.content()) {
        KeptFile::Binary
    } else {
        KeptFile::Text(String::from_utf8_lossy(blob.content()).into_owned())
    }))
}

/// The bytes of a file of those kept at `git_dir`, as it was then. Blocks.
pub(crate) fn kept_bytes(git_dir: &Path, moment: Moment, path: &str) -> Result<Option<Vec<u8>>, SnapshotError> {
    find_kept(git_dir, moment, path, |repository, id| Ok(repository.find_blob(id)?.content().to_vec()))
}

/// How such a file begins, and how many bytes it has; the rest is not read. Blocks.
pub(crate) fn kept_beginning(
    git_dir: &Path,
    moment: Moment,
    path: &str,
) -> Result<Option<(Vec<u8>, u64)>, SnapshotError> {
    find_kept(git_dir, moment, path, |repository, id| {
        let odb = repository.odb()?;
        let (object, size, _) = odb.reader(id)?;
        let mut bytes = Vec::new();
        object.take(BEGINNING).read_to_end(&mut bytes)?;
        Ok((bytes, size as u64))
    })
}

fn find_kept<T>(
    git_dir: &Path,
    moment: Moment,
    path: &str,
    read: impl FnOnce(&Repository, Oid) -> Result<T, SnapshotError>,
) -> Result<Option<T>, SnapshotError> {
    if !git_dir.exists() {
        return Ok(None);
    }
    let repository = Repository::open_bare(git_dir)?;
    let reference = match moment {
        Moment::Before => BEFORE,
        Moment::End => KEPT,
    };
    // Tasks of earlier versions kept nothing of what was before.
    let Ok(tree) = repository.refname_to_id(reference) else { return Ok(None) };
    let Some(file) = regular_file(&repository, tree, path)? else { return Ok(None) };
    read(&repository, file.id).map(Some)
}

fn regular_file(repository: &Repository, tree: Oid, path: &str) -> Result<Option<TreeFile>, git2::Error> {
    Ok(file_at(repository, tree, path.as_bytes())?.filter(|file| file.mode != LINK))
}

fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(LOOKED_AT).any(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::SnapshotLimits;

    #[test]
    fn kept_files_outlive_the_snapshots_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let (code, git) = (folder.path().join("code"), folder.path().join("git"));
        std::fs::create_dir_all(code.join("src")).unwrap();
        for (path, bytes) in [
            ("src/a.rs", b"one\ntwo".to_vec()),
            ("end.txt", b"one\n".to_vec()),
            ("empty", Vec::new()),
            ("image", b"\x89\0".to_vec()),
            ("large", vec![b'x'; MAX_FILE_BYTES + 1]),
        ] {
            std::fs::write(code.join(path), bytes).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", code.join("link")).unwrap();
        let snapshots = Snapshots::create(&git).unwrap();
        let snapshot = snapshots.take(&code, None, &SnapshotLimits::default()).unwrap();
        for (path, lines) in [
            ("src/a.rs", FileLines::Lines(2)),
            ("end.txt", FileLines::Lines(1)),
            ("empty", FileLines::Lines(0)),
            ("image", FileLines::Binary),
            ("large", FileLines::TooLarge),
            ("link", FileLines::None),
            ("src", FileLines::None),
            ("src/a.rs/x", FileLines::None),
            ("../git/HEAD", FileLines::None),
            ("", FileLines::None),
        ] {
            assert_eq!(snapshots.lines(&snapshot, path).unwrap(), lines, "{path}");
        }
        assert_eq!(snapshots.longer_paths(&snapshot, "a.rs").unwrap(), ["src/a.rs"]);
        let kept = folder.path().join("kept");
        for half_made in [&kept, &kept.with_extension("draft")] {
            std::fs::create_dir(half_made).unwrap();
            std::fs::write(half_made.join("config.lock"), "").unwrap();
        }
        let paths = ["src/a.rs", "image", "link", "large", "none"].map(str::to_owned);
        let only = ["image".to_owned()];
        snapshots.keep(&ToKeep { end: (&snapshot, &paths), before: (&snapshot, &only) }, &kept).unwrap();
        assert_eq!(kept_bytes(&kept, Moment::Before, "image").unwrap().unwrap(), b"\x89\0");
        assert_eq!(kept_bytes(&kept, Moment::Before, "src/a.rs").unwrap(), None);
        assert_eq!(kept_bytes(&kept, Moment::End, "src/a.rs").unwrap().unwrap(), b"one\ntwo");
        let beginning = |path| kept_beginning(&kept, Moment::End, path).unwrap();
        assert_eq!(beginning("src/a.rs").unwrap(), (b"one\ntwo".to_vec(), 7));
        assert_eq!(beginning("gone"), None);
        std::fs::remove_dir_all(&git).unwrap();
        let file = |path: &str| kept_file(&kept, path).unwrap();
        assert_eq!(file("src/a.rs"), Some(KeptFile::Text("one\ntwo".to_owned())));
        assert_eq!(file("image"), Some(KeptFile::Binary));
        for path in ["link", "large", "end.txt", "src", "/etc/passwd", "../kept/HEAD"] {
            assert_eq!(file(path), None, "{path}");
        }
        assert_eq!(kept_file(&git, "src/a.rs").unwrap(), None);
    }
}
