//! The moment between setup and agent, done by root: nothing that setup left runs on, the trees belong to the agent,
//! and the server hears which network interfaces are left.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::confine::User;
use crate::ownership::{self, OwnershipError};
use crate::processes::{Process, State, processes};

/// How long the sweep may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// `PROC_PID_INIT_INO` of the kernel: the namespace of a machine itself, not of a container.
const MACHINE_PID_NAMESPACE: &str = "pid:[4026531836]";

/// What `settle` prints: one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub killed: u64,
    /// What did not die in time, as `PID NAME`. Anything here is a reason not to start the agent.
    pub processes_left: Vec<String>,
    /// Entries whose owner or mode had to be changed.
    pub chowned: u64,
    pub interfaces: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error("this is not a container: settle would kill every process of the machine")]
    NotAContainer,
    #[error("cannot read {path}: {source}")]
    Proc { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
}

/// Kills every process of the container but PID 1 and this one, then gives the folders to the user.
pub fn settle(user: User, folders: &[PathBuf]) -> Result<Report, SettleError> {
    let namespace = Path::new("/proc/self/ns/pid");
    let own = std::fs::read_link(namespace).map_err(|source| SettleError::Proc { path: namespace.into(), source })?;
    if own == Path::new(MACHINE_PID_NAMESPACE) {
        return Err(SettleError::NotAContainer);
    }
    let (killed, processes_left) = sweep()?;
    let owned = ownership::own(user, folders)?;
    Ok(Report { killed, processes_left, chowned: owned.chowned, interfaces: interfaces()? })
}

/// Kills until nobody is left. All at once, for whoever forks faster than one could be killed after the other.
fn sweep() -> Result<(u64, Vec<String>), SettleError> {
    let began = Instant::now();
    let mut killed = HashSet::new();
    loop {
        let alive = others_alive()?;
        if alive.is_empty() || began.elapsed() > PATIENCE {
            killed.retain(|pid| alive.iter().all(|process| process.pid != *pid));
            let left = alive.into_iter().map(|process| format!("{} {}", process.pid, process.name));
            return Ok((killed.len() as u64, left.collect()));
        }
        killed.extend(alive.into_iter().map(|process| process.pid));
        // By its definition this reaches everybody but PID 1 and us; what it does not reach shows in the next round.
        let _ = kill_process_group(Pid::INIT, Signal::KILL);
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn others_alive() -> Result<Vec<Process>, SettleError> {
    let own = getpid().as_raw_nonzero().get();
    let processes = processes().map_err(|source| SettleError::Proc { path: "/proc".into(), source })?;
    let others = processes.into_iter().filter(|process| process.pid != 1 && process.pid != own);
    Ok(others.filter(|process| process.state == State::Alive).collect())
}

fn interfaces() -> Result<Vec<String>, SettleError> {
    let path = Path::new("/proc/net/dev");
    let table = std::fs::read_to_string(path).map_err(|source| SettleError::Proc { path: path.into(), source })?;
    // Two lines of headings, then `NAME: counters`.
    let names = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}
