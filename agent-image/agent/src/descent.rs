//! Everything a command started, wherever it went: into another process group, another session, or to another parent.
//!
//! The agent adopts orphans, so whatever a command started stays beneath the agent in the tree of processes. What was
//! there before the command, and what descends from that, is not the command's.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};
use tokio::process::Child;

use crate::processes::{Process, State, processes};

/// How long the killing may take; longer only takes a process that the kernel does not let die.
const PATIENCE: Duration = Duration::from_secs(2);

/// Killed when dropped, so that a run which is cancelled leaves no command behind.
#[derive(Debug)]
pub(crate) struct Descent {
    leader: Option<Pid>,
    elders: Elders,
}

/// What ran before the command.
#[derive(Debug, Default)]
pub(crate) struct Elders {
    processes: HashSet<(i32, u64)>,
    /// Without the agent's own, in which its commands begin.
    sessions: HashSet<i32>,
}

impl Elders {
    /// To be called before the command starts.
    pub(crate) fn now() -> Self {
        let own = own();
        let table = processes().unwrap_or_default();
        let by_pid = index(&table);
        // From the table: rustix panics on the 0 of a session that began outside of the container.
        let session = by_pid.get(&own).map(|process| process.session);
        let elders = || table.iter().filter(|process| process.pid != own && line(process, own, &by_pid).is_some());
        Self {
            processes: elders().map(|process| (process.pid, process.started)).collect(),
            sessions: elders().map(|process| process.session).filter(|other| Some(*other) != session).collect(),
        }
    }

    fn include(&self, process: &Process) -> bool {
        self.processes.contains(&(process.pid, process.started)) || self.sessions.contains(&process.session)
    }
}

impl Descent {
    pub(crate) fn of(child: &Child, elders: Elders) -> Self {
        Self { leader: child.id().and_then(|id| Pid::from_raw(id.cast_signed())), elders }
    }

    /// What still runs of it may go on.
    pub(crate) fn leave_alone(mut self) {
        self.leader = None;
    }

    fn alive(&self) -> Vec<i32> {
        let own = own();
        let table = processes().unwrap_or_default();
        let by_pid = index(&table);
        let descends = |process: &&Process| {
            let line = line(process, own, &by_pid);
            line.is_some_and(|line| !line.into_iter().any(|ancestor| self.elders.include(ancestor)))
        };
        let alive = table.iter().filter(|process| process.pid != own && process.state == State::Alive);
        alive.filter(descends).map(|process| process.pid).collect()
    }
}

impl Drop for Descent {
    fn drop(&mut self) {
        let Some(leader) = self.leader else { return };
        let began = Instant::now();
        // At once whoever is still in the group; whoever forks meanwhile shows in the next round.
        let _ = kill_process_group(leader, Signal::KILL);
        loop {
            let alive = self.alive();
            if alive.is_empty() || began.elapsed() > PATIENCE {
                return;
            }
            for pid in alive.into_iter().filter_map(Pid::from_raw) {
                // Its number is its own until the agent reaps it, which it does not do meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn own() -> i32 {
    getpid().as_raw_nonzero().get()
}

fn index(processes: &[Process]) -> HashMap<i32, &Process> {
    processes.iter().map(|process| (process.pid, process)).collect()
}

/// The process and its ancestors up to a child of the agent; `None` when it does not descend from the agent.
fn line<'a>(process: &'a Process, own: i32, by_pid: &HashMap<i32, &'a Process>) -> Option<Vec<&'a Process>> {
    let mut line = vec![process];
    while let Some(last) = line.last().filter(|last| last.parent != own) {
        // A table read while it changed may close a circle.
        let parent = by_pid.get(&last.parent).filter(|_| line.len() <= by_pid.len())?;
        line.push(parent);
    }
    Some(line)
}
