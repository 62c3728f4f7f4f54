//! The thumbs on the page of a task.

use axum::{Form, extract::State, response::Redirect};
use serde::Deserialize;

use super::links::TaskLinks;
use crate::{
    domain::feedback::Rating,
    web::{AppState, api::feedback::feedback, error::WebError, extract::TaskPath},
};

#[derive(Debug, Deserialize)]
pub(in crate::web) struct FeedbackForm {
    /// `up` or `down`; empty when the pressed thumb was pressed again, which takes the rating back.
    rating: String,
    comment: Option<String>,
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    Form(form): Form<FeedbackForm>,
) -> Result<Redirect, WebError> {
    let rating = match &*form.rating {
        "up" => Some(Rating::Up),
        "down" => Some(Rating::Down),
        "" => None,
        _ => return Err(WebError::Malformed("The rating is neither up nor down.".to_owned())),
    };
    state.db.set_feedback(&id, feedback(rating, form.comment.as_deref())?).await?;
    Ok(Redirect::to(&format!("{}#feedback", TaskLinks::of(&id).page)))
}
