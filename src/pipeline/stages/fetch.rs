//! Fetch: the source becomes `tasks/<id>/code`, and the first snapshot says what it was.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path};

use anyhow::Context;

use crate::{
    archive::{self, UnpackLimits},
    blocking,
    data_dir::{TaskDir, make_private_dir},
    domain::{
        event::EventBody,
        source::Source,
        task::{Mode, Stage, Task},
    },
    git::{self, CloneLimits, CloneRequest, Snapshot, SnapshotLimits, Snapshots},
    pipeline::Pipeline,
    remove_tree::remove_tree,
    sandbox::Ownership,
};

/// What the source held before anything ran.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// S0.
    pub(crate) snapshot: Snapshot,
    /// Every `AGENTS.md` by its path, within limits.
    pub(crate) agents_files: BTreeMap<String, String>,
    pub(crate) setup_script: Option<SetupScript>,
}

/// The `setup.sh` of the repository.
#[derive(Debug, Clone)]
pub(crate) struct SetupScript {
    pub(crate) is_executable: bool,
    pub(crate) has_windows_line_ends: bool,
}

const MAX_AGENTS_FILES: usize = 50;
const MAX_AGENTS_FILES_BYTES: usize = 256 * 1024;

pub(crate) async fn fetch(pipeline: &Pipeline, task: &Task) -> anyhow::Result<Fetched> {
    pipeline.db.enter_stage(&task.id, Stage::Fetch).await?;
    let folder = pipeline.data_dir.task(&task.id);
    make_private_dir(&pipeline.data_dir.task_logs(&task.id))?;
    remove_tree(&folder.code()).await?;
    bring(pipeline, task, &folder).await?;
    if task.mode == Mode::Modify {
        // Before the snapshot: a later change of owners would make the next one read every file again.
        pipeline.engine.give(&task.id, vec![folder.code()], Ownership::Agent).await?;
    }
    let (code, git_dir) = (folder.code(), folder.git());
    let limits = SnapshotLimits::from(&pipeline.config.source);
    let (fetched, agents_files_left_out) =
        blocking::run(move || look(&code, &git_dir, &limits)).await?.context("first snapshot")?;
    if agents_files_left_out > 0 {
        let message = format!(
            "{agents_files_left_out} AGENTS.md files are not read: at most {MAX_AGENTS_FILES} are, with {} KiB in all.",
            MAX_AGENTS_FILES_BYTES / 1024
        );
        pipeline.warn(task, message).await?;
    }
    let Snapshot { files, bytes, .. } = fetched.snapshot;
    pipeline.note(task, format!("The source has {files} files, {bytes} bytes.")).await?;
    Ok(fetched)
}

/// The source, whatever it is, as files.
async fn bring(pipeline: &Pipeline, task: &Task, folder: &TaskDir) -> anyhow::Result<()> {
    let settings = &pipeline.config.source;
    match &task.source {
        Source::Git { git_url, git_ref } => {
            let request = CloneRequest {
                url: git_url,
                git_ref: git_ref.as_ref(),
                into: &folder.code(),
                token: settings.tokens.of(git_url),
                policy: &settings.address_policy,
                limits: &CloneLimits::from(settings),
            };
            let cloned = git::clone(request, |line| note_progress(pipeline, task, line)).await?;
            let branch = cloned.branch.map(|branch| format!(" ({branch})")).unwrap_or_default();
            pipeline.note(task, format!("Cloned {git_url} at {}{branch}", cloned.commit)).await?;
        }
        Source::Archive { .. } => {
            let (upload, code, limits) = (folder.upload(), folder.code(), UnpackLimits::from(settings));
            blocking::run(move || archive::unpack(&upload, &code, &limits)).await??;
        }
    }
    Ok(())
}

/// With the number of `AGENTS.md` files that are too many or too large.
fn look(code: &Path, git_dir: &Path, limits: &SnapshotLimits) -> anyhow::Result<(Fetched, usize)> {
    let snapshots = Snapshots::create(git_dir)?;
    let snapshot = snapshots.take(code, None, limits)?;
    let agents_files = snapshots.files_named(&snapshot, "AGENTS.md", MAX_AGENTS_FILES, MAX_AGENTS_FILES_BYTES)?;
    let setup_script = match snapshots.blob(&snapshot, b"setup.sh")? {
        None => None,
        Some(bytes) => Some(SetupScript {
            is_executable: std::fs::symlink_metadata(code.join("setup.sh"))?.permissions().mode() & 0o111 != 0,
            has_windows_line_ends: bytes.contains(&b'\r'),
        }),
    };
    Ok((Fetched { snapshot, agents_files: agents_files.texts, setup_script }, agents_files.left_out))
}

/// Progress is worth a line but not a wait.
fn note_progress(pipeline: &Pipeline, task: &Task, message: String) {
    pipeline.db.append_event_later(&task.id, EventBody::Note { message });
}
