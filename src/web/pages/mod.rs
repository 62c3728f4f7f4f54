//! The pages for people: rendered here, whole without scripts; scripts only keep them fresh.

pub(super) mod account;
mod call;
mod checks;
pub(super) mod diff;
mod explanation;
pub(super) mod feedback;
pub(super) mod figures;
pub(super) mod invite;
mod links;
pub(super) mod list;
pub(super) mod live;
pub(super) mod log;
pub(super) mod login;
pub(super) mod network;
pub(super) mod new;
pub(super) mod people;
pub(super) mod preferences;
pub(super) mod pull_request;
mod readings;
pub(super) mod remarks;
pub(super) mod repository;
mod sessions;
pub(super) mod settings;
pub(super) mod share;
pub(super) mod shared;
pub(super) mod sign_in;
pub(super) mod source;
mod story;
mod surroundings;
pub(super) mod task;
mod task_view;
mod terminal;
pub(super) mod turns;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use super::error::WebError;
pub(super) use links::TaskLinks;

fn page(template: &impl Template) -> Result<Response, WebError> {
    Ok(Html(template.render()?).into_response())
}
