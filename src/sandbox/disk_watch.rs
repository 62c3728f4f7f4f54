//! What a task has on the disk, looked at while its container runs: Docker has no quota for mounted folders.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use bollard::query_parameters::InspectContainerOptionsBuilder;
use tokio::process::Command;

use super::Container;

/// More than the task may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskUse {
    pub(crate) bytes: u64,
    /// Folders count as well.
    pub(crate) files: u64,
}

const PAUSE: Duration = Duration::from_secs(1);
/// Counting costs time. It is worth it when the file system lost this share of what the task may have…
const SHARE: u64 = 20;
/// … or after this long, since others may have freed what the task took.
const COUNT_ANYWAY: Duration = Duration::from_secs(20);
const LONGEST_COUNT: Duration = Duration::from_mins(1);

impl Container {
    /// Returns when the container has more on the disk than the settings allow, in `trees` and in what it changed of its
    /// image.
    pub(crate) async fn overfills_disk(&self, trees: &[PathBuf]) -> DiskUse {
        let settings = &self.engine.shared.settings;
        let mut counted: Option<(Instant, DiskUse)> = None;
        loop {
            let free = trees.first().and_then(|tree| free(tree));
            let is_worth_it = match (counted, free) {
                (Some((at, then)), Some(now)) => {
                    at.elapsed() > COUNT_ANYWAY
                        || then.bytes.saturating_sub(now.bytes) > settings.disk_bytes / SHARE
                        || then.files.saturating_sub(now.files) > settings.disk_files / SHARE
                }
                _ => true,
            };
            if is_worth_it {
                let (bytes, files, layer) =
                    tokio::join!(count(trees, "--block-size=1"), count(trees, "--inodes"), self.layer_bytes());
                let used = DiskUse { bytes: bytes.saturating_add(layer), files };
                if used.bytes > settings.disk_bytes || used.files > settings.disk_files {
                    return used;
                }
                counted = free.map(|free| (Instant::now(), free));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What was written beside the mounts.
    async fn layer_bytes(&self) -> u64 {
        let Ok(client) = self.engine.client().await else { return 0 };
        let options = InspectContainerOptionsBuilder::default().size(true).build();
        let inspected = client.inspect_container(&self.name, Some(options)).await;
        inspected.ok().and_then(|found| found.size_rw).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
    }
}

/// Free room of the file system, in bytes and files.
fn free(tree: &Path) -> Option<DiskUse> {
    let found = rustix::fs::statvfs(tree).ok()?;
    Some(DiskUse { bytes: found.f_bavail.saturating_mul(found.f_frsize), files: found.f_ffree })
}

/// In a process of its own, as for removing: no depth of the tree harms it. What cannot be read is left out.
async fn count(trees: &[PathBuf], unit: &str) -> u64 {
    let mut command = Command::new("du");
    command.args(["--summarize", "--total", "--one-file-system", unit, "--"]).args(trees);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(LONGEST_COUNT, output).await {
        Ok(Ok(output)) => total(&String::from_utf8_lossy(&output.stdout)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot start du; install coreutils, or a task may fill the disk");
            0
        }
        Err(_) => 0,
    }
}

fn total(report: &str) -> u64 {
    let last = report.lines().last().unwrap_or_default();
    last.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(0)
}
