//! Packs a working folder for a task, as its owner would: without `.git` and what `.gitignore` leaves out.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use super::unpack::Unpacked;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    #[error("the folder cannot be read: {0}")]
    Walk(#[from] ignore::Error),
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{0:?} has a name that is no UTF-8, which a zip cannot hold; rename it")]
    Name(PathBuf),
    #[error("the archive cannot be written: {0}")]
    Write(#[from] io::Error),
    #[error("the archive cannot be written: {0}")]
    Zip(#[from] ZipError),
}

/// The folder that everything lies in. Unpacking leaves a single top folder out, so that this one is never seen again,
/// and a single folder of the source stays.
const TOP: &str = "source";

/// Packs the files and links of `folder` into a new archive at `into`, with their executable bits. Sockets, FIFOs and
/// devices are left out. Blocks.
pub(crate) fn pack(folder: &Path, into: &Path) -> Result<Unpacked, PackError> {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(into)?));
    let mut packed = Unpacked { files: 0, bytes: 0 };
    // In one spelling, so that an archive within the folder is known when the walk meets it.
    let (folder, archive) = (folder.canonicalize()?, into.canonicalize()?);
    let walk = WalkBuilder::new(&folder)
        .hidden(false)
        .ignore(false)
        .require_git(false)
        .sort_by_file_name(OsStr::cmp)
        .filter_entry(move |entry| entry.file_name() != ".git" && entry.path() != archive)
        .build();
    for entry in walk {
        let entry = entry?;
        let path = entry.path();
        let read = |source| PackError::Read { path: path.to_owned(), source };
        let Some(name) = path.strip_prefix(&folder).ok().filter(|name| !name.as_os_str().is_empty()) else { continue };
        let utf_8 = |name: &Path| name.to_str().map(ToOwned::to_owned).ok_or_else(|| PackError::Name(path.to_owned()));
        let name = format!("{TOP}/{}", utf_8(name)?);
        match entry.file_type() {
            Some(kind) if kind.is_symlink() => {
                let target = utf_8(&fs::read_link(path).map_err(read)?)?;
                zip.add_symlink(name, target, SimpleFileOptions::default())?;
            }
            Some(kind) if kind.is_file() => {
                let mut file = File::open(path).map_err(read)?;
                let metadata = file.metadata().map_err(read)?;
                let mode = if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
                let is_large = metadata.len() >= u64::from(u32::MAX);
                zip.start_file(name, SimpleFileOptions::default().unix_permissions(mode).large_file(is_large))?;
                packed.bytes += io::copy(&mut file, &mut zip)?;
            }
            _ => continue,
        }
        packed.files += 1;
    }
    zip.finish()?.flush()?;
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::archive::unpack::{UnpackLimits, unpack};

    #[test]
    fn what_is_packed_and_unpacked_is_what_git_would_add() {
        let folder = tempfile::tempdir().unwrap();
        let (source, zip, code) =
            (folder.path().join("w"), folder.path().join("w/source.zip"), folder.path().join("code"));
        for (name, content) in [
            ("src/main.rs", "fn main() {}\n"),
            ("src/run.sh", "#!/bin/sh\n"),
            ("src/target/out", "ignored"),
            ("src/.gitignore", "/target/\n"),
            ("src/.github/ci.yml", "on: push\n"),
            (".git/config", "[core]\n"),
        ] {
            let path = source.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        fs::set_permissions(source.join("src/run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("main.rs", source.join("src/link")).unwrap();
        let packed = pack(&source, &zip).unwrap();
        let unpacked = unpack(&zip, &code, &UnpackLimits::default()).unwrap();
        assert_eq!((packed.files, unpacked.files), (5, 5));
        // The one folder of the source is still there.
        assert_eq!(fs::read_to_string(code.join("src/main.rs")).unwrap(), "fn main() {}\n");
        assert_eq!(fs::metadata(code.join("src/run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_link(code.join("src/link")).unwrap(), Path::new("main.rs"));
        assert!(code.join("src/.github/ci.yml").exists() && !code.join("src/target").exists());
    }
}
