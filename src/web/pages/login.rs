//! `/login` and `/logout`.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::{HeaderMap, StatusCode, header::SET_COOKIE},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::page;
use crate::{
    domain::person::PersonId,
    web::{
        AppState,
        auth::{close_session, local_path, open_session},
        error::WebError,
        extract::{PeerAddress, Query},
    },
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    next: &'a str,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct LoginForm {
    token: Option<String>,
    next: Option<String>,
}

/// The form; with a token (the login link) the login itself.
pub(in crate::web) async fn get(
    State(state): State<AppState>,
    peer: PeerAddress,
    headers: HeaderMap,
    Query(query): Query<LoginForm>,
) -> Result<Response, WebError> {
    match query.token {
        Some(_) => log_in(&state, peer, &headers, &query).await,
        None => page(&LoginPage { next: local_path(query.next.as_deref()), message: None }),
    }
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    peer: PeerAddress,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Result<Response, WebError> {
    log_in(&state, peer, &headers, &form).await
}

pub(in crate::web) async fn logout(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, WebError> {
    let cookie = close_session(&state, &headers).await?;
    let headers: HeaderMap = cookie.map(|cookie| (SET_COOKIE, cookie)).into_iter().collect();
    Ok((headers, Redirect::to("/login")).into_response())
}

async fn log_in(
    state: &AppState,
    peer: PeerAddress,
    headers: &HeaderMap,
    form: &LoginForm,
) -> Result<Response, WebError> {
    let next = local_path(form.next.as_deref());
    match state.gate.check(form.token.as_deref().unwrap_or_default(), peer) {
        Ok(()) => {
            let cookie = open_session(state, PersonId::OWNER, headers).await?;
            let headers: HeaderMap = cookie.map(|cookie| (SET_COOKIE, cookie)).into_iter().collect();
            Ok((headers, Redirect::to(next)).into_response())
        }
        Err(WebError::Unauthorized) => {
            let message = tr!("This is not the admin token. Copy all of it, then try again.");
            let form = page(&LoginPage { next, message: Some(message.to_owned()) })?;
            Ok((StatusCode::UNAUTHORIZED, form).into_response())
        }
        Err(error) => Err(error),
    }
}
