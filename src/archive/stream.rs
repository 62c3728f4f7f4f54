//! Writes an archive while somebody reads it.

use std::io::{self, Write};

use zip::{ZipWriter, write::SimpleFileOptions};

/// A file to be packed.
pub(crate) struct Packed {
    /// As git has it: bytes, with slashes.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: PackedKind,
    /// The bytes of the file, or where the link points.
    pub(crate) content: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackedKind {
    File,
    Executable,
    Link,
}

/// Writes the files beneath one folder `top`. A name that is no UTF-8 is written with signs in the place of what is not.
pub(crate) fn stream(
    into: impl Write,
    top: &str,
    files: impl Iterator<Item = io::Result<Packed>>,
) -> Result<(), super::pack::PackError> {
    let mut zip = ZipWriter::new_stream(into);
    for file in files {
        let Packed { path, kind, content } = file?;
        let name = format!("{top}/{}", String::from_utf8_lossy(&path));
        let options = SimpleFileOptions::default();
        match kind {
            PackedKind::Link => zip.add_symlink(name, String::from_utf8_lossy(&content), options)?,
            PackedKind::File | PackedKind::Executable => {
                let mode = if kind == PackedKind::Executable { 0o755 } else { 0o644 };
                zip.start_file(name, options.unix_permissions(mode))?;
                zip.write_all(&content)?;
            }
        }
    }
    zip.finish()?.into_inner().flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::unpack::{UnpackLimits, unpack};

    #[test]
    fn what_is_streamed_can_be_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let (zip, code) = (folder.path().join("r.zip"), folder.path().join("code"));
        let file =
            |path: &[u8], kind, content: &[u8]| Ok(Packed { path: path.to_vec(), kind, content: content.to_vec() });
        let files = [
            file(b"a/b.txt", PackedKind::File, b"text"),
            file(b"run", PackedKind::Executable, b"#!/bin/sh\n"),
            file(b"link", PackedKind::Link, b"a/b.txt"),
            file(b"\xff.txt", PackedKind::File, b""),
        ];
        stream(std::fs::File::create(&zip).unwrap(), "result", files.into_iter()).unwrap();
        assert_eq!(unpack(&zip, &code, &UnpackLimits::default()).unwrap().files, 4);
        assert_eq!(std::fs::read_to_string(code.join("a/b.txt")).unwrap(), "text");
        assert_eq!(std::fs::read_link(code.join("link")).unwrap(), std::path::Path::new("a/b.txt"));
    }
}
