//! The agent as a program of its own; inside Atelier the same arguments follow `atelier agent`.

use std::process::ExitCode;

use atelier_agent::cli::{self, AgentArgs};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "atelier-agent", version, about)]
struct Program {
    #[command(flatten)]
    agent: AgentArgs,
}

fn main() -> ExitCode {
    match Program::try_parse() {
        Ok(program) => cli::run(program.agent),
        Err(usage) => {
            // A reader that went away is no reason to fail differently.
            let _ = usage.print();
            // Not clap's own 2: that says here that a run ended without a finish.
            if usage.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}
