//! `atelier backup` and `atelier restore`: a server's tasks in one file, and back.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{ConfigArgs, block_on, say};
use crate::{app, blocking};

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The file to write; it must not be there yet
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// A file that `atelier backup` wrote
    pub(crate) file: PathBuf,
}

pub(crate) fn run_backup(arguments: &BackupArgs) -> ExitCode {
    block_on(backup(arguments))
}

async fn backup(arguments: &BackupArgs) -> anyhow::Result<ExitCode> {
    let data_dir = arguments.config.load()?.data_dir;
    let file = arguments.file.clone();
    let tasks = blocking::run(move || app::backup(&data_dir, &file)).await??;
    say(&format!("{} holds {tasks} tasks with their logs. The admin token is not in it.", arguments.file.display()));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run_restore(arguments: &RestoreArgs) -> ExitCode {
    block_on(restore(arguments))
}

async fn restore(arguments: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let data_dir = arguments.config.load()?.data_dir;
    app::restore(&arguments.file, &data_dir).await?;
    say(&format!("Restored to {}. The next start makes a new admin token.", data_dir.display()));
    Ok(ExitCode::SUCCESS)
}
