//! `atelier export`: training data from the running server, or from the data directory while none runs.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use secrecy::SecretString;

use super::{ConfigArgs, block_on, client::Client, say};
use crate::{
    app::{Records, running_server},
    config::{self, Config},
    domain::{feedback::Ratings, model_name::ModelName, person::Scope, task_id::TaskId},
    export::{self, Exported, Exporter, Format, Report, Wish},
    telemetry,
};

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// openai (a conversation a line), raw (the agents' transcripts) or script (one task, to be played again)
    #[arg(long, value_enum, default_value_t = ExportFormat::Openai)]
    pub(crate) format: ExportFormat,
    /// Tasks with a thumb up, or any that completed
    #[arg(long, value_enum, default_value_t = RatingArgument::Up)]
    pub(crate) rating: RatingArgument,
    /// The same as --rating any
    #[arg(long, conflicts_with = "rating")]
    pub(crate) all: bool,
    /// Only tasks of this model
    #[arg(long, value_name = "PROVIDER/ID")]
    pub(crate) model: Option<ModelName>,
    /// Where it goes; stdout when not given
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The task, for --format script
    #[arg(value_name = "TASK", required_if_eq("format", "script"))]
    pub(crate) task: Option<TaskId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Openai,
    Raw,
    Script,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RatingArgument {
    Up,
    Any,
}

/// Where the tasks are.
enum Store {
    Server(Client),
    Records(Records),
}

pub(crate) fn run(arguments: ExportArgs) -> ExitCode {
    telemetry::start(&config::log_filter("warn"), config::LogFormat::Text);
    block_on(export(arguments))
}

async fn export(arguments: ExportArgs) -> anyhow::Result<ExitCode> {
    let store = Store::open(&arguments.config.load()?).await?;
    let format = match (arguments.format, &arguments.task) {
        (ExportFormat::Script, Some(task)) => {
            let script = store.script(task).await?;
            match &arguments.output {
                Some(path) => std::fs::write(path, script).with_context(|| path.display().to_string())?,
                None => std::io::stdout().write_all(script.as_bytes())?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        (_, Some(_)) => bail!("only --format script takes a task; choose others by --rating and --model"),
        (ExportFormat::Raw, None) => Format::Raw,
        (ExportFormat::Openai | ExportFormat::Script, None) => Format::Openai,
    };
    let any = arguments.all || arguments.rating == RatingArgument::Any;
    let ratings = if any { Ratings::Any } else { Ratings::Up };
    let wish = Wish { scope: Scope::All, format, ratings, model: arguments.model };
    let report = match store {
        Store::Server(client) => from_server(&client, &wish, arguments.output.as_deref()).await?,
        Store::Records(records) => from_records(&records, &wish, arguments.output.as_deref()).await?,
    };
    tell(&report, &wish);
    Ok(ExitCode::SUCCESS)
}

impl Store {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let Some(address) = running_server(&config.data_dir) else {
            return Ok(Self::Records(Records::open(config).await?));
        };
        let token = std::fs::read_to_string(config.data_dir.join("admin-token")).context("admin token")?;
        let base = format!("http://{address}");
        Ok(Self::Server(Client::new(base.clone(), base, SecretString::from(token.trim()))?))
    }

    async fn script(&self, task: &TaskId) -> anyhow::Result<String> {
        match self {
            Self::Server(client) => Ok(client.get(&format!("/api/tasks/{task}/script"), &[]).await?.text().await?),
            Self::Records(records) => {
                records.db.task(task).await?;
                let script = export::script(&records.db.training_record(task).await?.messages);
                Ok(script.context("the model of this task said nothing that could be played")?.to_string())
            }
        }
    }
}

async fn from_records(records: &Records, wish: &Wish, output: Option<&Path>) -> anyhow::Result<Report> {
    let exporter = Exporter::new(records.db.clone(), records.data_dir.clone());
    if let Some(path) = output {
        return Ok(export::merge_into(&exporter, wish, path).await?);
    }
    let mut report = Report::default();
    let mut tasks = std::pin::pin!(exporter.tasks(wish));
    while let Some(task) = tasks.next().await {
        let task = task?;
        report.add(&task);
        if let Exported::Lines(lines) = task {
            std::io::stdout().write_all(&lines)?;
        }
    }
    Ok(report)
}

async fn from_server(client: &Client, wish: &Wish, output: Option<&Path>) -> anyhow::Result<Report> {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut query = vec![
        ("format", word(serde_json::to_value(wish.format)?)),
        ("rating", word(serde_json::to_value(wish.ratings)?)),
    ];
    query.extend(wish.model.as_ref().map(|model| ("model", model.to_string())));
    let mut lines = client.get("/api/export/finetuning.jsonl", &query).await?.bytes_stream();
    if let Some(path) = output {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut draft = tempfile::NamedTempFile::new_in(folder).with_context(|| folder.display().to_string())?;
        while let Some(chunk) = lines.next().await {
            draft.write_all(&chunk?)?;
        }
        draft.as_file().sync_all()?;
        draft.persist(path)?;
    } else {
        while let Some(chunk) = lines.next().await {
            std::io::stdout().write_all(&chunk?)?;
        }
    }
    Ok(client.get("/api/export/report", &query).await?.json().await?)
}

fn tell(report: &Report, wish: &Wish) {
    say(&format!("{} tasks exported, {} left out", report.exported, report.left_out.len()));
    for left_out in &report.left_out {
        say(&format!("  {}: {}", left_out.task, left_out.reason));
    }
    if report.exported == 0 && report.left_out.is_empty() && wish.ratings == Ratings::Up {
        say("Only completed tasks with a thumb up on their page are exported; --all takes the others too.");
    }
}
