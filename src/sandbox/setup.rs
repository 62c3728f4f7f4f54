//! The setup phase: `setup.sh` as root with network, and what must be true before the agent may start.

use std::time::{Duration, Instant};

use atelier_agent::{memory::MemoryReport, settle::Report};
use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecResults},
    models::ExecInspectResponse,
};
use futures_util::StreamExt;

use super::{CodeAccess, Container, Exit, SandboxError, container::KILLED, fence, spec};

/// How `setup.sh` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetupEnd {
    Exited(i64),
    /// It ran longer than allowed and runs still: the container is to be removed, not the waiting.
    TimedOut,
    /// It wrote nothing for longer than allowed, and runs still.
    Silent,
    /// The kernel ended a process of it for want of memory, and it failed then; with what is known.
    OutOfMemory(Option<MemoryReport>),
    /// Somebody killed or removed the container.
    Killed,
    DockerRestarted,
}

/// How long it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetupTimes {
    pub(crate) total: Duration,
    /// Between two outputs.
    pub(crate) silence: Duration,
}

/// The network interfaces seen from inside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interfaces(pub(crate) Vec<String>);

const SETTLE_TIMEOUT: Duration = Duration::from_mins(2);
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// For the daemon to notice that a container is dead.
const DEATH: Duration = Duration::from_secs(2);
/// For the last output of a command that has ended.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How often a silent command is looked at.
const LOOK: Duration = Duration::from_secs(1);

impl Container {
    /// Runs `command` as root in the code directory; its output goes to `output` as it comes.
    pub(crate) async fn run_setup(
        &self,
        command: Vec<String>,
        environment: Vec<String>,
        times: SetupTimes,
        output: impl FnMut(&[u8]),
    ) -> Result<SetupEnd, SandboxError> {
        let mut wrapped = [spec::EXECUTABLE, "agent", "setup"].map(str::to_owned).to_vec();
        if self.network.is_some() {
            wrapped.extend(fence::arguments(&self.engine.shared.settings));
        } else {
            wrapped.push("--proxied".to_owned());
        }
        wrapped.push("--".to_owned());
        wrapped.extend(command);
        let run = self.exec_as_root(wrapped, environment, times.silence, output);
        match tokio::time::timeout(times.total, run).await {
            Ok(Ok(Some(0))) => Ok(SetupEnd::Exited(0)),
            Ok(Ok(Some(code))) => self.explain(code).await,
            Ok(Ok(None)) => Ok(SetupEnd::Silent),
            // The daemon has nothing to say of a command whose container is gone.
            Ok(Err(error)) => match self.ended().await {
                Ok(Some(_)) => self.explain(KILLED).await,
                _ => Err(error),
            },
            Err(_) => Ok(SetupEnd::TimedOut),
        }
    }

    /// What is behind an exit code that is not 0.
    async fn explain(&self, code: i64) -> Result<SetupEnd, SandboxError> {
        match self.ended().await? {
            Some(_) => Ok(with_the_container(self.wait().await?)),
            None => match self.memory().await {
                Some(report) if report.killed > 0 => Ok(SetupEnd::OutOfMemory(Some(report))),
                Some(_) => Ok(SetupEnd::Exited(code)),
                // The command may have died with its container before the daemon knows.
                None => match tokio::time::timeout(DEATH, self.wait()).await {
                    Ok(exit) => Ok(with_the_container(exit?)),
                    Err(_) => Ok(SetupEnd::Exited(code)),
                },
            },
        }
    }

    /// What the kernel says of the memory, seen from inside; Docker knows only of the main process.
    async fn memory(&self) -> Option<MemoryReport> {
        let command = [spec::EXECUTABLE, "agent", "memory"].map(str::to_owned).to_vec();
        let mut output = Vec::new();
        let run = self.exec_as_root(command, Vec::new(), LOOK_TIMEOUT, |bytes| output.extend_from_slice(bytes));
        tokio::time::timeout(LOOK_TIMEOUT, run).await.ok()?.ok()?;
        serde_json::from_slice(&output).ok()
    }

    /// Takes the network away, makes the container ready for the agent, and proves both. Fails closed.
    pub(crate) async fn cut_off(&self, code_access: CodeAccess) -> Result<Interfaces, SandboxError> {
        let cut_off = async {
            self.cut_network().await?;
            self.look_and_settle(code_access).await
        };
        self.or_restarted(cut_off.await).await
    }

    /// Once more for a container that is cut off: ends what runs, gives the agent its trees, and proves that there is no network.
    pub(crate) async fn settle(&self, code_access: CodeAccess) -> Result<Interfaces, SandboxError> {
        self.or_restarted(self.look_and_settle(code_access).await).await
    }

    async fn or_restarted<T>(&self, outcome: Result<T, SandboxError>) -> Result<T, SandboxError> {
        match outcome {
            // Nothing can be proven of a container that is gone, and nothing needs to be.
            Err(SandboxError::NetworkNotCut(_) | SandboxError::Refused { .. })
                if matches!(self.ended().await, Ok(Some(_)))
                    && matches!(self.wait().await, Ok(Exit::DockerRestarted)) =>
            {
                Err(SandboxError::Restarted)
            }
            outcome => outcome,
        }
    }

    /// After the network was cut: ends what setup left running, gives the agent the trees it may write, and looks from
    /// inside whether a network is left. Fails closed.
    async fn look_and_settle(&self, code_access: CodeAccess) -> Result<Interfaces, SandboxError> {
        let user = spec::agent_user(&self.engine.shared).to_string();
        let mut command = vec![spec::EXECUTABLE, "agent", "settle", "--user", &user, spec::OUTPUT];
        if code_access == CodeAccess::ReadWrite {
            command.push(spec::CODE);
        }
        let command = command.into_iter().map(str::to_owned).collect();
        let mut output = Vec::new();
        let run = self.exec_as_root(command, Vec::new(), SETTLE_TIMEOUT, |bytes| output.extend_from_slice(bytes));
        let late = || SandboxError::NetworkNotCut("the container did not settle in time".to_owned());
        let code = tokio::time::timeout(SETTLE_TIMEOUT, run).await.map_err(|_| late())??.ok_or_else(late)?;
        let text = String::from_utf8_lossy(&output);
        let report: Report = match (code, serde_json::from_str(text.trim())) {
            (0, Ok(report)) => report,
            _ => {
                return Err(SandboxError::NetworkNotCut(format!(
                    "the look from inside failed ({code}): {}",
                    text.trim()
                )));
            }
        };
        if !report.processes_left.is_empty() {
            return Err(SandboxError::NetworkNotCut(format!(
                "processes of setup are left: {:?}",
                report.processes_left
            )));
        }
        if report.interfaces.iter().any(|name| name != "lo") {
            return Err(SandboxError::NetworkNotCut(format!("interfaces are left: {}", report.interfaces.join(", "))));
        }
        Ok(Interfaces(report.interfaces))
    }

    /// Returns the exit code, or `None` when nothing came for as long as `silence` and it runs still.
    pub(super) async fn exec_as_root(
        &self,
        command: Vec<String>,
        environment: Vec<String>,
        silence: Duration,
        mut output: impl FnMut(&[u8]),
    ) -> Result<Option<i64>, SandboxError> {
        let client = self.engine.client().await?;
        let failed = |error: bollard::errors::Error| self.engine.error("run a command in the container", &error);
        let options = CreateExecOptions {
            cmd: Some(command),
            env: Some(environment),
            user: Some("0:0".to_owned()),
            working_dir: Some(spec::CODE.to_owned()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let exec = client.create_exec(&self.name, options).await.map_err(failed)?;
        if let StartExecResults::Attached { output: mut stream, .. } =
            client.start_exec(&exec.id, None).await.map_err(failed)?
        {
            let mut heard_at = Instant::now();
            let mut over_at: Option<Instant> = None;
            while over_at.is_none_or(|over| over.elapsed() < LAST_WORDS) {
                let pause = if over_at.is_some() { LAST_WORDS } else { LOOK };
                let chunk = match tokio::time::timeout(pause, stream.next()).await {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => break,
                    Err(_) if over_at.is_some() => break,
                    Err(_) => match self.has_ended(&exec.id).await {
                        // What it left running may hold the streams open for ever; what it wrote itself may be on its way.
                        Ok(true) => {
                            over_at = Some(Instant::now());
                            continue;
                        }
                        Ok(false) if heard_at.elapsed() > silence => return Ok(None),
                        Ok(false) => continue,
                        // A daemon that is frozen says nothing, which is not the silence of the command. One that is gone
                        // has closed the streams.
                        Err(SandboxError::Unavailable { .. }) => {
                            heard_at = Instant::now();
                            continue;
                        }
                        Err(error) => return Err(error),
                    },
                };
                heard_at = Instant::now();
                match chunk.map_err(failed)? {
                    LogOutput::StdOut { message } | LogOutput::StdErr { message } | LogOutput::Console { message } => {
                        output(&message);
                    }
                    LogOutput::StdIn { .. } => {}
                }
            }
        }
        self.exit_code(&exec.id).await.map(Some)
    }

    /// The streams may close before the daemon noticed the end; so ask until the command is over.
    async fn exit_code(&self, exec_id: &str) -> Result<i64, SandboxError> {
        const POLL: Duration = Duration::from_millis(5);
        loop {
            let state = self.exec_state(exec_id).await?;
            match (state.running, state.exit_code) {
                (Some(false), Some(code)) => return Ok(code),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    async fn has_ended(&self, exec_id: &str) -> Result<bool, SandboxError> {
        Ok(self.exec_state(exec_id).await?.running == Some(false))
    }

    async fn exec_state(&self, exec_id: &str) -> Result<ExecInspectResponse, SandboxError> {
        let client = self.engine.client().await?;
        let state = client.inspect_exec(exec_id).await;
        state.map_err(|error| self.engine.error("inspect a command in the container", &error))
    }
}

/// The end of a command that died with its container.
fn with_the_container(exit: Exit) -> SetupEnd {
    match exit {
        Exit::OutOfMemory => SetupEnd::OutOfMemory(None),
        Exit::DockerRestarted => SetupEnd::DockerRestarted,
        Exit::Killed | Exit::Code(_) => SetupEnd::Killed,
    }
}
