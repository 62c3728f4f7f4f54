//! The program that works in our place: started, listened to, and ended with us.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::{Relay, RelayError};
use crate::descent::{Descent, Elders};
use crate::environment::{home, with_path};
use crate::orphans::OwnChildren;
use crate::run_record::RunRecord;

/// How long output may trickle in after the end, when something the program left running holds the pipes open.
const GRACE: Duration = Duration::from_millis(100);

pub(super) async fn run(
    relay: &Relay,
    port: u16,
    record: &RunRecord,
    children: &OwnChildren,
) -> Result<u8, RelayError> {
    let (program, arguments) = relay.words.split_first().map(|(first, rest)| (first.clone(), rest)).unwrap_or_default();
    let mut command = Command::new(&program);
    with_path(command.as_std_mut());
    command
        .args(arguments)
        .env("MCP_SERVER_URL", format!("http://localhost:{port}"))
        .env("TASK_FILE", &relay.task_file)
        .env("HOME", home())
        .envs(relay.proxy.variables())
        .current_dir(&relay.code)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let elders = Elders::now();
    let mut child = command.spawn().map_err(|source| RelayError::Start { program, source })?;
    let _own = children.started(child.id());
    let descent = Descent::of(&child, elders);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut output = std::pin::pin!(async { tokio::join!(log(stdout, record), log(stderr, record)) });
    let mut read = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = &mut output, if !read => read = true,
        }
    };
    descent.leave_alone();
    if !read {
        // Whatever holds the pipes open after this was not meant to be waited for.
        let _ = timeout(GRACE, output).await;
    }
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    record.note(&format!("the program ended with {code}"));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

async fn log(pipe: Option<impl AsyncRead + Unpin>, record: &RunRecord) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        record.output(&buffer[..length]);
    }
}
