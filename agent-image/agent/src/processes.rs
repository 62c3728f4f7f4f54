//! The processes that `/proc` shows.

use std::io;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// Since boot, in ticks. Together with the number it belongs to one process for ever.
    pub(crate) started: u64,
    pub(crate) name: String,
    pub(crate) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Alive,
    /// Ended; its parent has not asked for its status yet.
    Zombie,
}

/// Those that were there while it looked; a process that begins meanwhile may be missing.
pub(crate) fn processes() -> io::Result<Vec<Process>> {
    let entries = std::fs::read_dir("/proc")?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    Ok(pids.filter_map(process).collect())
}

/// `None` for one that has gone.
fn process(pid: i32) -> Option<Process> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // `PID (NAME) STATE PPID PGRP SESSION …`, where NAME may hold anything, brackets too.
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let dead = matches!(*fields.first()?, "Z" | "X");
    // A leader that has ended shows as a zombie while its threads go on.
    let threads: u64 = fields.get(17)?.parse().ok()?;
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        name: name.to_owned(),
        state: if dead && threads <= 1 { State::Zombie } else { State::Alive },
    })
}
