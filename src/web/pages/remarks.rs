//! `/tasks/{id}/remarks`: a remark on a line of the diff, and those that wait to be sent.

use askama::Template;
use axum::{
    Form,
    extract::State,
    response::{Redirect, Response},
};
use serde::Deserialize;

use super::{
    diff::{Pointed, parse_line},
    links::TaskLinks,
    page,
};
use crate::{
    domain::{
        patch::Side,
        remark::{Remark, RemarkText, RemarkedLine},
        task::Task,
        task_id::TaskId,
    },
    web::{
        AppState,
        error::WebError,
        extract::{Query, RemarkPath, TaskPath},
        submit::FieldError,
    },
};

/// A remark as it stands below its line.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) line: RemarkedLine,
    pub(super) text: RemarkText,
    /// Where it is changed.
    pub(super) address: String,
}

/// For lines that nobody remarks on.
pub(super) const NOTHING_SAID: &[Said] = &[];

#[derive(Debug, Deserialize)]
pub(in crate::web) struct RemarksQuery {
    /// Of a file in the patch.
    path: Option<String>,
    /// `R12` or `12`: a line as it is now; `L12`: as it was.
    line: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct RemarkForm {
    path: String,
    line: String,
    text: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct ChangeForm {
    text: String,
    /// Any value: it goes.
    remove: Option<String>,
}

#[derive(Template)]
#[template(path = "remarks.html")]
struct RemarksPage {
    task: Task,
    links: TaskLinks,
    /// The line that is pointed to, with its name in a form.
    pointed: Option<(String, RemarkedLine)>,
    /// It is not in the diff.
    is_missing: bool,
    remarks: Vec<Remark>,
}

impl Said {
    /// What waits to be sent. None of it is for visitors, or for what one turn changed.
    pub(super) async fn all(
        state: &AppState,
        id: &TaskId,
        links: &TaskLinks,
        turn: Option<u32>,
    ) -> Result<Vec<Self>, WebError> {
        if links.reader.is_visitor() || turn.is_some() {
            return Ok(Vec::new());
        }
        let said = |remark: Remark| Self {
            address: format!("{}/remarks#remark-{}", links.page, remark.number),
            line: remark.line,
            text: remark.text,
        };
        Ok(state.db.remarks(id).await?.into_iter().map(said).collect())
    }
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    Query(query): Query<RemarksQuery>,
) -> Result<Response, WebError> {
    let is_asked = query.path.is_some();
    let pointed = match query.path.zip(query.line.as_deref().and_then(place)) {
        Some((path, place)) => Pointed::find(&state, &id, path, place).await?,
        None => None,
    };
    page(&RemarksPage {
        task: state.db.task(&id).await?,
        links: TaskLinks::of(&id),
        is_missing: is_asked && pointed.is_none(),
        pointed: pointed.map(|Pointed { line, .. }| (format!("{}{}", line.side.letter(), line.number), line)),
        remarks: state.db.remarks(&id).await?,
    })
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    Form(form): Form<RemarkForm>,
) -> Result<Redirect, WebError> {
    let text = text(form.text)?;
    // No patch has a line 0.
    let place = place(&form.line).unwrap_or((Side::New, 0));
    let Pointed { line, address } = Pointed::require(&state, &id, form.path, place).await?;
    state.db.add_remark(&id, line, text).await?;
    Ok(Redirect::to(&address))
}

pub(in crate::web) async fn change(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    RemarkPath(remark): RemarkPath,
    Form(form): Form<ChangeForm>,
) -> Result<Redirect, WebError> {
    let is_there = match form.remove {
        Some(_) => state.db.remove_remark(&id, remark).await?,
        None => state.db.change_remark(&id, remark, text(form.text)?).await?,
    };
    if !is_there {
        return Err(WebError::NotFound);
    }
    Ok(Redirect::to(&format!("{}/remarks", TaskLinks::of(&id).page)))
}

/// What a remark says, as somebody sent it.
pub(in crate::web) fn text(sent: String) -> Result<RemarkText, WebError> {
    sent.try_into().map_err(|error| WebError::Invalid { fields: vec![FieldError::new("text", &error)] })
}

fn place(line: &str) -> Option<(Side, u32)> {
    let line = line.trim().to_ascii_uppercase();
    parse_line(&line).or_else(|| Some((Side::New, line.parse().ok()?)))
}
