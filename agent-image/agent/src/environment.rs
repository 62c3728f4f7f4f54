//! What a program started in the container can count on: a PATH, a shell, a home it can write to.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Access, access};

use crate::settings::AGENT_VARIABLES;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SPARE_HOME: &str = "/tmp/home";

/// Gives the command a PATH where the environment has none.
pub(crate) fn with_path(command: &mut Command) -> &mut Command {
    if std::env::var_os("PATH").is_none() {
        command.env("PATH", DEFAULT_PATH);
    }
    command
}

/// What every command of a task finds, whoever runs it; nothing of the agent's own.
pub(crate) fn set_environment<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    for variable in AGENT_VARIABLES {
        command.env_remove(variable);
    }
    with_path(command).env("HOME", home).env("LANG", "C.UTF-8").env("TERM", "dumb")
}

/// bash where there is one: that is what models write for.
pub(crate) fn shell() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut candidates =
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join("bash"));
    candidates.find(|bash| access(bash, Access::EXEC_OK).is_ok()).unwrap_or_else(|| "/bin/sh".into())
}

/// The home of the environment belongs to root more often than not; tools that keep caches need one they can write.
pub(crate) fn home() -> PathBuf {
    let own = std::env::var_os("HOME").map(PathBuf::from);
    if let Some(own) = own.filter(|home| home != OsStr::new("/") && access(home, Access::WRITE_OK).is_ok()) {
        return own;
    }
    let spare = PathBuf::from(SPARE_HOME);
    // Where even this fails, programs say so themselves.
    if DirBuilder::new().mode(0o700).create(&spare).is_err() {
        let _ = std::fs::set_permissions(&spare, std::fs::Permissions::from_mode(0o700));
    }
    spare
}
