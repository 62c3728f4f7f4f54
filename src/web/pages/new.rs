//! `/new`: one form for a task. What is refused comes back with everything that was typed.

use askama::Template;
use axum::{
    extract::{Request, State},
    response::{IntoResponse, Redirect, Response},
};

use super::{figures, links::TaskLinks, page};
use crate::{
    config::Config,
    web::{
        AppState, api,
        error::WebError,
        submit::{self, FieldError, Received, Typed},
        viewer::Viewer,
    },
};

#[derive(Template)]
#[template(path = "new.html")]
struct NewPage<'a> {
    typed: Typed,
    errors: Vec<FieldError>,
    /// What went wrong beside the fields.
    problem: Option<String>,
    models: Vec<String>,
    config: &'a Config,
    max_zip: String,
}

impl NewPage<'_> {
    fn error(&self, field: &str) -> &str {
        self.errors.iter().find(|error| error.field == field).map_or("", |error| &error.message)
    }

    /// Errors at fields that are folded away must be seen.
    fn shows_options(&self) -> bool {
        const OPTIONS: [&str; 7] =
            ["model", "image", "max_steps", "max_tokens", "max_cost_usd", "setup_timeout_s", "task_timeout_s"];
        self.errors.iter().any(|error| OPTIONS.contains(&&*error.field))
    }
}

pub(in crate::web) async fn get(State(state): State<AppState>) -> Result<Response, WebError> {
    form(&state, Typed::default(), Vec::new(), None)
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
                    let message =
                        format!("the archive is larger than {}, the limit of this server", figures::bytes(*limit));
                    vec![FieldError::new("archive", &message)]
                }
                _ => Vec::new(),
            };
            let problem = errors.is_empty().then(|| error.to_string());
            let (status, headers) = (error.status(), error.headers());
            Ok((status, headers, form(&state, received.typed.without_passwords(), errors, problem)?).into_response())
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

fn form(
    state: &AppState,
    typed: Typed,
    errors: Vec<FieldError>,
    problem: Option<String>,
) -> Result<Response, WebError> {
    let config = &*state.config;
    let mut models: Vec<String> = config.llm.prices.keys().map(ToString::to_string).collect();
    let default = config.agent.model.to_string();
    if !models.contains(&default) {
        models.insert(0, default);
    }
    page(&NewPage { typed, errors, problem, models, config, max_zip: figures::bytes(config.source.max_zip_bytes) })
}
