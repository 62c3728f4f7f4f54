//! Remembers which file had which content, so that a second snapshot reads only what changed since the first.
//!
//! A file counts as unchanged if size, inode, modification and change time are the same. A change time cannot be set,
//! but it has a grain: a write within the same grain as the one before the reading would go unseen. So a file whose
//! change time lies too close to the moment it was read is not remembered (git's "racy" entries). The file on disk has
//! the format of git's index; Documentation/technical/racy-git explains the idea.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use git2::{Index, IndexEntry, IndexTime, Oid};
use rustix::fs::Stat;

use super::snapshot::{TreeFile, index_entry};

/// The entries of the last snapshot.
pub(super) struct StatCache {
    entries: HashMap<Vec<u8>, IndexEntry>,
}

/// The grain of the kernel's clock is 10 ms at most.
const GRAIN: Duration = Duration::from_millis(50);
/// Some file systems keep whole seconds only, FAT two of them.
const COARSE_GRAIN: Duration = Duration::from_secs(2);

impl StatCache {
    /// Reads the last one; a missing or broken one is empty.
    pub(super) fn read(path: &Path) -> Self {
        let entries = match Index::open(path) {
            Ok(index) => index.iter().map(|entry| (entry.path.clone(), entry)).collect(),
            Err(_) => HashMap::new(),
        };
        Self { entries }
    }

    /// An empty one to take the place of the last.
    pub(super) fn start(path: &Path) -> Result<Index, git2::Error> {
        let mut index = match Index::open(path) {
            Ok(index) => index,
            Err(_) if std::fs::remove_file(path).is_ok() => Index::open(path)?,
            Err(error) => return Err(error),
        };
        index.clear()?;
        Ok(index)
    }

    /// The content of the file, if it is the one that was read for the last snapshot.
    pub(super) fn content(&self, path: &[u8], stat: &Stat, mode: u32) -> Option<Oid> {
        let known = self.entries.get(path)?;
        let now = stamped(path, stat, TreeFile { mode, id: known.id });
        let is_same = now.ctime.seconds() != 0
            && known.ctime == now.ctime
            && known.mtime == now.mtime
            && known.ino == now.ino
            && known.file_size == now.file_size
            && known.mode == now.mode;
        is_same.then_some(known.id)
    }

    /// The entry for a file that was read at `read_at` and had this status both before and after.
    pub(super) fn entry(path: &[u8], stat: &Stat, file: TreeFile, read_at: SystemTime) -> IndexEntry {
        let settled = changed_at(stat).is_some_and(|changed_at| read_at > changed_at);
        if settled { stamped(path, stat, file) } else { index_entry(path.to_vec(), file) }
    }
}

/// The first moment at which a change would have another change time than this one for certain.
fn changed_at(stat: &Stat) -> Option<SystemTime> {
    let nanoseconds = u32::try_from(stat.st_ctime_nsec).ok()?;
    let grain = if nanoseconds == 0 { COARSE_GRAIN } else { GRAIN };
    let since_epoch = Duration::new(u64::try_from(stat.st_ctime).ok()?, nanoseconds);
    UNIX_EPOCH.checked_add(since_epoch)?.checked_add(grain)
}

fn stamped(path: &[u8], stat: &Stat, file: TreeFile) -> IndexEntry {
    // A time that does not fit is zero, which is never taken for unchanged.
    let time = |seconds: i64, nanoseconds: u64| {
        let seconds = i32::try_from(seconds).unwrap_or(0);
        IndexTime::new(seconds, u32::try_from(nanoseconds).unwrap_or(0))
    };
    let low_bits = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0);
    IndexEntry {
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ino: low_bits(stat.st_ino),
        file_size: low_bits(u64::try_from(stat.st_size).unwrap_or(0)),
        ..index_entry(path.to_vec(), file)
    }
}
