//! `/login/{provider}`: signing in with an account elsewhere, there and back.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header::SET_COOKIE},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::login::welcome;
use crate::{
    sign_in::SignInError,
    web::{
        AppState,
        auth::local_path,
        cookies,
        error::WebError,
        extract::{BaseUrl, PeerAddress, Query},
    },
};

const COOKIE_NAME: &str = "atelier_sign_in";
const COOKIE_SECONDS: i64 = 600;

#[derive(Deserialize)]
pub(in crate::web) struct Start {
    next: Option<String>,
}

/// What a provider sends the browser back with.
#[derive(Deserialize)]
pub(in crate::web) struct Answer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

pub(in crate::web) async fn begin(
    State(state): State<AppState>,
    Path(provider): Path<String>,
    base: BaseUrl,
    Query(query): Query<Start>,
) -> Result<Response, WebError> {
    let redirect = format!("{}/login/{provider}/callback", base.0);
    let begun = state.sign_in.begin(&provider, redirect).await.map_err(|error| failed(&error))?;
    let next = local_path(query.next.as_deref()).to_owned();
    let secret = state.gate.under_way.keep(begun.state, begun.pending, next);
    let headers: HeaderMap =
        cookie(&state, &secret, COOKIE_SECONDS).map(|value| (SET_COOKIE, value)).into_iter().collect();
    Ok((headers, Redirect::to(begun.address.as_str())).into_response())
}

pub(in crate::web) async fn finish(
    State(state): State<AppState>,
    peer: PeerAddress,
    Path(provider): Path<String>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response, WebError> {
    let browser = cookies::values(&headers, COOKIE_NAME).next().unwrap_or_default();
    let began = async {
        let state_word = answer.state.as_deref().unwrap_or_default();
        Ok::<_, WebError>(state.gate.under_way.take(&provider, state_word, browser))
    };
    let (pending, next) = match state.gate.by_link(peer, began).await {
        Err(WebError::NotFound) => return Err(WebError::SignInLost),
        found => found?,
    };
    if let Some(error) = answer.error {
        return Err(failed(&SignInError::Provider(error)));
    }
    let account =
        state.sign_in.finish(pending, answer.code.unwrap_or_default()).await.map_err(|error| failed(&error))?;
    let login = account.login.clone();
    let person = state.db.person_by_account(account).await?.ok_or(WebError::NotInvited { login })?;
    tracing::info!(%person, provider, "somebody signed in");
    let mut response = welcome(&state, person, &headers, &next).await?;
    // Beside the cookie of the session, not in its place.
    if let Some(value) = cookie(&state, "", 0) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    Ok(response)
}

fn cookie(state: &AppState, secret: &str, seconds: i64) -> Option<HeaderValue> {
    cookies::set_secret(state, COOKIE_NAME, secret, "/login", seconds)
}

/// The log has the cause; the person can only try again or ask the owner.
fn failed(error: &SignInError) -> WebError {
    if let SignInError::Unknown(_) = error {
        return WebError::NotFound;
    }
    tracing::warn!(%error, "a sign-in failed");
    WebError::SignInFailed
}
