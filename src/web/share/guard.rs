//! The door of shared pages: it lets in who has a link that works, and ends what it let in when the link ends.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header::RANGE},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError},
        watch,
    },
    time::{Instant, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use super::{PREFIX, ShareToken, VISIT, Visitor};
use crate::{
    db::DbError,
    domain::{share::Share, task_id::TaskId},
    wall_clock,
    web::{AppState, error::WebError, extract::PeerAddress},
};

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
/// Timers cannot be set for ever.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Whether the path is that of a shared page: nothing there leads to a login.
pub(in crate::web) fn is_shared(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// The path without the secret that it may hold.
pub(in crate::web) fn loggable_path(path: &str) -> Cow<'_, str> {
    match path.strip_prefix(PREFIX) {
        Some(secret) => format!("{PREFIX}***{}", secret.find('/').map_or("", |at| &secret[at..])).into(),
        None => path.into(),
    }
}

/// The gate before every shared page.
pub(in crate::web) async fn require_share(
    State(state): State<AppState>,
    peer: PeerAddress,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let (token, rest) = path.split_once('/').unwrap_or((path, ""));
    // The first page and whole files are what a person opens; the rest follows by itself.
    let counts = rest.is_empty() || (rest.starts_with("logs/") && !request.headers().contains_key(RANGE));
    let mut response = match admit(&state, token, peer).await {
        Err(error) => error.into_response(),
        Ok(visitor) => {
            // Listening begins before the answer: a link that is revoked meanwhile is noticed.
            let end = End {
                state: state.clone(),
                changes: state.db.changes(),
                access: state.db.access_changes(),
                visitor: visitor.clone(),
            };
            request.extensions_mut().insert(visitor.clone());
            let response = VISIT.scope(true, next.run(request)).await;
            if counts && response.status().is_success() {
                state.visits.count(&state.db, &visitor.share.id);
            }
            response.map(|body| until(end, body))
        }
    };
    response.headers_mut().insert(ROBOTS, HeaderValue::from_static("noindex, nofollow"));
    response
}

async fn admit(state: &AppState, token: &str, peer: PeerAddress) -> Result<Visitor, WebError> {
    let Some(token) = ShareToken::parse(token) else { return Err(state.visits.unknown(peer)) };
    match state.db.share_by_token(token.hash()).await? {
        None => Err(state.visits.unknown(peer)),
        Some(share) if share.has_expired(wall_clock::now()) => Err(WebError::ShareExpired),
        Some(share) => Ok(Visitor { share, base: token.path() }),
    }
}

/// Passes the body on until the link ends: event streams and downloads do not outlive it.
fn until(end: End, body: Body) -> Body {
    // On its own: also a reader who is slow to take the next piece does not get it.
    let ended = AbortOnDropHandle::new(tokio::spawn(end.comes()));
    Body::from_stream(body.into_data_stream().take_until(ended))
}

/// The end of a link: revoked or expired.
struct End {
    state: AppState,
    changes: Receiver<TaskId>,
    /// Whoever made it may have been removed.
    access: watch::Receiver<()>,
    visitor: Visitor,
}

impl End {
    async fn comes(mut self) {
        loop {
            match self.still_works().await {
                Ok(Some(share)) => self.changed(&share).await,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "cannot look after a share link that is open");
                    return;
                }
            }
        }
    }

    async fn still_works(&self) -> Result<Option<Share>, DbError> {
        let share = self.state.db.share(&self.visitor.share.id).await?;
        Ok(share.filter(|share| !share.has_expired(wall_clock::now())))
    }

    /// Waits until it is worth another look.
    async fn changed(&mut self, share: &Share) {
        let left = share.expires_at.map(|at| at.duration_since(wall_clock::now()));
        let left = left.map_or(LONGEST_WAIT, |left| left.try_into().unwrap_or_default());
        let expires = sleep_until(Instant::now() + left.min(LONGEST_WAIT));
        tokio::pin!(expires);
        loop {
            tokio::select! {
                () = &mut expires => return,
                Ok(()) = self.access.changed() => return,
                changed = self.changes.recv() => match changed {
                    Ok(task) if task != share.task => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    // The server ends, and with it every stream.
                    Err(RecvError::Closed) => std::future::pending().await,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r56_paths_are_logged_without_the_secret() {
        assert_eq!(loggable_path("/s/abc-DEF/logs/diff.patch"), "/s/***/logs/diff.patch");
        assert_eq!(loggable_path("/s/abc-DEF"), "/s/***");
        assert_eq!(loggable_path("/settings"), "/settings");
    }
}
