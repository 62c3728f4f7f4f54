//! The arguments of the agent and what each way of calling it starts.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt::Display;
use std::future::pending;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::StepClient;
use crate::confine::{self, User};
use crate::environment::home;
use crate::fence::{Fence, Network};
use crate::memory::MemoryReport;
use crate::orphans::{self, OwnChildren};
use crate::proxy::Proxy;
use crate::relay::{Begin, Relay};
use crate::run_loop::{self, Ending};
use crate::run_record::RunRecord;
use crate::settings::Settings;
use crate::task::{Task, TaskSource};
use crate::tools::Toolbox;
use crate::workspace::Workspace;
use crate::{check, outlet, ownership, settle, setup};

/// The run ended without a `finish`: the limit of iterations, a refusal or a reply that nobody understands.
const ENDED_WITHOUT_FINISH: u8 = 2;
/// Where the server puts the task.
const TASK_FILE: &str = "/app/task.json";
/// What a shell reports for a program that SIGTERM ended.
const TERMINATED: u8 = 143;

/// Works on one task: asks the brain step by step and runs the tools it names. Without a task the JSON is read from stdin.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AgentArgs {
    #[command(subcommand)]
    chore: Option<Chore>,

    #[command(flatten)]
    work: WorkArgs,
}

#[derive(Debug, Args)]
struct WorkArgs {
    /// The task as a JSON file
    #[arg(long = "task_file", alias = "task-file", value_name = "FILE", conflicts_with = "task")]
    task_file: Option<PathBuf>,

    /// The task as text
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,

    /// How to work on the text of `--task`: analyze, modify or pr
    #[arg(long, value_name = "MODE", default_value = "modify")]
    mode: String,

    /// The folder with the code
    #[arg(long, value_name = "DIR", default_value = "/app/code", hide = true)]
    code: PathBuf,

    /// The folder for the log and the transcript
    #[arg(long, value_name = "DIR", default_value = "/app/output", hide = true)]
    output: PathBuf,

    /// Become this user, without any capability, before the work begins
    #[arg(long, value_name = "UID:GID")]
    user: Option<User>,

    /// Let another program do the work and relay its steps: its words as a JSON array
    #[arg(long, value_name = "JSON", value_parser = words, conflicts_with_all = ["program", "task"])]
    command: Option<Words>,

    /// The same, as words
    #[arg(last = true, value_name = "PROGRAM", conflicts_with = "task")]
    program: Vec<OsString>,

    /// Bring the proxy of the server to the loopback: for setup.sh alone, or for what is run here too
    #[arg(long, value_name = "WHO", hide = true)]
    outlet: Option<Outlet>,

    /// Where the relay listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000", hide = true)]
    listen: SocketAddr,
}

/// For whom the proxy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Outlet {
    Setup,
    Agent,
}

/// A program and its arguments. A type of its own, as clap takes a plain `Vec` for an argument that may repeat.
#[derive(Debug, Clone)]
struct Words(Vec<OsString>);

/// What the server has done by root between the stages, and the relay.
#[derive(Debug, Subcommand)]
enum Chore {
    /// Run another agent program and carry its steps to the server: `relay -- PROGRAM ARGUMENT…`
    Relay(WorkArgs),
    /// Run a command of the setup phase with the system calls filtered: `setup -- PROGRAM ARGUMENT…`
    Setup(SetupArgs),
    /// Run a command as the agent's shell would, as its user: `check --user UID:GID -- COMMAND`
    Check(CheckArgs),
    /// Kill what setup left running, give the folders to the user, name the network interfaces
    Settle(Folders),
    /// Give the folders to the user
    Own(Folders),
    /// Print how much memory was used, and how many processes the kernel ended for want of it
    Memory,
}

#[derive(Debug, Args)]
struct SetupArgs {
    /// Tell it of the server's proxy
    #[arg(long, conflicts_with = "fence")]
    proxied: bool,
    /// Let it reach the internet only: no private network, no neighbour, not this machine
    #[arg(long)]
    fence: bool,
    /// A name server it may ask all the same
    #[arg(long, value_name = "ADDRESS", requires = "fence")]
    resolver: Vec<IpAddr>,
    /// What it may reach all the same
    #[arg(long, value_name = "NETWORK", requires = "fence")]
    allow: Vec<Network>,
    /// What it may not reach although it is public
    #[arg(long, value_name = "ADDRESS", requires = "fence")]
    refuse: Vec<IpAddr>,
    #[arg(last = true, value_name = "PROGRAM", required = true)]
    program: Vec<OsString>,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[arg(long, value_name = "UID:GID")]
    user: User,
    #[arg(last = true, value_name = "COMMAND", required = true)]
    command: OsString,
}

#[derive(Debug, Args)]
struct Folders {
    #[arg(long, value_name = "UID:GID")]
    user: User,
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
}

/// Runs what the arguments ask for. To be called before the process starts a thread or a runtime: becoming another
/// user counts for the calling thread and those that it starts.
///
/// Exit codes: 0 after a `finish`, 2 when the run ended otherwise, 1 when it could not begin; of another program, its own.
pub fn run(args: AgentArgs) -> ExitCode {
    match args.chore {
        Some(Chore::Relay(work)) if work.command.is_none() && work.program.is_empty() => {
            fail("name the program: atelier agent relay -- PROGRAM ARGUMENT…")
        }
        Some(Chore::Relay(work)) => work.run().unwrap_or_else(fail),
        Some(Chore::Setup(SetupArgs { proxied, fence, resolver, allow, refuse, program })) => {
            let fence = fence.then_some(Fence { resolvers: resolver, allowed: allow, refused: refuse });
            let proxy = if proxied { Proxy::Named } else { Proxy::None };
            let problem = setup::become_program(&program, fence.as_ref(), proxy);
            complain(&problem);
            ExitCode::from(problem.exit_code())
        }
        Some(Chore::Check(CheckArgs { user, command })) => fail(check::become_check(user, &command)),
        Some(Chore::Settle(Folders { user, folders })) => report(settle::settle(user, &folders)),
        Some(Chore::Memory) => report(Ok::<_, Infallible>(MemoryReport::now())),
        Some(Chore::Own(Folders { user, folders })) => report(ownership::own(user, &folders)),
        None => args.work.run().unwrap_or_else(fail),
    }
}

impl WorkArgs {
    fn run(self) -> Result<ExitCode, Box<dyn std::error::Error>> {
        confine::confine(self.user)?;
        let settings = Settings::from_environment()?;
        let proxy = if self.outlet == Some(Outlet::Agent) { Proxy::Named } else { Proxy::None };
        if proxy == Proxy::Named {
            proxy.write_files(&home());
        }
        let words = self.command.map_or(self.program, |Words(words)| words);
        let relay = match self.task_file.as_deref().unwrap_or(Path::new(TASK_FILE)) {
            _ if words.is_empty() => None,
            task_file => Some(Relay {
                words,
                proxy,
                code: self.code.clone(),
                // The program starts in another folder than this one did.
                task_file: std::path::absolute(task_file)?,
                listen: self.listen,
                // The server names the user; by hand there is no setup to wait for.
                begin: if self.user.is_some() { Begin::WithServer } else { Begin::AtOnce },
            }),
        };
        let source = match (&relay, self.task_file, self.task) {
            (Some(relay), _, _) => TaskSource::File(relay.task_file.clone()),
            (None, Some(file), _) => TaskSource::File(file),
            (None, None, Some(instruction)) => TaskSource::Text { instruction, mode: self.mode },
            (None, None, None) => TaskSource::Stdin,
        };
        let task = Task::load(source, &settings.forwarded)?;
        let workspace = Workspace::open(&self.code)?;
        let record = Rc::new(RunRecord::open(&self.output, &task.id)?);
        orphans::adopt()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let told_to_stop = told_to_stop()?;
            let children = OwnChildren::default();
            let client = StepClient::new(&settings.server)?;
            let work = async {
                if let Some(relay) = relay {
                    return Ok(ExitCode::from(relay.run(client, record.clone(), &children, &task.id).await?));
                }
                let tools = Toolbox::new(workspace, settings.commands, proxy, &children);
                let ending = run_loop::run(task, settings.max_iterations, &client, &tools, &record).await;
                Ok(conclude(&ending, &record))
            };
            let outlet = async {
                if self.outlet.is_some() {
                    outlet::carry(outlet::ADDRESS, Path::new(outlet::SOCKET)).await
                } else {
                    pending().await
                }
            };
            tokio::select! {
                code = work => code,
                never = outlet => match never? {},
                never = orphans::reap(&children) => match never? {},
                () = told_to_stop => {
                    record.note("told to stop by a signal");
                    Ok(ExitCode::from(TERMINATED))
                }
            }
        })
    }
}

fn words(json: &str) -> Result<Words, String> {
    match serde_json::from_str::<Vec<String>>(json) {
        Ok(words) if words.is_empty() => Err("the array is empty; its first word is the program".to_owned()),
        Ok(words) => Ok(Words(words.into_iter().map(OsString::from).collect())),
        Err(error) => Err(format!("not an array of texts like [\"python3\", \"agent.py\"]: {error}")),
    }
}

/// As PID 1 of a container nothing else would end the agent but a SIGKILL after Docker's ten seconds; at a terminal,
/// the command that runs is in a group of its own and would not hear the Ctrl-C.
///
/// Listens from the call on, and not only when it is first waited for.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn conclude(ending: &Ending, record: &RunRecord) -> ExitCode {
    record.note(&ending.to_string());
    if let Ending::Finished { summary } = ending {
        // Whoever started the agent by hand reads the answer here; nobody reading is no failure.
        let _ = writeln!(io::stdout(), "{summary}");
        ExitCode::SUCCESS
    } else {
        complain(ending);
        ExitCode::from(ENDED_WITHOUT_FINISH)
    }
}

fn report<T: Serialize, E: Display>(outcome: Result<T, E>) -> ExitCode {
    let line = match outcome {
        Ok(report) => serde_json::to_string(&report),
        Err(error) => return fail(error),
    };
    match line.map_err(io::Error::from).and_then(|line| writeln!(io::stdout(), "{line}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

fn fail(error: impl Display) -> ExitCode {
    complain(error);
    ExitCode::FAILURE
}

fn complain(message: impl Display) {
    // There is nowhere left to report that stderr is closed.
    let _ = writeln!(io::stderr(), "atelier agent: {message}");
}
