//! One command from start to end: a deadline for it and all that it started, and output in bounded memory.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, copy, sink};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::cut_output::CutOutput;
use crate::descent::{Descent, Elders};
use crate::orphans::OwnChildren;

const READ_AT_ONCE: usize = 64 << 10;
/// How long output may trickle in after the command itself has ended. Only waited for when something it left running
/// holds the pipes open: `>(tee file)` writes its last line then, a daemon writes for ever.
const GRACE: Duration = Duration::from_millis(100);

/// A command that is over.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) ending: Ending,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

#[derive(Debug)]
pub(super) enum Ending {
    /// The exit code; 128 + N after signal N, as a shell counts.
    Exited(i32),
    TimedOut,
}

/// Runs the command until it ends or the deadline kills it with everything it started. What it leaves running after a normal
/// end goes on, and its output is thrown away.
pub(super) async fn run(
    command: &mut Command,
    deadline: Duration,
    max_output: usize,
    children: &OwnChildren,
) -> io::Result<Finished> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let elders = Elders::now();
    let mut child = command.spawn()?;
    let _own = children.started(child.id());
    let descent = Descent::of(&child, elders);
    let mut stdout = Stream { pipe: child.stdout.take(), output: CutOutput::new(max_output) };
    let mut stderr = Stream { pipe: child.stderr.take(), output: CutOutput::new(max_output) };
    let ending = follow(&mut child, descent, deadline, &mut stdout, &mut stderr).await?;
    stdout.discard_rest();
    stderr.discard_rest();
    Ok(Finished { ending, stdout: stdout.output.into_text(), stderr: stderr.output.into_text() })
}

async fn follow<O: AsyncRead + Unpin, E: AsyncRead + Unpin>(
    child: &mut Child,
    descent: Descent,
    deadline: Duration,
    stdout: &mut Stream<O>,
    stderr: &mut Stream<E>,
) -> io::Result<Ending> {
    let mut output = pin!(async { tokio::join!(stdout.read_to_end(), stderr.read_to_end()) });
    let mut read = false;
    let mut deadline = pin!(sleep(deadline));
    let ending = loop {
        tokio::select! {
            status = child.wait() => {
                descent.leave_alone();
                break Ending::Exited(code(status?));
            }
            () = &mut deadline => {
                // Before the leader is reaped: until then its number cannot belong to anybody else.
                drop(descent);
                child.wait().await?;
                break Ending::TimedOut;
            }
            _ = &mut output, if !read => read = true,
        }
    };
    if !read {
        // Whatever holds the pipes open after this was not meant to be waited for.
        let _ = timeout(GRACE, output).await;
    }
    Ok(ending)
}

struct Stream<P> {
    pipe: Option<P>,
    output: CutOutput,
}

impl<P: AsyncRead + Unpin> Stream<P> {
    async fn read_to_end(&mut self) {
        let mut buffer = vec![0; READ_AT_ONCE];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => self.pipe = None,
                Ok(length) => self.output.push(&buffer[..length]),
            }
        }
    }
}

impl<P: AsyncRead + Unpin + Send + 'static> Stream<P> {
    /// A closed pipe would kill a server that logs to it; read on until its end instead.
    fn discard_rest(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            tokio::spawn(async move { copy(&mut pipe, &mut sink()).await });
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}
