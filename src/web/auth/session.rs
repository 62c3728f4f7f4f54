//! Sessions of browsers: a random value in a cookie, its hash in the database.

use axum::http::{HeaderMap, HeaderValue, header::USER_AGENT};
use jiff::SignedDuration;

use super::secret::{Minted, hash};
use crate::{
    db::{DbError, NewSession, SecretHash},
    domain::person::PersonId,
    wall_clock,
    web::{AppState, cookies},
};

const COOKIE_NAME: &str = "atelier_session";
const MAX_BROWSER_CHARS: usize = 200;
const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Begins a session; the value is for `Set-Cookie`.
pub(in crate::web) async fn open_session(
    state: &AppState,
    person: PersonId,
    headers: &HeaderMap,
) -> Result<Option<HeaderValue>, DbError> {
    // What the browser had before is worth nothing from now on.
    if let Some(before) = token(headers) {
        state.db.delete_session(hash(before)).await?;
    }
    let minted = Minted::new();
    let browser = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let browser = browser.chars().take(MAX_BROWSER_CHARS).collect();
    let expires_at = wall_clock::now() + LIFETIME;
    state.db.insert_session(NewSession { person, token_hash: minted.hash, expires_at, browser }).await?;
    Ok(cookie(state, &minted.secret, LIFETIME))
}

/// Ends the session that the request belongs to; the value takes the cookie away.
pub(in crate::web) async fn close_session(
    state: &AppState,
    headers: &HeaderMap,
) -> Result<Option<HeaderValue>, DbError> {
    if let Some(token) = token(headers) {
        state.db.delete_session(hash(token)).await?;
    }
    Ok(cookie(state, "", SignedDuration::ZERO))
}

/// The session that the request belongs to, valid or not.
pub(super) fn session_of(headers: &HeaderMap) -> Option<SecretHash> {
    token(headers).map(hash)
}

fn token(headers: &HeaderMap) -> Option<&str> {
    cookies::values(headers, COOKIE_NAME).next()
}

fn cookie(state: &AppState, token: &str, lifetime: SignedDuration) -> Option<HeaderValue> {
    cookies::set_secret(state, COOKIE_NAME, token, "/", lifetime.as_secs())
}
