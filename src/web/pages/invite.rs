//! `/invite/{token}`: where somebody who was invited chooses a password and is in.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{login::welcome, page};
use crate::web::{
    AppState,
    auth::{NewPassword, hash},
    error::WebError,
    extract::PeerAddress,
};

#[derive(Template)]
#[template(path = "invite.html")]
struct InvitePage {
    name: String,
    message: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct PasswordForm {
    password: String,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    peer: PeerAddress,
    Path(token): Path<String>,
) -> Result<Response, WebError> {
    let invite = state.gate.by_link(peer, state.db.invite_of(hash(&token))).await?;
    page(&InvitePage { name: invite.name, message: None })
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    peer: PeerAddress,
    Path(token): Path<String>,
    headers: HeaderMap,
    Form(form): Form<PasswordForm>,
) -> Result<Response, WebError> {
    let hash = hash(&token);
    let invite = state.gate.by_link(peer, state.db.invite_of(hash)).await?;
    let password = match NewPassword::try_from(form.password) {
        Ok(password) => password,
        Err(error) => {
            let form = page(&InvitePage { name: invite.name, message: Some(error.to_string()) })?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, form).into_response());
        }
    };
    let password_hash = state.gate.passwords.hash(password).await?;
    // Of two who open the link at once one is too late.
    let person = state.db.take_invite_up(hash, password_hash).await?.ok_or(WebError::NotFound)?;
    tracing::info!(%person, "somebody who was invited is here");
    welcome(&state, person, &headers, "/").await
}
