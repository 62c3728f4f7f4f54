//! The programs that a process and its children start, with their arguments, as `strace` sees them.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Watches from when it is made.
pub(crate) struct Programs {
    strace: std::process::Child,
    log: tempfile::NamedTempFile,
}

impl Programs {
    pub(crate) async fn started_by(process: u32) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "-e", "trace=execve", "-s", "9999", "-p", &process.to_string(), "-o"])
            .arg(log.path());
        let strace = strace.stderr(Stdio::null()).spawn().expect("strace is installed (dev/prepare does it)");
        let is_traced = |thread: std::io::Result<std::fs::DirEntry>| {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default();
            !status.contains("TracerPid:\t0")
        };
        let started = Instant::now();
        while !std::fs::read_dir(format!("/proc/{process}/task")).unwrap().all(is_traced) {
            assert!(started.elapsed() < Duration::from_secs(10), "strace cannot look at the server");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { strace, log }
    }

    /// Every start of a program, a line each.
    pub(crate) fn stop(mut self) -> Vec<String> {
        // Asked to end, it lets go of the server.
        Command::new("kill").arg(self.strace.id().to_string()).status().unwrap();
        self.strace.wait().unwrap();
        std::fs::read_to_string(self.log.path()).unwrap().lines().map(str::to_owned).collect()
    }
}
