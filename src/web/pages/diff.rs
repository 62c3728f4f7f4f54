//! `/tasks/{id}/diff`: the patch, file by file.

use std::{io::Read, path::PathBuf};

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    figures,
    links::TaskLinks,
    page,
    patch::{self, Patch, Room},
};
use crate::{
    artifacts, blocking,
    domain::task_id::TaskId,
    redact,
    web::{
        AppState,
        error::WebError,
        extract::{BaseUrl, TaskPath},
    },
};

/// What a browser shows without effort; the whole patch is a link away.
const ROOM: Room = Room { lines: 6000, lines_per_file: 1500 };
const MAX_READ_BYTES: u64 = 4 * 1024 * 1024;
#[derive(Template)]
#[template(path = "diff.html")]
struct DiffPage {
    id: TaskId,
    links: TaskLinks,
    title: String,
    patch: Patch,
    files: String,
    insertions: u64,
    deletions: u64,
    /// The whole address of `diff.patch`.
    address: String,
    size: Option<String>,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    base: BaseUrl,
) -> Result<Response, WebError> {
    let task = state.db.task(&id).await?;
    let (patch, size) = read_patch(state.data_dir.task_logs(&id), ROOM).await?.ok_or(WebError::NotFound)?;
    let counted = |count: fn(&patch::PatchFile) -> u64| patch.files.iter().map(count).sum();
    let links = TaskLinks::of(&id);
    page(&DiffPage {
        title: task.instruction.title().to_owned(),
        files: figures::plural(patch.files.len() as u64, "file", "files"),
        insertions: task.diff.map_or_else(|| counted(|file| file.insertions), |diff| diff.insertions),
        deletions: task.diff.map_or_else(|| counted(|file| file.deletions), |diff| diff.deletions),
        address: format!("{}{}/diff.patch", base.0, links.files),
        size: (patch.left_out > 0 || size > MAX_READ_BYTES).then(|| figures::bytes(size)),
        patch,
        links,
        id,
    })
}

/// The patch of a task with its size in bytes; `None` when there is none.
pub(super) async fn read_patch(folder: PathBuf, room: Room) -> Result<Option<(Patch, u64)>, WebError> {
    let read = blocking::run(move || {
        let Some(file) = artifacts::open(&folder, "diff.patch")? else { return Ok(None) };
        let size = file.metadata()?.len();
        let mut bytes = Vec::new();
        file.take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(Some((patch::parse(&redact::mask(&String::from_utf8_lossy(&bytes)), room), size)))
    });
    Ok(read.await??)
}
