//! Training data: completed tasks as one file of JSON lines, without secrets.
//!
//! It fails closed. A task in which something still looks like a secret, or that does not fit the format, is left out and
//! counted, with the reason. One task is in memory at a time.

mod clean;
mod example;
mod merge;
mod script;
mod transcript;

use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::{
    blocking::{self, BlockingError},
    brain,
    data_dir::DataDir,
    db::{Db, DbError, TrainingFilter},
    domain::{
        feedback::{Rating, Ratings},
        model_name::ModelName,
        person::Scope,
        task_id::TaskId,
    },
};
use clean::Unfit;
pub(crate) use merge::{keep_merging, merge_into};
pub(crate) use script::script;

/// How a task is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// A line a task: a conversation in `OpenAI`'s fine-tuning format for chat models with tools.
    #[default]
    Openai,
    /// The lines of the agents' transcripts, each with the id of its task.
    Raw,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// Whose tasks.
    pub(crate) scope: Scope,
    pub(crate) format: Format,
    pub(crate) ratings: Ratings,
    /// Only tasks of this model.
    pub(crate) model: Option<ModelName>,
}

/// What became of the tasks that were looked at.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ExportReport)]
pub(crate) struct Report {
    pub(crate) exported: u64,
    pub(crate) left_out: Vec<LeftOut>,
}

/// A task that is not in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct LeftOut {
    #[schema(value_type = String)]
    pub(crate) task: TaskId,
    pub(crate) reason: String,
}

/// One task that was looked at.
#[derive(Debug)]
pub(crate) enum Exported {
    /// Its lines, each with its end.
    Lines(Vec<u8>),
    LeftOut(LeftOut),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Disk(#[from] std::io::Error),
    #[error(transparent)]
    Blocking(#[from] BlockingError),
}

/// Reads what is stored; clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct Exporter {
    db: Db,
    data_dir: DataDir,
}

impl Exporter {
    pub(crate) fn new(db: Db, data_dir: DataDir) -> Self {
        Self { db, data_dir }
    }

    /// The tasks one after the other, the oldest first. After an error nothing more comes.
    pub(crate) fn tasks(&self, wish: &Wish) -> impl Stream<Item = Result<Exported, ExportError>> + Send + use<> {
        let filter = TrainingFilter {
            scope: wish.scope,
            rating: (wish.ratings == Ratings::Up).then_some(Rating::Up),
            model: wish.model.clone(),
            after: 0,
        };
        let (start, format) = (Some((self.clone(), filter)), wish.format);
        stream::unfold(start, move |walk| async move {
            let (exporter, mut filter) = walk?;
            match exporter.next(&mut filter, format).await {
                Ok(None) => None,
                Ok(Some(task)) => Some((Ok(task), Some((exporter, filter)))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    pub(crate) async fn report(&self, wish: &Wish) -> Result<Report, ExportError> {
        let mut report = Report::default();
        let mut tasks = std::pin::pin!(self.tasks(wish));
        while let Some(task) = tasks.next().await {
            report.add(&task?);
        }
        Ok(report)
    }

    async fn next(&self, filter: &mut TrainingFilter, format: Format) -> Result<Option<Exported>, ExportError> {
        let Some((position, id)) = self.db.next_for_training(filter.clone()).await? else { return Ok(None) };
        filter.after = position;
        let written = match format {
            Format::Openai => self.example(&id).await?,
            Format::Raw => {
                let (logs, id) = (self.data_dir.task_logs(&id), id.clone());
                blocking::run(move || transcript::lines(&logs, &id)).await??
            }
        };
        Ok(Some(match written {
            Ok(lines) => Exported::Lines(lines),
            Err(Unfit(reason)) => Exported::LeftOut(LeftOut { task: id, reason }),
        }))
    }

    async fn example(&self, id: &TaskId) -> Result<Result<Vec<u8>, Unfit>, ExportError> {
        let recorded = self.db.training_record(id).await?;
        let Some(tools) = recorded.tools else {
            return Ok(Err(Unfit("the tools its model was offered are not known".to_owned())));
        };
        let write = move || {
            let seen = brain::as_last_seen(recorded.messages, recorded.kept_at_last_summary);
            let line = example::line(&seen, &tools)?;
            Ok((line + "\n").into_bytes())
        };
        Ok(blocking::run(write).await?)
    }
}

impl Report {
    pub(crate) fn add(&mut self, task: &Exported) {
        match task {
            Exported::Lines(_) => self.exported += 1,
            Exported::LeftOut(left_out) => self.left_out.push(left_out.clone()),
        }
    }
}
