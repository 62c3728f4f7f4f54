//! People who come with a share link: they read one task, or a part of it, and can do nothing.

mod guard;
mod redacted;
mod scan;
mod token;
mod visits;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::WebError;
use crate::domain::share::{Share, ShareScope};
pub(super) use guard::{is_shared, loggable_path, require_share};
pub(super) use redacted::{covered_copy, redacted};
pub(super) use scan::{Finding, Scan, scan};
pub(super) use token::ShareToken;
pub(super) use visits::Visits;

tokio::task_local! {
    static VISIT: bool;
}

/// For the frame of the pages: whether it is drawn for a visitor, who has no other page here and no login.
pub(super) fn is_visit() -> bool {
    VISIT.try_with(|is_visit| *is_visit).unwrap_or(false)
}

/// Draws something, for a visitor or not.
pub(super) fn visiting<T>(is_visit: bool, draw: impl FnOnce() -> T) -> T {
    VISIT.sync_scope(is_visit, draw)
}

/// Where shared pages are.
const PREFIX: &str = "/s/";

/// Who opened a link; put into the request by the guard.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) share: Share,
    /// `/s/TOKEN`: everything the visitor may see lies beneath.
    pub(super) base: String,
}

/// What of a task a route beneath a share link is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Every link has it; its handler looks what the link shows.
    Any,
    /// The diff.
    Diff,
    /// Only links to the whole task have it.
    Task,
}

impl Part {
    fn is_shown(self, scope: &ShareScope) -> bool {
        match scope {
            ShareScope::Task => true,
            ShareScope::Diff => self != Self::Task,
            ShareScope::Log { .. } => self == Self::Any,
        }
    }
}

/// Before every route beneath a share link: what is not part of it is not there.
pub(super) async fn require_part(State(part): State<Part>, visitor: Visitor, request: Request, next: Next) -> Response {
    if part.is_shown(&visitor.share.scope) { next.run(request).await } else { WebError::NotFound.into_response() }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WebError> {
        parts.extensions.get::<Self>().cloned().ok_or(WebError::NotFound)
    }
}
