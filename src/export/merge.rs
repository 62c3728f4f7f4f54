//! The file of all training data: written beside its place and put there whole, now and then by itself.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::{
    fs::{self, File},
    io::{AsyncWriteExt, BufWriter},
};
use tokio_util::sync::CancellationToken;

use super::{ExportError, Exported, Exporter, Report, Wish};
use crate::wall_clock;

#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Writes the file. Nobody sees half of it, and what was there stays until the new one is on disk.
pub(crate) async fn merge_into(exporter: &Exporter, wish: &Wish, path: &Path) -> Result<Report, MergeError> {
    let draft = path.with_extension("draft");
    let merged = write(exporter, wish, &draft, path).await;
    if merged.is_err() {
        let _ = fs::remove_file(&draft).await;
    }
    merged
}

async fn write(exporter: &Exporter, wish: &Wish, draft: &Path, path: &Path) -> Result<Report, MergeError> {
    let on_disk = |source| MergeError::File { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).await.map_err(on_disk)?;
    let mut file = BufWriter::new(File::create(draft).await.map_err(on_disk)?);
    let mut report = Report::default();
    let mut tasks = std::pin::pin!(exporter.tasks(wish));
    while let Some(task) = tasks.next().await {
        let task = task?;
        report.add(&task);
        if let Exported::Lines(lines) = task {
            file.write_all(&lines).await.map_err(on_disk)?;
        }
    }
    file.flush().await.map_err(on_disk)?;
    file.into_inner().sync_all().await.map_err(on_disk)?;
    fs::rename(draft, path).await.map_err(on_disk)?;
    File::open(folder).await.map_err(on_disk)?.sync_all().await.map_err(on_disk)?;
    Ok(report)
}

/// After a failure, such as a full disk.
const AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Merges every `pause`, counted from the last time the file was written, whichever server did that.
pub(crate) async fn keep_merging(
    exporter: Exporter,
    wish: Wish,
    path: PathBuf,
    pause: Duration,
    shutdown: CancellationToken,
) {
    let mut wait = time_until_due(&path, pause).await;
    while shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        wait = match merge_into(&exporter, &wish, &path).await {
            Ok(Report { exported, left_out }) => {
                tracing::info!(exported, left_out = left_out.len(), path = %path.display(), "training data merged");
                for left_out in left_out {
                    tracing::warn!(task = %left_out.task, reason = left_out.reason, "left out of the training data");
                }
                pause
            }
            Err(error) => {
                tracing::error!(%error, "cannot merge the training data; trying again in a while");
                pause.min(AGAIN_AFTER)
            }
        };
    }
}

async fn time_until_due(path: &Path, pause: Duration) -> Duration {
    let written = fs::metadata(path).await.and_then(|file| file.modified()).ok();
    let age = written.and_then(|written| wall_clock::of_files().duration_since(written).ok());
    age.map_or(Duration::ZERO, |age| pause.saturating_sub(age))
}
