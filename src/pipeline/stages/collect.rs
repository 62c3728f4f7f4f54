//! Collect: what the task made becomes `diff.patch`, `explanation.md` and the logs. The container is dead by now.

use std::{collections::BTreeSet, io, path::Path};

use anyhow::Context;

use super::aside;
use crate::{
    artifacts, blocking,
    data_dir::{TaskDir, WHOLE_PATCH, turn_folder},
    domain::{
        choice::LeftOut,
        event::EventBody,
        patch::{ChangedFile, DiffSummary, is_image},
        reference::CheckedReference,
        task::{Stage, Task},
    },
    git::{KeptChanges, Snapshot, SnapshotLimits, Snapshots, ToKeep},
    pipeline::{
        Pipeline,
        checkpoint::Checkpoint,
        choice::{NotChosen, leave_out},
        publisher::forge_of,
        references,
        resume::workspace_lost,
    },
    redact,
    sandbox::Ownership,
};

/// Nothing to do when the container never came to be. May be done again, as long as the workspace is there.
pub(crate) async fn collect(
    pipeline: &Pipeline,
    task: &Task,
    checkpoint: &Checkpoint,
    summary: Option<String>,
) -> anyhow::Result<()> {
    let (Some(fetched), Some(after_setup)) = (&checkpoint.fetched, checkpoint.prepared.clone()) else { return Ok(()) };
    if !pipeline.data_dir.task(&task.id).git().exists() {
        return Err(workspace_lost().into());
    }
    pipeline.db.enter_stage(&task.id, Stage::Collect).await?;
    // The agent's stage has ended, so nobody begins to look at the code now; who has begun comes to an end.
    drop(checkpoint.looking.lock().await);
    aside::take_back(pipeline, task).await?;
    let folder = pipeline.data_dir.task(&task.id);
    let logs = pipeline.data_dir.task_logs(&task.id);
    pipeline.give(&task.id, vec![folder.code(), folder.output()], Ownership::Server).await?;
    let before = fetched.snapshot.clone();
    let explanation = summary.clone();
    let limits = SnapshotLimits::from(&pipeline.config.source);
    let (earlier, turn) = (checkpoint.earlier.clone(), task.turn);
    let left_out_before = pipeline.db.left_out(&task.id).await?;
    let may_be_published = forge_of(&pipeline.config, &task.source).is_ok();
    let work = move || -> anyhow::Result<Collected> {
        let snapshots = Snapshots::open(&folder.git())?;
        let end = snapshots.take(&folder.code(), Some(&before), &limits).context("last snapshot")?;
        let patch = snapshots.patch(&before, &after_setup, &end).context("patch")?;
        let own_diff = match earlier {
            Some(earlier) => {
                let own = snapshots.own_patch(&earlier, (&before, &after_setup, &end)).context("patch of the turn")?;
                let folder = turn_folder(&logs, turn);
                std::fs::create_dir_all(&folder)?;
                write_whole(&folder.join("diff.patch"), &own.bytes)?;
                Some(own.summary)
            }
            None => None,
        };
        snapshots.keep_changes((&before, &after_setup, &end), &folder.changes()).context("changes")?;
        remove_if_there(&logs.join(WHOLE_PATCH))?;
        write_whole(&logs.join("diff.patch"), &patch.bytes)?;
        if may_be_published {
            snapshots.keep_result(&before, &after_setup, &end).context("result")?;
        }
        let diff = still_left_out(&folder, &logs, &left_out_before, patch.summary).context("choice")?;
        if may_be_published {
            snapshots.make_durable().context("result")?;
        }
        let mut references = Vec::new();
        if let Some(explanation) = explanation {
            write_whole(&logs.join("explanation.md"), &redact::mask_bytes(explanation.as_bytes()))?;
            references = references::checked(&snapshots, &end, &explanation).context("references")?;
        }
        keep_files(&snapshots, (&before, &end), &references, &patch.files, &folder.source())
            .context("files to show")?;
        let output = artifacts::collect(&folder.output(), &logs).context("artifacts")?;
        Ok(Collected {
            diff,
            own_diff,
            references,
            patch_holds_secret: redact::holds_secret(&patch.bytes),
            left_out: left_out(&end, output.left_out),
        })
    };
    let collected = blocking::run(work).await??;
    if !collected.left_out.is_empty() {
        let message = format!("Left out of the result: {}", collected.left_out.join("; "));
        pipeline.warn(task, message).await?;
    }
    if collected.patch_holds_secret {
        let message = "diff.patch holds a secret of this server, such as an API key. It is not masked there, or the patch \
                       would not apply: take the secret out of the code before you pass the patch on.";
        pipeline.warn(task, message).await?;
    }
    if !collected.references.is_empty() {
        pipeline.db.append_event(&task.id, EventBody::References { references: collected.references }).await?;
    }
    if let Some(own) = collected.own_diff {
        pipeline.db.set_own_diff(&task.id, task.turn, own).await?;
    }
    pipeline.db.set_result(&task.id, summary, Some(collected.diff)).await?;
    Ok(())
}

struct Collected {
    diff: DiffSummary,
    /// Of a further turn.
    own_diff: Option<DiffSummary>,
    references: Vec<CheckedReference>,
    patch_holds_secret: bool,
    /// Files that are neither in the patch nor among the artifacts, with the reason.
    left_out: Vec<String>,
}

/// No more images are kept, before and after.
const MAX_IMAGES: usize = 100;

/// What people are pointed to, and the images that changed, stay when the workspace goes.
fn keep_files(
    snapshots: &Snapshots,
    (before, end): (&Snapshot, &Snapshot),
    references: &[CheckedReference],
    changed: &[ChangedFile],
    into: &Path,
) -> anyhow::Result<()> {
    let valid = references.iter().filter(|checked| checked.is_valid());
    let mut at_end: BTreeSet<String> = valid.map(|checked| checked.reference.path.clone()).collect();
    let images = changed.iter().filter(|file| file.binary && is_image(&file.path)).take(MAX_IMAGES);
    let (new, old): (Vec<_>, Vec<_>) =
        images.map(|file| (file.path.clone(), file.old_path.clone().unwrap_or_else(|| file.path.clone()))).unzip();
    at_end.extend(new);
    if at_end.is_empty() {
        return Ok(());
    }
    let at_end: Vec<String> = at_end.into_iter().collect();
    Ok(snapshots.keep(&ToKeep { end: (end, &at_end), before: (before, &old) }, into)?)
}

fn left_out(end: &Snapshot, mut of_output: Vec<String>) -> Vec<String> {
    let of_code = end.skipped.iter().map(|skipped| format!("{skipped}"));
    of_output.extend(of_code);
    if end.is_truncated {
        of_output.push("new files beyond the limits of [source]".to_owned());
    }
    of_output
}

/// What was left out of the turns before stays so, where it is the same.
fn still_left_out(
    folder: &TaskDir,
    logs: &Path,
    before: &LeftOut,
    whole: DiffSummary,
) -> Result<DiffSummary, NotChosen> {
    if before.is_empty() {
        return Ok(whole);
    }
    let files = KeptChanges::open(&folder.changes())?.choices(before)?.unwrap_or_default();
    let left_out = before.among(&files);
    match leave_out(folder, logs, &left_out) {
        // With what came since it does not go together: all of it is in.
        Err(NotChosen::Contradiction { .. }) => Ok(whole),
        other => other,
    }
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// No reader ever sees half a file, and a crash leaves the old one or the new one.
pub(in crate::pipeline) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;

    let draft = path.with_extension("draft");
    let mut file = std::fs::File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}
