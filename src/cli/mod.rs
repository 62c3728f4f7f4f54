//! The command line: what each command takes, a file a command.

pub(crate) mod act;
pub(crate) mod backup;
mod client;
pub(crate) mod demo;
pub(crate) mod doctor;
mod event_stream;
pub(crate) mod export;
mod follow;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod patch;
mod remote;
pub(crate) mod reply;
pub(crate) mod run;
pub(crate) mod serve;
mod server;
pub(crate) mod share;
pub(crate) mod shell;
pub(crate) mod show;
mod submission;
pub(crate) mod submit;

use std::{fmt::Display, io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{self, Config, ConfigError},
    redact::MaskedWriter,
};

/// Hand it a repository and an instruction; an agent works on it in a container of its own; take a patch away.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve pages and API, and work on tasks
    Serve(serve::ServeArgs),
    /// Run one task from the terminal: progress on stderr, the patch on stdout
    Run(run::RunArgs),
    /// Hand a task to a server and leave; prints its id
    Submit(submit::SubmitArgs),
    /// List the tasks of a server, the newest first
    List(list::ListArgs),
    /// Show where a task stands and what came of it
    Show(show::ShowArgs),
    /// Show what happened in a task, or one of its files; -f goes on until it ends
    Logs(logs::LogsArgs),
    /// Print the patch of a task
    Diff(patch::DiffArgs),
    /// Put the patch of a task onto the working copy at hand
    Apply(patch::ApplyArgs),
    /// Tell a task something: one that runs reads it with its next step, one that has ended goes on with it
    Reply(reply::ReplyArgs),
    /// Stop a task; what it did so far is kept
    Cancel(act::ActArgs),
    /// Start a task again; prints the id of the new one
    Retry(act::ActArgs),
    /// Make a link with which anybody reads a task without a login; or list and revoke such links
    Share(share::ShareArgs),
    /// Run the sample task: a small repository with a failing test
    Demo(demo::DemoArgs),
    /// Write training data: completed tasks as JSON lines, without secrets
    Export(export::ExportArgs),
    /// Say what is missing on this machine and how to mend it
    Doctor(doctor::DoctorArgs),
    /// Write every task with its logs into one file, also while the server runs
    Backup(backup::BackupArgs),
    /// Put such a file into an empty data directory
    Restore(backup::RestoreArgs),
    /// Print completions for a shell
    Completions(shell::CompletionsArgs),
    /// Print the manual page, or write one for each command
    Man(shell::ManArgs),
    /// The program inside a task's container
    Agent(Box<atelier_agent::cli::AgentArgs>),
}

/// Where the settings come from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConfigArgs {
    /// Settings that differ from the defaults (see config.toml)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where tasks, logs and the database live
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl ConfigArgs {
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        let mut over = toml::Table::new();
        if let Some(path) = &self.data_dir {
            over.insert("data_dir".to_owned(), path.display().to_string().into());
        }
        config::load(self.config.as_deref(), over)
    }
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the task failed, or its patch does not apply; 2 wrong usage; 3 the task was cancelled;
4 the command could not do its work (no server, no Docker, wrong settings, a refusal).";

/// Exit codes beside 0 (completed) and clap's 2 (wrong usage).
pub(crate) const TASK_FAILED: u8 = 1;
pub(crate) const TASK_CANCELLED: u8 = 3;
pub(crate) const CANNOT_RUN: u8 = 4;
/// Of `run --require-checks`.
pub(crate) const NOT_VERIFIED: u8 = 5;

/// Runs a command on a runtime of its own; an error is one line on stderr.
fn block_on<E: Display>(work: impl Future<Output = Result<ExitCode, E>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(error),
    };
    let code = runtime.block_on(work).unwrap_or_else(complain);
    // A blocking thread that still deletes or hashes must not hold up the end.
    runtime.shutdown_background();
    code
}

pub(crate) fn complain(error: impl Display) -> ExitCode {
    say(&format!("atelier: {error:#}"));
    ExitCode::from(CANNOT_RUN)
}

/// A line for the person at the terminal, without secrets. Nobody reading is no failure.
fn say(line: &str) {
    let _ = writeln!(MaskedWriter(std::io::stderr().lock()), "{line}");
}

/// The one line that shows a secret: the link that logs in whoever follows it.
fn say_login_link(before: &str, link: &str) {
    let _ = writeln!(std::io::stderr(), "{before}{link}");
}
