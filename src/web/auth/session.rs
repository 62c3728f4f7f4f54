//! Sessions of browsers: a random value in a cookie, its hash in the database.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};
use data_encoding::BASE64URL_NOPAD;
use jiff::SignedDuration;

use super::hash;
use crate::{db::DbError, wall_clock, web::AppState};

const COOKIE_NAME: &str = "atelier_session";
const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Begins a session; the value is for `Set-Cookie`.
pub(in crate::web) async fn open_session(state: &AppState) -> Result<Option<HeaderValue>, DbError> {
    let token = BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>());
    state.db.insert_session(hash(&token), wall_clock::now() + LIFETIME).await?;
    Ok(cookie(state, &token, LIFETIME))
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

pub(super) async fn is_valid(state: &AppState, headers: &HeaderMap) -> Result<bool, DbError> {
    match token(headers) {
        Some(token) => state.db.session_is_valid(hash(token)).await,
        None => Ok(false),
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    cookies
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

fn cookie(state: &AppState, token: &str, lifetime: SignedDuration) -> Option<HeaderValue> {
    let secure = if state.gate.behind_tls { "; Secure" } else { "" };
    let seconds = lifetime.as_secs();
    let text = format!("{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).ok()
}
