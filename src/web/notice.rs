//! The calm line at the top of every page while something keeps all tasks from starting.

use askama::Template;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::{AppState, words};
use crate::pipeline::obstacle::Obstacle;

/// The lines on their own, as live pages get them; the frame of the pages includes the same template.
#[derive(Template)]
#[template(path = "notices.html")]
pub(super) struct NoticesPiece<'a> {
    pub(super) notices: &'a [String],
}

tokio::task_local! {
    static NOTICES: Vec<String>;
}

/// What the pages of one request say at their top.
pub(super) async fn provide(State(state): State<AppState>, request: Request, next: Next) -> Response {
    NOTICES.scope(now(&state), next.run(request)).await
}

/// What is to be said at this moment.
pub(super) fn now(state: &AppState) -> Vec<String> {
    let obstacles = state.vitals.obstacles.borrow().clone();
    obstacles.iter().filter(|obstacle| is_for_everybody(obstacle)).map(words::obstacle).collect()
}

/// For the frame of the pages. Nothing outside of a request of somebody who is logged in.
pub(super) fn current() -> Vec<String> {
    NOTICES.try_with(Clone::clone).unwrap_or_default()
}

/// What passes by itself within a task's time is told on the page of the task that waits.
fn is_for_everybody(obstacle: &Obstacle) -> bool {
    match obstacle {
        Obstacle::Docker { .. }
        | Obstacle::OldEngine { .. }
        | Obstacle::Disk { .. }
        | Obstacle::DayBudget(_)
        | Obstacle::Provider(_) => true,
        Obstacle::Starting | Obstacle::Memory { .. } => false,
    }
}
