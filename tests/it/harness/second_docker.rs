//! A Docker daemon of a test's own, to be stopped, killed and frozen without a word to the one that everybody uses.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::processes::processes_that_name;

/// Runs until dropped, then takes everything of its own along.
pub(crate) struct SecondDocker {
    process: Child,
    folder: TempDir,
    bridge: String,
    after_stop: AfterStop,
}

/// What becomes of containers when the daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterStop {
    TheyEnd,
    /// `live-restore`
    TheyLive,
}

/// A shell and what the tests call in it; taken from this machine, for it is known to run here, and loaded at once.
pub(crate) const SMALL_IMAGE: &str = "atelier-small";
const PROGRAMS: &str = "/bin/bash /bin/sh /bin/cat /bin/ls /bin/sleep";
const PATIENCE: Duration = Duration::from_secs(30);

impl SecondDocker {
    pub(crate) async fn start(after_stop: AfterStop) -> Self {
        let folder = tempfile::Builder::new().prefix("dk").tempdir_in("/tmp").unwrap();
        let bridge = make_bridge();
        let process = launch(folder.path(), &bridge, after_stop);
        let this = Self { process, folder, bridge, after_stop };
        this.answers().await;
        let load = format!(
            "{{ ldd {PROGRAMS} | grep -o '/[^ :]*lib[^ :]*'; printf '%s\\n' {PROGRAMS}; }} | sort -u | sed 's|^/||' |
             tar --create --dereference --directory / --files-from - | docker --host {} import - {SMALL_IMAGE}",
            this.host()
        );
        run("sh", &["-c", &load]);
        this
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// What `docker` says to these arguments.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        run("docker", &[&["--host", &self.host()], arguments].concat())
    }

    /// SIGTERM, as a service manager does it, and waits for the end.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM");
        self.has_ended().await;
    }

    /// SIGKILL. Its containerd follows it, and a new daemon that found it dying would wait for it in vain; the containers
    /// live on.
    pub(crate) async fn kill(&mut self) {
        let containerd = std::fs::read_to_string(self.folder.path().join("exec/containerd/containerd.pid")).unwrap();
        self.signal("KILL");
        self.has_ended().await;
        let asked = Instant::now();
        while Path::new("/proc").join(containerd.trim()).exists() {
            assert!(asked.elapsed() < PATIENCE, "the containerd of the second daemon does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn start_again(&mut self) {
        // Of a daemon that was killed: the number may be another process by now.
        let _ = std::fs::remove_file(self.folder.path().join("docker.pid"));
        self.process = launch(self.folder.path(), &self.bridge, self.after_stop);
        self.answers().await;
    }

    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn signal(&self, name: &str) {
        run("kill", &[&format!("-{name}"), &self.process.id().to_string()]);
    }

    async fn answers(&self) {
        let asked = Instant::now();
        let host = self.host();
        loop {
            let answer = Command::new("docker").args(["--host", &host, "version"]).output().unwrap();
            if answer.status.success() {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.path().join("dockerd.log")).unwrap();
            assert!(asked.elapsed() < PATIENCE, "the second daemon does not answer: {}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn has_ended(&mut self) {
        let asked = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(asked.elapsed() < PATIENCE, "the second daemon does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for SecondDocker {
    fn drop(&mut self) {
        let folder = self.folder.path();
        let _ = Command::new("kill").args(["-KILL", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
        // Its containerd, the shims and what runs in them name our folder.
        let _ = Command::new("kill").arg("-KILL").args(processes_that_name(folder)).stderr(Stdio::null()).status();
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let ours = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for mount in ours.filter(|path| Path::new(path).starts_with(folder)) {
            let _ = Command::new("umount").args(["-l", mount]).status();
        }
        let _ = Command::new("ip").args(["link", "delete", &self.bridge]).status();
    }
}

fn launch(folder: &Path, bridge: &str, after_stop: AfterStop) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("dockerd.log")).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let mut command = Command::new("dockerd");
    command
        .args(["--host", &format!("unix://{}", path("docker.sock")), "--pidfile", &path("docker.pid")])
        .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--bridge", bridge])
        // The rules of the host belong to the other daemon.
        .args(["--iptables=false", "--ip-forward=false", "--ip-masq=false"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    if after_stop == AfterStop::TheyLive {
        command.arg("--live-restore");
    }
    command.spawn().expect("dockerd is installed; `dev/test` does that")
}

/// Without a bridge of its own a second daemon would take the first one's away.
fn make_bridge() -> String {
    let random: u16 = rand::random();
    let bridge = format!("at{random}");
    run("ip", &["link", "add", "name", &bridge, "type", "bridge"]);
    let [high, low] = random.to_be_bytes();
    run("ip", &["address", "add", &format!("10.{high}.{low}.1/24"), "dev", &bridge]);
    run("ip", &["link", "set", &bridge, "up"]);
    bridge
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
