//! The cookies of a request, and those that answers set.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};

use super::AppState;

/// Long enough for what a reader chose.
pub(super) const A_YEAR_S: i64 = 365 * 24 * 60 * 60;

/// The values of the cookie with this name. A browser sends one for each path it was set for.
pub(super) fn values<'a>(headers: &'a HeaderMap, wanted: &str) -> impl Iterator<Item = &'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let pairs = cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter_map(move |(name, value)| (name == wanted).then_some(value))
}

/// For `Set-Cookie`. No script reads it, and only a link brings it along from another site.
pub(super) fn set(name: &str, value: &str, path: &str, seconds: i64) -> String {
    format!("{name}={value}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={seconds}")
}

/// The same for a secret: where there is TLS, it travels by nothing else.
pub(super) fn set_secret(state: &AppState, name: &str, value: &str, path: &str, seconds: i64) -> Option<HeaderValue> {
    let secure = if state.gate.behind_tls { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{}{secure}", set(name, value, path, seconds))).ok()
}
