//! Runs the `git` program: nothing of the machine's configuration reaches it, and nothing of it outlives its limits.

use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use data_encoding::BASE64;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::clone::CloneLimits;
use super::progress::Transcript;
use super::proxy::CloneProxy;
use crate::config::GitToken;
use crate::domain::source::RepoUrl;

/// Everything the runs of git for one clone have in common.
pub(super) struct Git<'a> {
    pub(super) url: &'a RepoUrl,
    pub(super) token: Option<&'a GitToken>,
    pub(super) proxy: &'a CloneProxy,
    pub(super) limits: &'a CloneLimits,
    /// When the whole clone has to be done.
    pub(super) deadline: Instant,
}

/// How a run of git ended on its own.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) transcript: Transcript,
}

/// Why a run of git was ended, or never began.
#[derive(Debug)]
pub(super) enum Stopped {
    NotStarted(io::Error),
    Deadline,
    Idle,
    TooManyObjects,
    TooMuchOutput,
}

/// Where programs are on every system; the server's own PATH is not read.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin";

/// A home that is no directory holds no configuration, no credentials and no `.netrc`.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", PATH),
    ("HOME", "/dev/null"),
    ("XDG_CONFIG_HOME", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_ALLOW_PROTOCOL", "https:http"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
];

const CONFIGURATION: &[&str] = &[
    "protocol.allow=never",
    "protocol.https.allow=always",
    // A server may rename a repository; the proxy stops a redirect that leaves the host.
    "http.followRedirects=initial",
    "http.proxyAuthMethod=basic",
    "credential.helper=",
    "core.hooksPath=/dev/null",
    "core.symlinks=true",
    "submodule.recurse=false",
    "transfer.bundleURI=false",
    // A small pack is unpacked in memory, a large one is streamed: stream all of them.
    "transfer.unpackLimit=1",
    "pack.threads=2",
    "gc.auto=0",
    "maintenance.auto=false",
    "init.defaultBranch=main",
    "advice.detachedHead=false",
];

/// Address space for each process of git: enough for a repository at its limits, too little to bring the machine down.
const MAX_ADDRESS_SPACE: u64 = 4 << 30;

const MAX_STDOUT: usize = 32 << 20;

const CHECK_EVERY: Duration = Duration::from_millis(250);

impl Git<'_> {
    /// Runs git with `arguments` to its end and hands what it says on the way to `progress`.
    pub(super) async fn run(
        &self,
        arguments: &[&OsStr],
        progress: &mut (dyn FnMut(String) + Send),
    ) -> Result<Finished, Stopped> {
        let mut child = self.command(arguments).spawn().map_err(Stopped::NotStarted)?;
        let mut group = ProcessGroup::of(&child);
        let (Some(mut child_stdout), Some(mut child_stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Stopped::NotStarted(io::Error::other("its output is not connected")));
        };
        let mut stdout = Vec::new();
        let mut transcript = Transcript::default();
        let mut activity = Activity { received: self.proxy.received(), last: Instant::now() };
        let mut check = tokio::time::interval(CHECK_EVERY);
        let (mut stdout_open, mut stderr_open) = (true, true);
        let mut chunk = vec![0; 16 * 1024];
        let mut other_chunk = vec![0; 16 * 1024];
        while stdout_open || stderr_open {
            tokio::select! {
                read = read(&mut child_stdout, &mut chunk), if stdout_open => {
                    stdout_open = read > 0;
                    stdout.extend_from_slice(&chunk[..read]);
                    activity.last = Instant::now();
                }
                read = read(&mut child_stderr, &mut other_chunk), if stderr_open => {
                    stderr_open = read > 0;
                    transcript.push(&other_chunk[..read], progress);
                    activity.last = Instant::now();
                }
                _ = check.tick() => activity.note(self.proxy.received()),
            }
            if stdout.len() > MAX_STDOUT {
                return Err(Stopped::TooMuchOutput);
            } else if transcript.objects() > self.limits.max_objects {
                return Err(Stopped::TooManyObjects);
            } else if Instant::now() >= self.deadline {
                return Err(Stopped::Deadline);
            } else if activity.last.elapsed() >= self.limits.idle {
                return Err(Stopped::Idle);
            }
        }
        let status = match tokio::time::timeout_at(self.deadline, child.wait()).await {
            Ok(status) => status.map_err(Stopped::NotStarted)?,
            Err(_) => return Err(Stopped::Deadline),
        };
        group.ended();
        transcript.flush(progress);
        Ok(Finished { status, stdout, transcript })
    }

    fn command(&self, arguments: &[&OsStr]) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(ENVIRONMENT.iter().copied());
        // Not by `-c`: everyone on the machine can read an argv.
        command.env("http_proxy", self.proxy.url()).env("https_proxy", self.proxy.url());
        if let Some(GitToken { username, token: Some(token), .. }) = self.token {
            let login = BASE64.encode(format!("{username}:{}", token.expose_secret()).as_bytes());
            command.env("GIT_CONFIG_COUNT", "1");
            let scheme = if self.url.is_plain_http() { "http" } else { "https" };
            let origin = format!("{scheme}://{}:{}", self.url.host(), self.url.port());
            command.env("GIT_CONFIG_KEY_0", format!("http.{origin}/.extraHeader"));
            command.env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {login}"));
        }
        for setting in CONFIGURATION {
            command.args(["-c", setting]);
        }
        if self.url.is_plain_http() {
            command.args(["-c", "protocol.http.allow=always"]);
        }
        command.args(arguments).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Reads what is there; a broken pipe is an end.
async fn read(source: &mut (impl AsyncRead + Unpin), chunk: &mut [u8]) -> usize {
    source.read(chunk).await.unwrap_or(0)
}

/// The last sign of life: bytes from the server or words from git.
struct Activity {
    received: u64,
    last: Instant,
}

impl Activity {
    fn note(&mut self, received: u64) {
        if received != self.received {
            *self = Self { received, last: Instant::now() };
        }
    }
}

/// git and the programs it starts. They end together, also when the caller is dropped.
pub(super) struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    pub(super) fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if leader.is_some() {
            let limit = Rlimit { current: Some(MAX_ADDRESS_SPACE), maximum: Some(MAX_ADDRESS_SPACE) };
            // The programs it starts inherit the limit. A git that has ended already needs none.
            let _ = prlimit(leader, Resource::As, limit);
        }
        Self(leader)
    }

    /// Once the leader is reaped its number may be given to another process.
    pub(super) fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
