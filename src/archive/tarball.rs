//! Whole trees in one tar file: what a backup is made of. Unlike a zip it holds any name of a file.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use tar::{Archive, Builder};

/// Packs files and folders under the names given into the new tar file `into`. What goes away meanwhile is left out;
/// links are packed as links. On disk when this returns. Blocks.
pub(crate) fn pack_trees(trees: &[(PathBuf, String)], into: File) -> io::Result<()> {
    let mut tar = Builder::new(BufWriter::new(into));
    tar.follow_symlinks(false);
    for (path, name) in trees {
        pack_tree(&mut tar, path, Path::new(name))?;
    }
    let mut file = tar.into_inner()?;
    file.flush()?;
    file.get_ref().sync_all()
}

fn pack_tree(tar: &mut Builder<BufWriter<File>>, path: &Path, name: &Path) -> io::Result<()> {
    let packed = if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        tar.append_dir(name, path).and_then(|()| {
            std::fs::read_dir(path)?.try_for_each(|entry| {
                let entry = entry?;
                pack_tree(tar, &entry.path(), &name.join(entry.file_name()))
            })
        })
    } else {
        tar.append_path_with_name(path, name)
    };
    match packed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        packed => packed,
    }
}

/// Unpacks into the folder `into`; names that lead out of it are left out. Blocks.
pub(crate) fn unpack_trees(tar: File, into: &Path) -> io::Result<()> {
    let mut archive = Archive::new(BufReader::new(tar));
    archive.set_preserve_permissions(true);
    archive.unpack(into)
}
