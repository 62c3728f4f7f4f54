//! Fetching from a repository of ours over HTTP, and a bundle of it. `git http-backend` answers as a web server would have it do;
//! nothing can be written, and nothing of the machine's configuration reaches it.

use std::{io, path::Path, process::Stdio, sync::LazyLock, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdout, Command},
    sync::{Semaphore, SemaphorePermit, mpsc},
    time::{Instant, timeout, timeout_at},
};

use super::command::{ENVIRONMENT, ProcessGroup};

/// What a git on the other side asks for.
#[derive(Debug)]
pub(crate) enum FetchCall {
    /// Which branches there are, and how to go on.
    Refs,
    /// The objects it lacks.
    Pack { request: Vec<u8>, is_gzip: bool },
}

/// What it is told. The body ends with an error when it is not whole.
#[derive(Debug)]
pub(crate) struct FetchAnswer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: mpsc::Receiver<io::Result<Vec<u8>>>,
}

/// Packing is work.
const SIDE_BY_SIDE: usize = 4;
/// For all of an answer, and for one piece of it to be taken.
const LONGEST: Duration = Duration::from_mins(10);
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_HEADER_BYTES: u64 = 8 * 1024;
const PIECES: usize = 4;
const PIECE_BYTES: usize = 64 * 1024;
const MAX_COMPLAINT_BYTES: u64 = 4 * 1024;
const CONFIGURATION: &[&str] = &[
    "http.uploadpack=true",
    "http.receivepack=false",
    "http.getanyfile=false",
    "http.maxRequestBuffer=4m",
    "core.hooksPath=/dev/null",
    "pack.threads=1",
    "pack.windowMemory=256m",
    "gc.auto=0",
    "maintenance.auto=false",
];

static SLOTS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(SIDE_BY_SIDE));

/// Answers; the programs end when the answer is not read on.
pub(crate) async fn answer_fetch(git_dir: &Path, call: FetchCall, protocol: Option<&str>) -> io::Result<FetchAnswer> {
    let slot = SLOTS.acquire().await.map_err(io::Error::other)?;
    let mut command = git();
    command.arg("http-backend").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("GIT_PROJECT_ROOT", git_dir).env("GIT_HTTP_EXPORT_ALL", "1");
    if let Some(protocol) = protocol.filter(|text| is_protocol(text)) {
        command.env("GIT_PROTOCOL", protocol);
    }
    let request = match call {
        FetchCall::Refs => {
            command.env("REQUEST_METHOD", "GET").env("PATH_INFO", "/info/refs");
            command.env("QUERY_STRING", "service=git-upload-pack");
            Vec::new()
        }
        FetchCall::Pack { request, is_gzip } => {
            command.env("REQUEST_METHOD", "POST").env("PATH_INFO", "/git-upload-pack");
            command.env("CONTENT_TYPE", "application/x-git-upload-pack-request");
            command.env("CONTENT_LENGTH", request.len().to_string());
            if is_gzip {
                command.env("HTTP_CONTENT_ENCODING", "gzip");
            }
            request
        }
    };
    let mut child = command.spawn()?;
    let group = ProcessGroup::of(&child);
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("git is not connected"));
    };
    // Both end with the program.
    tokio::spawn(async move { stdin.write_all(&request).await });
    tokio::spawn(listen_to_complaints(stderr));
    let mut stdout = BufReader::with_capacity(PIECE_BYTES, stdout);
    let (status, content_type) = timeout(PATIENCE, read_head(&mut stdout)).await??;
    let (sender, body) = mpsc::channel(PIECES);
    tokio::spawn(hand_over(stdout, child, group, slot, sender));
    Ok(FetchAnswer { status, content_type, body })
}

/// Writes a bundle of a branch to `file`; whoever fetches from it has the commit `without` already. Ends within minutes.
pub(crate) async fn write_bundle(git_dir: &Path, branch: &str, without: Option<&str>, file: &Path) -> io::Result<()> {
    let mut command = git();
    command.arg("-C").arg(git_dir).args(["bundle", "create", "--quiet"]).arg(file);
    command.arg("HEAD").arg(format!("refs/heads/{branch}"));
    command.args(without.map(|commit| format!("^{commit}")));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut group = ProcessGroup::of(&child);
    let output = timeout(LONGEST, child.wait_with_output()).await??;
    group.ended();
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("git bundle: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

fn git() -> Command {
    let mut command = Command::new("git");
    command.env_clear().envs(ENVIRONMENT.iter().copied());
    for setting in CONFIGURATION {
        command.args(["-c", setting]);
    }
    command.process_group(0).kill_on_drop(true);
    command
}

/// `version=2`, as git writes it; anything else is not handed to a program.
fn is_protocol(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b':'))
}

/// The lines before the body, as CGI has them.
async fn read_head(stdout: &mut BufReader<ChildStdout>) -> io::Result<(u16, String)> {
    let (mut status, mut content_type) = (200, None);
    let mut head = stdout.take(MAX_HEADER_BYTES);
    loop {
        let mut line = String::new();
        if head.read_line(&mut line).await? == 0 {
            return Err(io::Error::other("git http-backend gave no answer"));
        }
        let line = line.trim_end();
        match line.split_once(": ") {
            Some(("Status", value)) => status = value.get(..3).and_then(|code| code.parse().ok()).unwrap_or(500),
            Some(("Content-Type", value)) => content_type = Some(value.to_owned()),
            None if line.is_empty() => break,
            _ => {}
        }
    }
    Ok((status, content_type.unwrap_or_else(|| "text/plain".to_owned())))
}

async fn hand_over(
    mut stdout: BufReader<ChildStdout>,
    mut child: tokio::process::Child,
    mut group: ProcessGroup,
    _slot: SemaphorePermit<'static>,
    reader: mpsc::Sender<io::Result<Vec<u8>>>,
) {
    let deadline = Instant::now() + LONGEST;
    let broken = || Err(io::Error::other("broken off"));
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = tokio::select! {
            read = timeout_at(deadline, stdout.read_buf(&mut piece)) => read,
            () = reader.closed() => return,
        };
        match read {
            Ok(Ok(0)) => break,
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => {
                let _ = reader.try_send(broken());
                return;
            }
        }
        if reader.send_timeout(Ok(piece), PATIENCE).await.is_err() {
            return;
        }
    }
    if let Ok(Ok(status)) = timeout_at(deadline, child.wait()).await {
        group.ended();
        if !status.success() {
            let _ = reader.send_timeout(broken(), PATIENCE).await;
        }
    }
}

async fn listen_to_complaints(mut stderr: tokio::process::ChildStderr) {
    let mut said = Vec::new();
    let _ = (&mut stderr).take(MAX_COMPLAINT_BYTES).read_to_end(&mut said).await;
    if !said.is_empty() {
        tracing::info!(said = %String::from_utf8_lossy(&said).trim(), "git had something to say about a fetch");
    }
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
}
