//! What the kernel says of the container's memory: how often it ended a process because there was none left, and how much
//! was in use at most. A process that is killed so ends like any other that got SIGKILL; only this counter tells why.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The counters since the container began; `atelier agent memory` prints them as a line of JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// Processes the kernel ended.
    pub killed: u64,
    /// The most that was in use; 0 when the kernel does not say.
    pub peak_bytes: u64,
}

impl MemoryReport {
    /// Of this container, under cgroups of version 2 or 1. All zero where there are none.
    pub(crate) fn now() -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let of_version = |events: &str, peak: &str| {
            let events = fs::read_to_string(root.join(events)).ok()?;
            let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()?;
            let peak = fs::read_to_string(root.join(peak)).unwrap_or_default();
            Some(Self { killed, peak_bytes: peak.trim().parse().unwrap_or(0) })
        };
        of_version("memory.events", "memory.peak")
            .or_else(|| of_version("memory/memory.oom_control", "memory/memory.max_usage_in_bytes"))
            .unwrap_or_default()
    }

    /// The report in words.
    pub fn describe(self) -> String {
        const MIB: u64 = 1 << 20;
        let processes = if self.killed == 1 { "a process".to_owned() } else { format!("{} processes", self.killed) };
        let peak = match self.peak_bytes / MIB {
            0 => String::new(),
            mib => format!(", of which at most {mib} MiB were in use"),
        };
        format!("the kernel ended {processes} because the container's memory was used up{peak}")
    }
}

/// Tells what is new since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct OomWatch {
    /// `None` before the first look: what setup did is not the agent's.
    seen: Cell<Option<u64>>,
}

impl OomWatch {
    pub(crate) fn begin(&self) {
        if self.seen.get().is_none() {
            self.seen.set(Some(MemoryReport::now().killed));
        }
    }

    /// Processes that were ended since the last look.
    pub(crate) fn news(&self) -> Option<MemoryReport> {
        let report = MemoryReport::now();
        let killed = report.killed.saturating_sub(self.seen.get()?);
        self.seen.set(Some(report.killed));
        (killed > 0).then_some(MemoryReport { killed, ..report })
    }
}
