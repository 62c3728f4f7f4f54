//! `/tasks/{id}/share`: the share links of a task. A new one is shown once, on the answer to the form.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{figures, links::TaskLinks, page};
use crate::{
    artifacts, blocking,
    domain::{
        share::{Lifetime, Share, ShareScope},
        task::Task,
        task_id::TaskId,
    },
    wall_clock,
    web::{
        AppState,
        api::shares::{self, Scope},
        error::WebError,
        extract::{BaseUrl, TaskPath},
        share::{Finding, Scan, scan},
        viewer::Viewer,
    },
};

#[derive(Template)]
#[template(path = "share.html")]
struct SharePage {
    task: Task,
    links: TaskLinks,
    files: Vec<String>,
    shares: Vec<Share>,
    found: Scan,
    /// The address that was just made.
    made: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct ShareForm {
    scope: Scope,
    log: Option<String>,
    /// Days, or `never`.
    expires: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct RevokeForm {
    share: String,
}

pub(in crate::web) async fn get(State(state): State<AppState>, TaskPath(id): TaskPath) -> Result<Response, WebError> {
    show(&state, &id, None).await
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    viewer: Viewer,
    TaskPath(id): TaskPath,
    base: BaseUrl,
    Form(form): Form<ShareForm>,
) -> Result<Response, WebError> {
    let days = match &*form.expires {
        "never" => None,
        days => Some(days.parse().map_err(|_| WebError::Malformed("The days are no number.".to_owned()))?),
    };
    // The list of files stands beside every choice, and counts for one.
    let log = form.log.filter(|_| matches!(form.scope, Scope::Log));
    let scope = shares::scope(form.scope, log)?;
    let (_, path) = shares::make(&state, &viewer, id.clone(), scope, shares::lifetime(days)?).await?;
    let page = show(&state, &id, Some(format!("{}{path}", base.0))).await?;
    Ok((StatusCode::CREATED, page).into_response())
}

pub(in crate::web) async fn revoke(
    State(state): State<AppState>,
    viewer: Viewer,
    TaskPath(id): TaskPath,
    Form(form): Form<RevokeForm>,
) -> Result<Redirect, WebError> {
    shares::revoke(&state, &viewer, &form.share).await?;
    Ok(Redirect::to(&format!("{}/share", TaskLinks::of(&id).page)))
}

async fn show(state: &AppState, id: &TaskId, made: Option<String>) -> Result<Response, WebError> {
    let folder = state.data_dir.task_logs(id);
    let files = blocking::run(move || artifacts::list(&folder)).await??;
    page(&SharePage {
        task: state.db.task(id).await?,
        links: TaskLinks::of(id),
        files: files.into_iter().map(|file| file.name).collect(),
        shares: state.db.shares(id).await?,
        found: scan(state, id).await?,
        made,
    })
}

impl SharePage {
    fn has_diff(&self) -> bool {
        self.files.iter().any(|name| name == "diff.patch")
    }

    /// By kind, such as "2 × GitHub token".
    #[expect(clippy::unused_self, reason = "templates call methods of the page")]
    fn kinds(&self, finding: &Finding) -> String {
        let kinds = finding.covered.iter().map(|(kind, count)| format!("{count} × {kind}"));
        kinds.collect::<Vec<_>>().join(", ")
    }
}

fn has_expired(share: &Share) -> bool {
    share.has_expired(wall_clock::now())
}

fn exact(at: &Timestamp) -> String {
    figures::exact(*at)
}

fn ago(at: &Timestamp) -> String {
    figures::ago(*at)
}

/// In the words of the page.
fn scope_word(scope: &ShareScope) -> String {
    match scope {
        ShareScope::Task => tr!("Whole task").to_owned(),
        ShareScope::Diff => tr!("Diff").to_owned(),
        ShareScope::Log { name } => name.clone(),
    }
}

/// What the page offers, with the value of the form.
fn lifetimes() -> [(String, String, bool); 4] {
    [Lifetime::Days(1), Lifetime::DEFAULT, Lifetime::Days(30), Lifetime::Endless].map(|lifetime| {
        let (value, word) = match lifetime {
            Lifetime::Days(days) => (days.to_string(), tr_count!(u64::from(days), "{n} day", "{n} days")),
            Lifetime::Endless => ("never".to_owned(), tr!("until revoked").to_owned()),
        };
        (value, word, lifetime == Lifetime::DEFAULT)
    })
}
