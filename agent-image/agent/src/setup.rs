//! The start of the setup phase, in the process that becomes `setup.sh`: root, but with the same filter of system calls as
//! the agent, and behind a fence around the network.

use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::thread::set_no_new_privs;

use crate::fence::{self, Fence, FenceError};
use crate::kernel_filter::{self, FilterError};
use crate::proxy::Proxy;

/// Why the program was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("cannot set no_new_privs: {0}")]
    NoNewPrivs(#[from] Errno),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error("cannot start {program:?}: {source}{}", hint(source))]
    Start { program: OsString, source: io::Error },
}

impl SetupError {
    /// As a shell has it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Start { source, .. } if source.kind() == ErrorKind::NotFound => 127,
            _ => 126,
        }
    }
}

/// Becomes the program, behind the fence if there is one; returns only when that fails.
pub(crate) fn become_program(words: &[OsString], fence: Option<&Fence>, proxy: Proxy) -> SetupError {
    if let Some(home) = env::home_dir() {
        proxy.write_files(&home);
    }
    // Before the filter of system calls, which leaves nobody a way to change the network.
    if let Some(fence) = fence
        && let Err(error) = fence::put_up(fence)
    {
        return error.into();
    }
    if let Err(error) = set_no_new_privs(true) {
        return error.into();
    }
    if let Err(error) = kernel_filter::apply() {
        return error.into();
    }
    let (program, arguments) = words.split_first().map(|(first, rest)| (first.clone(), rest)).unwrap_or_default();
    let source = Command::new(&program).args(arguments).envs(proxy.variables()).exec();
    SetupError::Start { program, source }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => {
            "; the interpreter that its first line names may be missing (or end with a carriage return)"
        }
        _ => "",
    }
}
