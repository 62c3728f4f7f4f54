//! `POST /tasks/{id}/selection`: files and hunks are left out of the result, or taken in again, by the boxes of the page.

use std::collections::HashMap;

use axum::{Form, extract::State, response::Redirect};

use crate::{
    domain::{
        choice::{FileChoice, HunkChoice},
        task::Task,
    },
    pipeline::choice,
    web::{AppState, error::WebError, extract::TaskPath, pages::links::TaskLinks},
};

/// Of a patch beyond that the page offers no choice, and of a file with more hunks only the whole: the API does.
pub(super) const MAX_PATCH_BYTES: u64 = 4 << 20;
const MAX_HUNKS: usize = 50;

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Redirect, WebError> {
    choice::choose(&state.db, &state.data_dir, &id, |mut left_out| {
        for (name, id) in form {
            match &*name {
                "leave_out" => left_out.leave_out(id),
                "take_in" => left_out.take_in(&id),
                _ => {}
            }
        }
        left_out
    })
    .await?;
    Ok(Redirect::to(&format!("{}/diff", TaskLinks::of(&id).page)))
}

/// What a page offers.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// By path.
    files: HashMap<String, FileChoice>,
    pub(super) left_out: Vec<LeftOutItem>,
}

/// A file or a hunk that is left out.
#[derive(Debug)]
pub(super) struct LeftOutItem {
    pub(super) id: String,
    pub(super) path: String,
    /// Of a hunk; none of a whole file.
    pub(super) hunk: Option<HunkChoice>,
}

impl Choices {
    /// None for whom nothing can be chosen, or yet.
    pub(super) async fn of(state: &AppState, task: &Task) -> Result<Self, WebError> {
        if !task.status.is_final() {
            return Ok(Self::default());
        }
        let mut this = Self::default();
        for file in choice::choices(&state.db, &state.data_dir, &task.id).await?.unwrap_or_default() {
            if file.left_out {
                this.left_out.push(LeftOutItem { id: file.id, path: file.path, hunk: None });
                continue;
            }
            let out = file.hunks.iter().filter(|hunk| hunk.left_out);
            let item = |hunk: &HunkChoice| LeftOutItem {
                id: hunk.id.clone(),
                path: file.path.clone(),
                hunk: Some(hunk.clone()),
            };
            this.left_out.extend(out.map(item));
            this.files.insert(file.path.clone(), file);
        }
        Ok(this)
    }

    /// What can be left out of a file that is in.
    pub(super) fn of_file(&mut self, path: &str) -> Option<FileChoice> {
        let mut file = self.files.remove(path)?;
        file.hunks.retain(|hunk| !hunk.left_out);
        if file.hunks.len() > MAX_HUNKS {
            file.hunks.clear();
        }
        Some(file)
    }

    pub(super) fn can_be_made(&self) -> bool {
        !self.files.is_empty()
    }
}
