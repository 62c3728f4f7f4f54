//! `/new`: one form for a task. What is refused comes back with everything that was typed.

use askama::Template;
use axum::{
    extract::{Request, State},
    response::{IntoResponse, Redirect, Response},
};

use serde::Deserialize;

use super::{figures, links::TaskLinks, page};
use crate::{
    config::Config,
    db::RecentRepository,
    web::{
        AppState, api,
        error::WebError,
        extract::Query,
        submit::{self, FieldError, Received, Typed},
        viewer::Viewer,
    },
};

const MAX_RECENT: usize = 6;

#[derive(Template)]
#[template(path = "new.html")]
struct NewPage<'a> {
    typed: Typed,
    errors: Vec<FieldError>,
    /// What went wrong beside the fields.
    problem: Option<String>,
    /// The file that came with a refused form; a browser does not keep it.
    archive_name: Option<String>,
    recent: Vec<RecentRepository>,
    models: Vec<String>,
    config: &'a Config,
    max_zip: String,
}

impl NewPage<'_> {
    /// The form with this repository in it.
    fn address_with(recent: &RecentRepository) -> String {
        let mut query = url::form_urlencoded::Serializer::for_suffix("/new?".to_owned(), "/new?".len());
        query.append_pair("git_url", recent.url.as_str());
        if let Some(git_ref) = &recent.git_ref {
            query.append_pair("git_ref", git_ref.as_str());
        }
        query.finish()
    }

    fn error(&self, field: &str) -> &str {
        self.errors.iter().find(|error| error.field == field).map_or("", |error| &error.message)
    }

    /// What holds when nothing is chosen.
    fn defaults(&self) -> String {
        let agent = &self.config.agent;
        let steps = tr_count!(agent.limits.max_steps, "{n} step", "{n} steps");
        format!("{} · {steps} · ${}", agent.model, agent.limits.max_cost_usd)
    }

    /// Errors at fields that are folded away must be seen.
    fn shows_options(&self) -> bool {
        const OPTIONS: [&str; 8] = [
            "model",
            "image",
            "max_steps",
            "max_tokens",
            "max_cost_usd",
            "setup_timeout_s",
            "task_timeout_s",
            "checks",
        ];
        self.errors.iter().any(|error| OPTIONS.contains(&&*error.field))
    }
}

/// What a link to the form can fill in.
#[derive(Debug, Deserialize)]
pub(in crate::web) struct NewQuery {
    #[serde(default)]
    task: String,
    #[serde(default)]
    git_url: String,
    #[serde(default)]
    git_ref: String,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    viewer: Viewer,
    Query(NewQuery { task, git_url, git_ref }): Query<NewQuery>,
) -> Result<Response, WebError> {
    let mut filled = Received::default();
    (filled.typed.task, filled.typed.git_url, filled.typed.git_ref) = (task, git_url, git_ref);
    form(&state, &viewer, filled, Vec::new(), None).await
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    viewer: Viewer,
    request: Request,
) -> Result<Response, WebError> {
    let mut received = Received::default();
    match submit_form(&state, &viewer, request, &mut received).await {
        Ok(address) => Ok(Redirect::to(&address).into_response()),
        Err(WebError::Internal { id, cause }) => Err(WebError::Internal { id, cause }),
        Err(error) => {
            let errors = match &error {
                WebError::Invalid { fields } => fields.clone(),
                WebError::ArchiveTooLarge { limit } => {
                    let limit = figures::bytes(*limit);
                    let message = tr!("the archive is larger than {limit}, the limit of this server", limit = limit);
                    vec![FieldError::new("archive", &message)]
                }
                _ => Vec::new(),
            };
            let problem = errors.is_empty().then(|| error.to_string());
            let page = form(&state, &viewer, received, errors, problem).await?;
            Ok((error.status(), error.headers(), page).into_response())
        }
    }
}

async fn submit_form(
    state: &AppState,
    viewer: &Viewer,
    request: Request,
    received: &mut Received,
) -> Result<String, WebError> {
    let form = api::tasks::open_form(state, request).await?;
    received.read(state, form).await?;
    let task = submit::submit(state, viewer, received.typed.submission()?, received.upload.take()).await?;
    Ok(TaskLinks::of(&task.id).page)
}

async fn form(
    state: &AppState,
    viewer: &Viewer,
    received: Received,
    errors: Vec<FieldError>,
    problem: Option<String>,
) -> Result<Response, WebError> {
    let config = &*state.config;
    let mut models: Vec<String> = config.llm.prices.keys().map(ToString::to_string).collect();
    let default = config.agent.model.to_string();
    if !models.contains(&default) {
        models.insert(0, default);
    }
    page(&NewPage {
        typed: received.typed.without_passwords(),
        archive_name: received.archive_name,
        errors,
        problem,
        recent: state.db.recent_repositories(viewer.scope(), MAX_RECENT).await?,
        models,
        config,
        max_zip: figures::bytes(config.source.max_zip_bytes),
    })
}
