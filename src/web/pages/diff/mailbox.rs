//! `/tasks/{id}/result.mbox`: the patch with author and message, for `git am`.

use axum::{
    extract::State,
    http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use super::patch_file::PatchFile;
use crate::{
    blocking,
    config::{AUTHOR, Config, EMAIL},
    domain::{
        mailbox::{Sender, mailbox_patch},
        task::Task,
    },
    pipeline::publisher::forge_of,
    web::{AppState, error::WebError, extract::TaskPath, reading::Reader, security_headers::ARTIFACT_POLICY},
};

/// A larger one is not packed in memory.
const MAX_PATCH_BYTES: u64 = 64 << 20;

pub(in crate::web) async fn get(State(state): State<AppState>, TaskPath(id): TaskPath) -> Result<Response, WebError> {
    let task = state.db.task(&id).await?;
    let logs = state.data_dir.task_logs(&id);
    let config = state.config.clone();
    let write = move || -> std::io::Result<Option<Vec<u8>>> {
        let patch = PatchFile::open(&logs, Reader::Person)?.filter(|patch| can_be_made(patch.size));
        let Some(patch) = patch else { return Ok(None) };
        Ok(Some(mailbox_patch(&task, &sender(&config, &task), &patch.bytes()?)))
    };
    let mailbox = blocking::run(write).await??.ok_or(WebError::NotFound)?;
    let disposition = format!("attachment; filename=\"{id}.mbox\"");
    let headers = [(CONTENT_TYPE, "application/mbox".to_owned()), (CONTENT_DISPOSITION, disposition)];
    Ok((headers, [(CONTENT_SECURITY_POLICY, ARTIFACT_POLICY)], mailbox).into_response())
}

/// Whether a patch of this size goes into a mail.
pub(super) fn can_be_made(patch_bytes: u64) -> bool {
    (1..=MAX_PATCH_BYTES).contains(&patch_bytes)
}

/// Who publishes on the forge of the source, if it has one.
fn sender<'a>(config: &'a Config, task: &'a Task) -> Sender<'a> {
    let nobody = Sender { name: AUTHOR, email: EMAIL, co_author: None };
    forge_of(config, &task.source).map_or(nobody, |(forge, _)| Sender {
        name: &forge.author_name,
        email: &forge.author_email,
        co_author: forge.co_author.as_deref(),
    })
}
