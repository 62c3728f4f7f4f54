//! Deletes trees that an agent wrote. Never in this process: a directory 15 000 levels deep overflows the stack of
//! every recursive remover, which ends the whole server; `rm` walks it with a flat stack.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// Removes `path` with everything beneath it, without crossing into another file system. Nothing there is fine.
pub(crate) async fn remove_tree(path: &Path) -> Result<(), RemoveTreeError> {
    let removal = Command::new("rm")
        .args(["-rf", "--one-file-system", "--"])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    let status = tokio::time::timeout(LONGEST_REMOVAL, removal)
        .await
        .map_err(|_| RemoveTreeError::Timeout { path: path.to_owned() })?
        .map_err(|source| RemoveTreeError::Start { path: path.to_owned(), source })?;
    match tokio::fs::symlink_metadata(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(RemoveTreeError::StillThere { path: path.to_owned(), status }),
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveTreeError {
    #[error("cannot start rm to remove {path}: {source}; install coreutils")]
    Start { path: PathBuf, source: io::Error },
    #[error("removing {path} took longer than {}s; remove it by hand", LONGEST_REMOVAL.as_secs())]
    Timeout { path: PathBuf },
    #[error("{path} could not be removed (rm: {status}); it may hold files of another user, remove it as root")]
    StillThere { path: PathBuf, status: ExitStatus },
}

const LONGEST_REMOVAL: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use rustix::fs::{self, Mode, OFlags};

    use super::*;

    #[tokio::test]
    async fn deep_and_odd_trees_go_and_missing_ones_are_fine() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("-rf");
        std::fs::create_dir(&tree).unwrap();
        std::os::unix::fs::symlink("/etc", tree.join("link")).unwrap();
        let mut deepest = std::fs::File::open(&tree).unwrap();
        for _ in 0..2_000 {
            fs::mkdirat(&deepest, "d", Mode::RWXU).unwrap();
            deepest = fs::openat(&deepest, "d", OFlags::DIRECTORY, Mode::empty()).unwrap().into();
        }
        remove_tree(&tree).await.unwrap();
        assert!(!tree.exists());
        remove_tree(&tree).await.unwrap();
        assert!(Path::new("/etc/passwd").exists());
    }
}
