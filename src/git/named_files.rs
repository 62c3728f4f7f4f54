//! The files of one name in every folder of a snapshot.

use std::{cmp::Reverse, collections::BTreeMap};

use super::snapshot::{Snapshot, SnapshotError, Snapshots, list};

/// Texts by path, and how many more there are.
#[derive(Debug, Default)]
pub(crate) struct NamedFiles {
    pub(crate) texts: BTreeMap<String, String>,
    /// Files beyond the limits, and those whose path is no UTF-8.
    pub(crate) left_out: usize,
}

const LINK: u32 = 0o120_000;

impl Snapshots {
    /// All files called `name`, those of the uppermost folders first, at most `max_files` of them with `max_bytes` in all.
    /// Links are no files.
    pub(crate) fn files_named(
        &self,
        snapshot: &Snapshot,
        name: &str,
        max_files: usize,
        max_bytes: usize,
    ) -> Result<NamedFiles, SnapshotError> {
        let repository = self.repository()?;
        let odb = repository.odb()?;
        let is_named = |path: &[u8]| path.rsplit(|&byte| byte == b'/').next() == Some(name.as_bytes());
        let all = list(&repository, snapshot.tree)?;
        let mut wanted: Vec<_> = all.into_iter().filter(|(path, file)| file.mode != LINK && is_named(path)).collect();
        // From the end, so that the uppermost comes out first.
        wanted.sort_by_key(|(path, _)| Reverse((path.split(|&byte| byte == b'/').count(), path.clone())));
        let mut found = NamedFiles::default();
        let mut room = max_bytes;
        while let Some((path, file)) = wanted.pop() {
            let Ok(path) = String::from_utf8(path) else {
                found.left_out += 1;
                continue;
            };
            let (bytes, _) = odb.read_header(file.id)?;
            if found.texts.len() == max_files || bytes > room {
                found.left_out += 1;
                continue;
            }
            room -= bytes;
            found.texts.insert(path, String::from_utf8_lossy(odb.read(file.id)?.data()).into_owned());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::SnapshotLimits;

    #[test]
    fn the_uppermost_come_first_and_links_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let code = folder.path().join("code");
        for (path, text) in [("b/c/N.md", "deep"), ("N.md", "root"), ("b/N.md", "middle"), ("b/XN.md", "other")] {
            std::fs::create_dir_all(code.join(path).parent().unwrap()).unwrap();
            std::fs::write(code.join(path), text).unwrap();
        }
        std::fs::create_dir(code.join("l")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", code.join("l/N.md")).unwrap();
        let snapshots = Snapshots::create(&folder.path().join("git")).unwrap();
        let snapshot = snapshots.take(&code, None, &SnapshotLimits::default()).unwrap();
        let named = |files, bytes| {
            let found = snapshots.files_named(&snapshot, "N.md", files, bytes).unwrap();
            (found.texts.into_values().collect::<Vec<_>>().join(" "), found.left_out)
        };
        assert_eq!(named(9, 99), ("root middle deep".to_owned(), 0));
        assert_eq!(named(2, 99), ("root middle".to_owned(), 1));
        assert_eq!(named(9, 8), ("root deep".to_owned(), 1));
    }
}
