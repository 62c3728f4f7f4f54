//! Fetch: the source becomes `tasks/<id>/code`, and the first snapshot says what it was.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::{
    archive::{self, UnpackLimits},
    blocking,
    data_dir::{TaskDir, make_private_dir},
    domain::{
        event::EventBody,
        source::{GitRef, Source},
        task::Task,
    },
    git::{self, CloneLimits, CloneRequest, NamedFiles, Snapshot, SnapshotError, SnapshotLimits, Snapshots},
    pipeline::Pipeline,
    remove_tree::remove_tree,
    sandbox::Ownership,
};

/// What the source held before anything ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fetched {
    /// Of a clone: whoever fetches again fetches the same.
    pub(crate) commit: Option<GitRef>,
    /// Of a clone of a branch.
    #[serde(default)]
    pub(crate) branch: Option<GitRef>,
    /// S0.
    pub(crate) snapshot: Snapshot,
    pub(crate) setup_script: Option<SetupScript>,
}

/// The `setup.sh` of the repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SetupScript {
    pub(crate) is_executable: bool,
    pub(crate) has_windows_line_ends: bool,
}

const MAX_AGENTS_FILES: usize = 50;
const MAX_AGENTS_FILES_BYTES: usize = 256 * 1024;

/// Fetches from nothing; an earlier attempt says which commit.
pub(crate) async fn fetch(pipeline: &Pipeline, task: &Task, earlier: Option<Fetched>) -> anyhow::Result<Fetched> {
    let folder = pipeline.data_dir.task(&task.id);
    make_private_dir(&pipeline.data_dir.task_logs(&task.id))?;
    remove_tree(&folder.code()).await?;
    remove_tree(&folder.git()).await?;
    let (commit, branch) = earlier.map(|earlier| (earlier.commit, earlier.branch)).unwrap_or_default();
    let Origin { commit, branch: cloned } = bring(pipeline, task, &folder.code(), commit).await?;
    // A commit is fetched without the branch it was on.
    let branch = branch.or(cloned);
    let (code, git_dir) = (folder.code(), folder.git());
    let limits = SnapshotLimits::from(&pipeline.config.source);
    let look = move || look(&code, &git_dir, &limits);
    let (snapshot, setup_script, agents_files_left_out) = blocking::run(look).await?.context("first snapshot")?;
    if agents_files_left_out > 0 {
        let message = format!(
            "{agents_files_left_out} AGENTS.md files are not read: at most {MAX_AGENTS_FILES} are, with {} KiB in all.",
            MAX_AGENTS_FILES_BYTES / 1024
        );
        pipeline.warn(task, message).await?;
    }
    let Snapshot { files, bytes, .. } = snapshot;
    pipeline.note(task, format!("The source has {files} files, {bytes} bytes.")).await?;
    Ok(Fetched { commit, branch, snapshot, setup_script })
}

/// Every `AGENTS.md` by its path, within limits, as it was when the source came in.
pub(crate) async fn agents_files(folder: TaskDir, snapshot: Snapshot) -> anyhow::Result<BTreeMap<String, String>> {
    let read = move || Ok(agents_files_in(&Snapshots::open(&folder.git())?, &snapshot)?.texts);
    blocking::run(read).await?
}

/// Of a clone: its commit and, if a branch was cloned, its name.
#[derive(Debug, Default)]
pub(super) struct Origin {
    commit: Option<GitRef>,
    branch: Option<GitRef>,
}

/// The source, whatever it is, as files that belong to whoever is to change them.
pub(super) async fn bring(
    pipeline: &Pipeline,
    task: &Task,
    into: &Path,
    commit: Option<GitRef>,
) -> anyhow::Result<Origin> {
    let settings = &pipeline.config.source;
    let origin = match &task.source {
        Source::Git { git_url, git_ref } => {
            let request = CloneRequest {
                url: git_url,
                git_ref: commit.as_ref().or(git_ref.as_ref()),
                into,
                token: settings.tokens.of(git_url),
                policy: &settings.address_policy,
                limits: &CloneLimits::from(settings),
            };
            let cloned = git::clone(request, |line| note_progress(pipeline, task, line)).await?;
            let branch = cloned.branch.as_ref().map(|branch| format!(" ({branch})")).unwrap_or_default();
            pipeline.note(task, format!("Cloned {git_url} at {}{branch}", cloned.commit)).await?;
            Origin { commit: cloned.commit.parse().ok(), branch: cloned.branch.and_then(|branch| branch.parse().ok()) }
        }
        Source::Archive { .. } => {
            let upload = pipeline.data_dir.task(&task.id).upload();
            let (into, limits) = (into.to_owned(), UnpackLimits::from(settings));
            blocking::run(move || archive::unpack(&upload, &into, &limits)).await??;
            Origin::default()
        }
    };
    if task.mode.changes_code() {
        // Before the snapshot: a later change of owners would make the next one read every file again.
        pipeline.give(&task.id, vec![into.to_owned()], Ownership::Agent).await?;
    }
    Ok(origin)
}

/// S0 and what it says; with the number of `AGENTS.md` files that are too many or too large.
fn look(
    code: &Path,
    git_dir: &Path,
    limits: &SnapshotLimits,
) -> anyhow::Result<(Snapshot, Option<SetupScript>, usize)> {
    let snapshots = Snapshots::create(git_dir)?;
    let snapshot = snapshots.take(code, None, limits)?;
    snapshots.make_durable()?;
    let left_out = agents_files_in(&snapshots, &snapshot)?.left_out;
    let setup_script = match snapshots.blob(&snapshot, b"setup.sh")? {
        None => None,
        Some(bytes) => Some(SetupScript {
            is_executable: std::fs::symlink_metadata(code.join("setup.sh"))?.permissions().mode() & 0o111 != 0,
            has_windows_line_ends: bytes.contains(&b'\r'),
        }),
    };
    Ok((snapshot, setup_script, left_out))
}

fn agents_files_in(snapshots: &Snapshots, snapshot: &Snapshot) -> Result<NamedFiles, SnapshotError> {
    snapshots.files_named(snapshot, "AGENTS.md", MAX_AGENTS_FILES, MAX_AGENTS_FILES_BYTES)
}

/// Progress is worth a line but not a wait.
fn note_progress(pipeline: &Pipeline, task: &Task, message: String) {
    pipeline.db.append_event_later(&task.id, EventBody::Note { message });
}
