//! Who may pass: the admin token as a bearer, or a browser's session that began with it.

mod attempts;
mod session;

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    AppState,
    error::{WebError, is_for_people},
    extract::PeerAddress,
    viewer::{self, Credential, Viewer},
};
use crate::{
    db::{Known, SecretHash},
    domain::person::PersonId,
    wall_clock,
};
use attempts::Attempts;
pub(super) use session::{close_session, open_session};

const SEEN_PAUSE: Duration = Duration::from_mins(5);

/// Compares what is given with the admin token, of which it knows the hash alone, and counts the failures.
pub(super) struct Gate {
    token_hash: [u8; 32],
    attempts: Attempts,
    /// Cookies are for https only.
    behind_tls: bool,
}

impl Gate {
    pub(super) fn new(admin_token: &SecretString, behind_tls: bool) -> Self {
        Self { token_hash: hash(admin_token.expose_secret()), attempts: Attempts::default(), behind_tls }
    }

    /// Whether `token` is the admin token; an address that failed too often is not even compared.
    pub(super) fn check(&self, token: &str, peer: PeerAddress) -> Result<(), WebError> {
        self.attempts.permit(peer)?;
        if hash(token.trim()).ct_eq(&self.token_hash).into() {
            Ok(())
        } else {
            self.attempts.count_failure(peer);
            Err(WebError::Unauthorized)
        }
    }
}

/// The gate before every route that is not open.
pub(super) async fn require_login(
    State(state): State<AppState>,
    peer: PeerAddress,
    request: Request,
    next: Next,
) -> Response {
    let viewer = match bearer(request.headers()) {
        Some(token) => by_token(&state, token, peer).await,
        None => by_session(&state, session::session_of(request.headers())).await,
    };
    match viewer {
        Ok(viewer) => viewer::pass(viewer, request, next).await,
        // What a form was about to do cannot be done after the login, so only pages lead there.
        Err(WebError::Unauthorized) if is_for_people(&request) && *request.method() == Method::GET => {
            let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
            Redirect::to(&format!("/login?{query}")).into_response()
        }
        Err(error) => error.into_response(),
    }
}

async fn by_token(state: &AppState, token: &str, peer: PeerAddress) -> Result<Viewer, WebError> {
    state.gate.check(token, peer)?;
    let person = state.db.person(PersonId::OWNER).await?.ok_or(WebError::Unauthorized)?;
    Ok(Viewer { person, credential: Credential::AdminToken })
}

async fn by_session(state: &AppState, session: Option<SecretHash>) -> Result<Viewer, WebError> {
    let hash = session.ok_or(WebError::Unauthorized)?;
    let Known { person, seen_at } = state.db.session(hash).await?.ok_or(WebError::Unauthorized)?;
    if is_long_ago(seen_at) {
        let db = state.db.clone();
        tokio::spawn(async move { db.session_was_used(hash).await });
    }
    Ok(Viewer { person, credential: Credential::Session(hash) })
}

/// When somebody was last here is written down that often, not with every request.
fn is_long_ago(seen_at: Option<Timestamp>) -> bool {
    let since = |at| wall_clock::now().duration_since(at).unsigned_abs();
    seen_at.is_none_or(|at| since(at) > SEEN_PAUSE)
}

/// Where to go after the login: a path of ours, never another site.
pub(super) fn local_path(next: Option<&str>) -> &str {
    let is_local = |path: &&str| {
        let second = path.as_bytes().get(1);
        path.starts_with('/')
            && !matches!(second, Some(b'/' | b'\\'))
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_local).unwrap_or("/")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_leads_to_our_own_pages_only() {
        for good in ["/", "/tasks/20261120_abcdefghijkl?x=1"] {
            assert_eq!(local_path(Some(good)), good);
        }
        for bad in ["//evil.example", "/\\evil.example", "https://evil.example", "", "tasks", "/a\nb", "/a b", "/a\\b"]
        {
            assert_eq!(local_path(Some(bad)), "/", "{bad:?}");
        }
    }
}
