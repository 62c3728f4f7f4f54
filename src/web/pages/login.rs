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
        auth::{by_password, close_session, local_path, open_session},
        error::WebError,
        extract::{PeerAddress, Query},
    },
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    next: &'a str,
    name: &'a str,
    message: Option<&'static str>,
    /// The token was tried, not a name.
    by_token: bool,
    /// Where else one can sign in.
    providers: Vec<&'a str>,
}

/// Either a token or a name with a password.
#[derive(Deserialize)]
pub(in crate::web) struct LoginForm {
    token: Option<String>,
    name: Option<String>,
    password: Option<String>,
    next: Option<String>,
}

/// The form; with a token (the login link) the login itself.
pub(in crate::web) async fn get(
    State(state): State<AppState>,
    peer: PeerAddress,
    headers: HeaderMap,
    Query(query): Query<LoginForm>,
) -> Result<Response, WebError> {
    if query.token.is_some() {
        return log_in(&state, peer, &headers, LoginForm { name: None, password: None, ..query }).await;
    }
    let next = local_path(query.next.as_deref());
    page(&LoginPage { next, name: "", message: None, by_token: false, providers: state.sign_in.providers().collect() })
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    peer: PeerAddress,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Result<Response, WebError> {
    log_in(&state, peer, &headers, form).await
}

pub(in crate::web) async fn logout(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, WebError> {
    let cookie = close_session(&state, &headers).await?;
    let headers: HeaderMap = cookie.map(|cookie| (SET_COOKIE, cookie)).into_iter().collect();
    Ok((headers, Redirect::to("/login")).into_response())
}

/// The answer to a login that succeeded.
pub(super) async fn welcome(
    state: &AppState,
    person: PersonId,
    headers: &HeaderMap,
    next: &str,
) -> Result<Response, WebError> {
    let cookie = open_session(state, person, headers).await?;
    let headers: HeaderMap = cookie.map(|cookie| (SET_COOKIE, cookie)).into_iter().collect();
    Ok((headers, Redirect::to(next)).into_response())
}

async fn log_in(
    state: &AppState,
    peer: PeerAddress,
    headers: &HeaderMap,
    form: LoginForm,
) -> Result<Response, WebError> {
    let next = local_path(form.next.as_deref());
    let name = form.name.unwrap_or_default();
    let token = form.token.filter(|token| !token.is_empty());
    let person = match &token {
        Some(token) => state.gate.check(token, peer).map(|()| PersonId::OWNER),
        None => by_password(state, peer, &name, form.password.unwrap_or_default()).await,
    };
    match person {
        Ok(person) => welcome(state, person, headers, next).await,
        Err(WebError::Unauthorized) => {
            let by_token = token.is_some();
            let message = if by_token {
                tr!("This is not the admin token. Copy all of it, then try again.")
            } else {
                tr!("Name and password do not fit together. Check both, then try again.")
            };
            let providers = state.sign_in.providers().collect();
            let form = page(&LoginPage { next, name: &name, message: Some(message), by_token, providers })?;
            Ok((StatusCode::UNAUTHORIZED, form).into_response())
        }
        Err(error) => Err(error),
    }
}
