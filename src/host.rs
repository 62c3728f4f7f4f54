//! What the machine has left, and what this process uses of it.

use std::{fs, io, path::Path};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskSpace {
    /// What this process may still use; less than what is free where some is kept for root.
    pub(crate) free: u64,
    pub(crate) total: u64,
}

/// The file system that `path` lies on.
pub(crate) fn disk_space(path: &Path) -> io::Result<DiskSpace> {
    let found = rustix::fs::statvfs(path)?;
    Ok(DiskSpace {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// The release of the kernel, if it has what the server needs: openat2, which keeps hostile paths in their folder, came with
/// Linux 5.6. Else what to do.
pub(crate) fn kernel() -> Result<String, String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (5, 6) { Ok(release) } else { Err(format!("{release}; Linux 5.6 or newer is needed")) }
}

/// Memory of this process holds keys and people's code: a crash writes none of it to the disk, and no other process of the
/// same user reads it.
pub(crate) fn keep_memory_private() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    Ok(rustix::process::setrlimit(rustix::process::Resource::Core, none)?)
}

/// Bytes of memory that can be had without swapping; `None` where the kernel does not say.
pub(crate) fn available_memory() -> Option<u64> {
    kibibytes_in("/proc/meminfo", "MemAvailable:")
}

/// Bytes of memory that this process has in use.
pub(crate) fn resident_memory() -> Option<u64> {
    kibibytes_in("/proc/self/status", "VmRSS:")
}

/// Files, sockets and pipes that this process has open.
pub(crate) fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// How many files this process may have open: as many as it can be given, which is asked for here.
pub(crate) fn open_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let granted = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    granted.current.unwrap_or(u64::MAX)
}

fn kibibytes_in(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let count: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(count * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read() {
        let disk = disk_space(Path::new("/")).unwrap();
        assert!(disk.free > 0 && disk.free <= disk.total);
        assert!(resident_memory().unwrap() < available_memory().unwrap());
        assert!(open_files() > 2);
    }
}
