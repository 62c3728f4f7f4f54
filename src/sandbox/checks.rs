//! Checks that the server runs itself: each as the agent's user, with nothing left of the one before.

use std::time::Duration;

use super::{Container, Exit, SandboxError, container::KILLED, spec};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckEnd {
    Exited(i64),
    /// It runs still, until the container is settled again.
    TimedOut,
    /// Its container ended under it.
    Gone(Exit),
}

/// A check may be silent: only its time counts.
const ANY_SILENCE: Duration = Duration::MAX;

impl Container {
    /// Runs a command of a shell in the code directory, as the agent would. The container was made for checks and is cut off.
    pub(crate) async fn run_check(
        &self,
        command: &str,
        timeout: Duration,
        output: impl FnMut(&[u8]),
    ) -> Result<CheckEnd, SandboxError> {
        let user = spec::agent_user(&self.engine.shared).to_string();
        let words = [spec::EXECUTABLE, "agent", "check", "--user", &user, "--", command];
        let words = words.into_iter().map(str::to_owned).collect();
        let run = self.exec_as_root(words, Vec::new(), ANY_SILENCE, output);
        let code = match tokio::time::timeout(timeout, run).await {
            Ok(Ok(Some(code))) => code,
            Ok(Ok(None)) | Err(_) => return Ok(CheckEnd::TimedOut),
            // The daemon has nothing to say of a command whose container is gone.
            Ok(Err(error)) => match self.ended().await {
                Ok(Some(_)) => KILLED,
                _ => return Err(error),
            },
        };
        if code == KILLED && self.ended().await?.is_some() {
            return Ok(CheckEnd::Gone(self.wait().await?));
        }
        Ok(CheckEnd::Exited(code))
    }
}
