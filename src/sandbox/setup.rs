//! The setup phase: `setup.sh` as root with network, and what must be true before the agent may start.

use std::time::Duration;

use atelier_agent::settle::Report;
use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecResults},
};
use futures_util::StreamExt;

use super::{CodeAccess, Container, SandboxError, spec};

/// How `setup.sh` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetupEnd {
    Exited(i64),
    /// It ran longer than allowed and runs still: the container is to be removed, not the waiting.
    TimedOut,
}

/// The network interfaces seen from inside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interfaces(pub(crate) Vec<String>);

const SETTLE_TIMEOUT: Duration = Duration::from_mins(2);

impl Container {
    /// Runs `command` as root in the code directory; its output goes to `output` as it comes.
    pub(crate) async fn run_setup(
        &self,
        command: Vec<String>,
        environment: Vec<String>,
        timeout: Duration,
        output: impl FnMut(&[u8]),
    ) -> Result<SetupEnd, SandboxError> {
        let wrapped = [spec::EXECUTABLE, "agent", "setup", "--"].map(str::to_owned).into_iter().chain(command);
        match tokio::time::timeout(timeout, self.exec_as_root(wrapped.collect(), environment, output)).await {
            Ok(code) => Ok(SetupEnd::Exited(code?)),
            Err(_) => Ok(SetupEnd::TimedOut),
        }
    }

    /// After the network was cut: ends what setup left running, gives the agent the trees it may write, and looks from
    /// inside whether a network is left. Fails closed.
    pub(crate) async fn settle(&self, code_access: CodeAccess) -> Result<Interfaces, SandboxError> {
        let user = spec::agent_user(&self.engine.shared).to_string();
        let mut command = vec![spec::EXECUTABLE, "agent", "settle", "--user", &user, spec::OUTPUT];
        if code_access == CodeAccess::ReadWrite {
            command.push(spec::CODE);
        }
        let command = command.into_iter().map(str::to_owned).collect();
        let mut output = Vec::new();
        let run = self.exec_as_root(command, Vec::new(), |bytes| output.extend_from_slice(bytes));
        let code = tokio::time::timeout(SETTLE_TIMEOUT, run)
            .await
            .map_err(|_| SandboxError::NetworkNotCut("the container did not settle in time".to_owned()))??;
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

    async fn exec_as_root(
        &self,
        command: Vec<String>,
        environment: Vec<String>,
        mut output: impl FnMut(&[u8]),
    ) -> Result<i64, SandboxError> {
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
            while let Some(chunk) = stream.next().await {
                match chunk.map_err(failed)? {
                    LogOutput::StdOut { message } | LogOutput::StdErr { message } | LogOutput::Console { message } => {
                        output(&message);
                    }
                    LogOutput::StdIn { .. } => {}
                }
            }
        }
        self.exit_code(&exec.id).await
    }

    /// The streams close when the last process that holds them ends, which may be after the exec ended or before the
    /// daemon noticed; so ask until the exec is over.
    async fn exit_code(&self, exec_id: &str) -> Result<i64, SandboxError> {
        const POLL: Duration = Duration::from_millis(5);
        let client = self.engine.client().await?;
        loop {
            let state = client
                .inspect_exec(exec_id)
                .await
                .map_err(|error| self.engine.error("inspect a command in the container", &error))?;
            match (state.running, state.exit_code) {
                (Some(false), Some(code)) => return Ok(code),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }
}
