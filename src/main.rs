//! Atelier: hand it a repository and an instruction, take a patch away.

use std::process::ExitCode;

use clap::Parser;

mod app;
mod archive;
mod artifacts;
mod blocking;
mod brain;
mod cli;
mod config;
mod data_dir;
mod db;
mod dial;
mod diff;
mod domain;
mod export;
mod forge;
mod forward_proxy;
mod git;
mod host;
mod llm;
mod metrics;
mod pipeline;
mod redact;
mod remove_tree;
mod sandbox;
mod sign_in;
mod telemetry;
mod wall_clock;
mod web;

fn main() -> ExitCode {
    let command = cli::Cli::parse().command;
    if !matches!(command, cli::Command::Agent(_))
        && let Err(error) = config::leave_home()
    {
        return cli::complain(format!("cannot start itself without a home: {error}"));
    }
    match command {
        // Before any thread starts: the agent changes its user.
        cli::Command::Agent(arguments) => atelier_agent::cli::run(*arguments),
        cli::Command::Serve(arguments) => cli::serve::run(&arguments),
        cli::Command::Run(arguments) => cli::run::run(arguments),
        cli::Command::Submit(arguments) => cli::submit::run(arguments),
        cli::Command::List(arguments) => cli::list::run(arguments),
        cli::Command::Show(arguments) => cli::show::run(arguments),
        cli::Command::Logs(arguments) => cli::logs::run(arguments),
        cli::Command::Diff(arguments) => cli::patch::run_diff(arguments),
        cli::Command::Apply(arguments) => cli::patch::run_apply(arguments),
        cli::Command::Reply(arguments) => cli::reply::run(arguments),
        cli::Command::Cancel(arguments) => cli::act::run_cancel(arguments),
        cli::Command::Retry(arguments) => cli::act::run_retry(arguments),
        cli::Command::Share(arguments) => cli::share::run(arguments),
        cli::Command::Completions(arguments) => cli::shell::run_completions(&arguments),
        cli::Command::Man(arguments) => cli::shell::run_man(&arguments),
        cli::Command::Demo(arguments) => cli::demo::run(arguments),
        cli::Command::Backup(arguments) => cli::backup::run_backup(&arguments),
        cli::Command::Restore(arguments) => cli::backup::run_restore(&arguments),
        cli::Command::Export(arguments) => cli::export::run(arguments),
        cli::Command::Doctor(arguments) => cli::doctor::run(&arguments),
    }
}
