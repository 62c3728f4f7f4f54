//! A further turn works on what the turns before it left: what they changed comes back into a fresh source, once setup has
//! run and the network is cut. What they left for people stays beside the new results.

use std::{fs, io, path::Path};

use anyhow::Context;

use super::fetch::Fetched;
use crate::{
    blocking,
    data_dir::{WHOLE_PATCH, turn_folder},
    domain::{
        failure::{Failure, FailureKind},
        task::Task,
        task_id::TaskId,
        verification::LOGS,
    },
    git::{KeptChanges, Snapshot, SnapshotError, Snapshots},
    pipeline::Pipeline,
    sandbox::Ownership,
};

/// Brings the work back; returns the source with it, which is what this turn begins with. None in a first turn. May be done
/// again.
pub(in crate::pipeline) async fn bring_back(
    pipeline: &Pipeline,
    task: &Task,
    fetched: &Fetched,
) -> anyhow::Result<Option<Snapshot>> {
    let Some(earlier) = task.turn.checked_sub(1).filter(|earlier| *earlier > 0) else { return Ok(None) };
    let (folder, logs) = (pipeline.data_dir.task(&task.id), pipeline.data_dir.task_logs(&task.id));
    let (git_dir, source, id, kept) = (folder.git(), fetched.snapshot.clone(), task.id.clone(), folder.changes());
    let left_out = pipeline.db.left_out(&task.id).await?;
    // What a person left out of the result is work all the same.
    let has_work = task.diff.is_some_and(|diff| diff.files > 0) || !left_out.is_empty() && kept.exists();
    let read = move || -> anyhow::Result<Snapshot> {
        keep_for_people(&logs, &id, earlier)?;
        if !has_work {
            return Ok(source);
        }
        let snapshots = Snapshots::open(&git_dir)?;
        let wanted = KeptChanges::open(&kept)
            .and_then(|changes| snapshots.with_changes(&source, &changes))
            .map_err(|error| lost(&error))?;
        snapshots.make_durable()?;
        Ok(wanted)
    };
    let wanted = blocking::run(read).await??;
    if has_work {
        let code = folder.code();
        pipeline.give(&task.id, vec![code.clone()], Ownership::Server).await?;
        let (git_dir, source, laid) = (folder.git(), fetched.snapshot.clone(), wanted.clone());
        let into = code.clone();
        let lay = move || Snapshots::open(&git_dir)?.lay(&source, &laid, &into);
        blocking::run(lay).await?.context("the work of the turns before")?;
        pipeline.give(&task.id, vec![code], Ownership::Agent).await?;
        let said = match task.diff.map_or(0, |diff| diff.files) {
            files if left_out.is_empty() => format!("The changes of the turns before are back, in {files} files."),
            _ => "The changes of the turns before are back, also those that were left out.".to_owned(),
        };
        pipeline.note(task, said).await?;
    }
    Ok(Some(wanted))
}

fn lost(error: &SnapshotError) -> Failure {
    Failure::new(
        FailureKind::ResultGone,
        format!(
            "The changes of the turns before cannot be put onto the source again ({error}). Start a new task, and apply \
             diff.patch by hand."
        ),
    )
}

/// What the next result takes the place of stays in a folder of its turn. A second name is enough: a result is never written
/// into, it is exchanged.
fn keep_for_people(logs: &Path, id: &TaskId, turn: u32) -> io::Result<()> {
    let folder = turn_folder(logs, turn);
    fs::create_dir_all(&folder)?;
    let transcript = format!("finetuning_data/{id}.jsonl");
    let names = [("explanation.md", "explanation.md"), ("agent.log", "agent.log"), (&*transcript, "finetuning.jsonl")];
    match fs::rename(logs.join(LOGS), folder.join(LOGS)) {
        // Not there, or moved before.
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
            return Err(error);
        }
        _ => {}
    }
    // The whole patch of a first turn is its own; the others have theirs already.
    let whole = if logs.join(WHOLE_PATCH).exists() { WHOLE_PATCH } else { "diff.patch" };
    let patch = (turn == 1).then_some((whole, "diff.patch"));
    for (from, to) in names.into_iter().chain(patch) {
        match fs::hard_link(logs.join(from), folder.join(to)) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}
