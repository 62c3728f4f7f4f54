//! A copy of this executable for the containers: it stays when the program is upgraded under a running task.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Copies the running executable to `folder` under a name that tells its content, unless it is there already.
pub(crate) fn install(folder: &Path) -> io::Result<PathBuf> {
    let program = fs::read(std::env::current_exe()?)?;
    let digest = HEXLOWER.encode(&Sha256::digest(&program));
    let installed = folder.join(format!("atelier-{}", &digest[..16]));
    if !installed.exists() {
        let draft = installed.with_extension("draft");
        fs::write(&draft, &program)?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
        fs::rename(&draft, &installed)?;
    }
    remove_older(folder, &installed)?;
    Ok(installed)
}

/// A container that still has an older copy mounted keeps it until it ends.
fn remove_older(folder: &Path, current: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path != current {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
