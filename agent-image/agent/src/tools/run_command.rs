//! `run_command`: a command in the code directory, under the policy of the task.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::command_policy::{Permitted, judge};
use super::command_process::{self, Ending};
use super::{ToolError, object};
use crate::environment::{home, set_environment, shell};
use crate::orphans::OwnChildren;
use crate::proxy::Proxy;
use crate::settings::CommandSettings;
use crate::wire::Object;
use crate::workspace::Workspace;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    command: String,
    workdir: Option<String>,
    /// Seconds.
    timeout: Option<f64>,
}

#[derive(Serialize)]
struct CommandResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    returncode: Option<i32>,
    stdout: String,
    stderr: String,
}

/// What every command has in common.
#[derive(Debug)]
pub(super) struct CommandRunner<'a> {
    settings: CommandSettings,
    proxy: Proxy,
    shell: PathBuf,
    home: PathBuf,
    children: &'a OwnChildren,
}

impl<'a> CommandRunner<'a> {
    pub(super) fn new(settings: CommandSettings, proxy: Proxy, children: &'a OwnChildren) -> Self {
        Self { settings, proxy, shell: shell(), home: home(), children }
    }

    pub(super) async fn run_command(&self, workspace: &Workspace, arguments: &Arguments) -> Result<Object, ToolError> {
        let workdir = workspace.locate(arguments.workdir.as_deref().unwrap_or("."))?;
        let directory = workspace.directory(&workdir)?;
        let deadline = self.deadline(arguments.timeout)?;
        let permitted = judge(&self.settings, workspace, &arguments.command, &workdir)?;
        let mut command = self.command(permitted, &directory);
        let finished = command_process::run(&mut command, deadline, self.settings.max_output, self.children).await?;
        let returncode = match finished.ending {
            Ending::Exited(code) => Some(code),
            Ending::TimedOut => None,
        };
        let output = object(&CommandResult { returncode, stdout: finished.stdout, stderr: finished.stderr })?;
        match finished.ending {
            Ending::Exited(_) => Ok(output),
            Ending::TimedOut => Err(ToolError::TimedOut { seconds: deadline.as_secs_f64(), output }),
        }
    }

    fn deadline(&self, asked: Option<f64>) -> Result<Duration, ToolError> {
        let Some(seconds) = asked else {
            return Ok(self.settings.timeout);
        };
        let asked = Duration::try_from_secs_f64(seconds).ok().filter(|asked| !asked.is_zero());
        let asked = asked.ok_or_else(|| ToolError::Arguments(format!("timeout: {seconds} is no time in seconds")))?;
        Ok(asked.min(self.settings.max_timeout))
    }

    fn command(&self, permitted: Permitted, directory: &Path) -> Command {
        let mut command = match permitted {
            Permitted::ByShell(line) => {
                let mut shell = Command::new(&self.shell);
                shell.arg("-c").arg(line);
                shell
            }
            Permitted::Directly(words) => {
                let mut words = words.into_iter();
                let program = words.next().unwrap_or_default();
                // A relative program means one beneath the working directory, not beneath the agent's own.
                let mut command =
                    if program.contains('/') { Command::new(directory.join(program)) } else { Command::new(program) };
                command.args(words);
                command
            }
        };
        set_environment(command.as_std_mut(), &self.home);
        command.envs(self.proxy.variables()).current_dir(directory);
        command
    }
}
