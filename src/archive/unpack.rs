//! Unpacks an archive into a new folder, within limits and never out of it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, OpenOptions, OpenOptionsExt};

use super::directory::{Directory, Entry, EntryKind};
use super::error::ArchiveError;
use super::names::Components;
use crate::config;

/// What an archive may turn into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnpackLimits {
    /// Files, folders and links together.
    pub(crate) max_files: usize,
    pub(crate) max_bytes: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self { max_files: 50_000, max_bytes: 1 << 30 }
    }
}

impl From<&config::Source> for UnpackLimits {
    fn from(settings: &config::Source) -> Self {
        let max_files = usize::try_from(settings.max_files).unwrap_or(usize::MAX);
        Self { max_files, max_bytes: settings.max_unpacked_bytes }
    }
}

/// What an archive turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// Files and links.
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

/// Judges an archive without writing anything: its names, links and sizes, and the content of every file against what is
/// declared of it. Blocks.
pub(crate) fn inspect(zip: &Path, limits: &UnpackLimits) -> Result<Unpacked, ArchiveError> {
    let mut directory = Directory::read(zip, limits)?;
    let Directory { archive, entries, .. } = &mut directory;
    for Entry { kind, .. } in entries {
        if let EntryKind::File { index, size, .. } = kind {
            write_file(&mut archive.by_index(*index)?, &mut io::sink(), *size)?;
        }
    }
    Ok(directory.contents())
}

/// Unpacks into `into`, which must be missing or empty and is gone again if this fails. Blocks.
pub(crate) fn unpack(zip: &Path, into: &Path, limits: &UnpackLimits) -> Result<Unpacked, ArchiveError> {
    let mut directory = Directory::read(zip, limits)?;
    fs::create_dir_all(into)?;
    if fs::read_dir(into)?.next().is_some() {
        return Err(ArchiveError::Io(io::ErrorKind::DirectoryNotEmpty.into()));
    }
    let written = write_all(&mut directory, into);
    if written.is_err() {
        // No container has been here and no path is deep: the removal in this process is safe.
        if let Err(error) = fs::remove_dir_all(into) {
            tracing::warn!(%error, path = %into.display(), "half an archive stays behind");
        }
    }
    written.map(|()| directory.contents())
}

impl Directory {
    fn contents(&self) -> Unpacked {
        let files = self.entries.iter().filter(|entry| !matches!(entry.kind, EntryKind::Folder)).count();
        Unpacked { files, bytes: self.bytes }
    }
}

fn write_all(directory: &mut Directory, into: &Path) -> Result<(), ArchiveError> {
    let root = Dir::open_ambient_dir(into, ambient_authority())?;
    let Directory { archive, entries, .. } = directory;
    for Entry { path, kind } in entries {
        let path = path_of(path);
        let path = Path::new(OsStr::from_bytes(&path));
        match kind {
            EntryKind::Folder => root.create_dir_with(path, DirBuilder::new().mode(0o755))?,
            EntryKind::File { index, size, mode } => {
                // Executable or not is all that counts of the mode; the owner can always read and write.
                let mut options = OpenOptions::new();
                options.write(true).create_new(true).mode(*mode & 0o755 | 0o600);
                let mut file = root.open_with(path, &options)?;
                write_file(&mut archive.by_index(*index)?, &mut file, *size)?;
            }
            EntryKind::Link { target } => root.symlink(OsStr::from_bytes(target), path)?,
        }
    }
    Ok(())
}

/// Writes exactly as much as was declared and judged; reading to the end checks the sum as well.
fn write_file(content: &mut impl Read, file: &mut impl Write, size: u64) -> Result<(), ArchiveError> {
    let written = io::copy(&mut content.take(size), file)?;
    let is_longer = content.read(&mut [0])? > 0;
    if written == size && !is_longer {
        Ok(())
    } else {
        Err(ArchiveError::Invalid("an entry is not as long as the archive says".to_owned()))
    }
}

fn path_of(components: &Components) -> Vec<u8> {
    components.join(&b'/')
}
