//! A server without a home. libgit2 reads the git configuration of whoever runs it: what stands there would change what
//! tasks do, and a home that cannot be read would end them all. No safe call keeps it from that, so the program starts
//! itself once more with a home where nothing is, before it has done anything.

use std::{env, io, os::unix::process::CommandExt, process::Command};

const NOWHERE: &str = "/dev/null";

/// Returns when there is no home to read from; an error when the program cannot be started anew.
pub(crate) fn leave_home() -> io::Result<()> {
    if env::var_os("HOME").is_some_and(|home| home == NOWHERE) {
        return Ok(());
    }
    let mut arguments = env::args_os();
    let mut again = Command::new(env::current_exe()?);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // What is ours lies where it would have lain.
    if env::var_os("XDG_DATA_HOME").is_none()
        && let Some(home) = env::home_dir()
    {
        again.env("XDG_DATA_HOME", home.join(".local/share"));
    }
    Err(again.args(arguments).env("HOME", NOWHERE).env("XDG_CONFIG_HOME", NOWHERE).exec())
}
