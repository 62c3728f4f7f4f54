//! Everything in the container that loses its parent becomes a child of the agent: it can be found there, and it is
//! reaped there. Unreaped, it would count against the limit of processes.

use std::cell::RefCell;
use std::collections::HashSet;
use std::convert::Infallible;
use std::io;

use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use tokio::signal::unix::{SignalKind, signal};

use crate::processes::{State, processes};

/// The children whose exit status somebody here waits for.
#[derive(Debug, Default)]
pub(crate) struct OwnChildren(RefCell<HashSet<i32>>);

/// While this lives, the child is not reaped as an orphan.
#[derive(Debug)]
pub(crate) struct OwnChild<'a> {
    children: &'a OwnChildren,
    pid: i32,
}

impl OwnChildren {
    /// To be called before anything else has a chance to run.
    pub(crate) fn started(&self, pid: Option<u32>) -> OwnChild<'_> {
        let pid = pid.unwrap_or_default().cast_signed();
        self.0.borrow_mut().insert(pid);
        OwnChild { children: self, pid }
    }
}

impl Drop for OwnChild<'_> {
    fn drop(&mut self) {
        self.children.0.borrow_mut().remove(&self.pid);
    }
}

/// Makes this process the one that orphans beneath it go to, as PID 1 of a container is anyway.
pub(crate) fn adopt() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Reaps for ever what nobody waits for.
pub(crate) async fn reap(children: &OwnChildren) -> io::Result<Infallible> {
    let mut child_ended = signal(SignalKind::child())?;
    let own = getpid().as_raw_nonzero().get();
    loop {
        // By number and not "any child": that would steal the status of our own.
        let zombies =
            processes()?.into_iter().filter(|process| process.parent == own && process.state == State::Zombie);
        for zombie in zombies.filter(|process| !children.0.borrow().contains(&process.pid)) {
            // One that is gone already is as good.
            let _ = waitpid(Pid::from_raw(zombie.pid), WaitOptions::NOHANG);
        }
        child_ended.recv().await;
        // Mostly it is a command whose result is on its way: that goes first.
        tokio::task::yield_now().await;
    }
}
