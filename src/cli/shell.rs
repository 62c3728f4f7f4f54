//! `atelier completions` and `atelier man`: made from the commands themselves, so that they never differ from them.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, complain, remote::print};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Whose completions
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder; without it the first page goes to stdout
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run_completions(arguments: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "atelier", &mut script);
    print(&script).map_or_else(complain, |()| ExitCode::SUCCESS)
}

pub(crate) fn run_man(arguments: &ManArgs) -> ExitCode {
    let written = match &arguments.dir {
        Some(folder) => fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
            .map_err(Into::into),
        None => first_page(),
    };
    written.map_or_else(complain, |()| ExitCode::SUCCESS)
}

fn first_page() -> anyhow::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&page)
}
