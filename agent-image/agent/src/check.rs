//! A check of the server's, in the process that becomes its shell: the agent's user, rights and environment, without an agent.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::confine::{ConfineError, User, confine};
use crate::environment::{home, set_environment, shell};

/// Why the shell was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error(transparent)]
    Confine(#[from] ConfineError),
    #[error("cannot start the shell: {0}")]
    Start(io::Error),
}

/// Becomes the shell with this command; returns only when that fails.
pub(crate) fn become_check(user: User, command: &OsStr) -> CheckError {
    if let Err(error) = confine(Some(user)) {
        return error.into();
    }
    let mut shell = Command::new(shell());
    shell.arg("-c").arg(command).stdin(Stdio::null());
    CheckError::Start(set_environment(&mut shell, &home()).exec())
}
