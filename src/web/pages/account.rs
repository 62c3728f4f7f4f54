//! `/account`: what a person has here: a password, tokens for programs, sessions.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    figures, page,
    sessions::{self, SessionForm, SessionView},
};
use crate::{
    db::{ApiToken, DbError},
    domain::person::{Person, PersonName},
    web::{
        AppState,
        auth::{Minted, NewPassword, confirm},
        error::WebError,
        viewer::InPerson,
    },
};

const MAX_TOKEN_NAME_CHARS: usize = 60;
/// Nobody needs more, and a page shows them all.
const MAX_TOKENS: usize = 50;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    person: Person,
    typed_name: String,
    has_password: bool,
    tokens: Vec<ApiToken>,
    sessions: Vec<SessionView>,
    /// A token that was made just now: shown once.
    made: Option<String>,
    name_error: Option<String>,
    password_error: Option<String>,
    token_error: Option<&'static str>,
    password_was_set: bool,
}

#[derive(Deserialize)]
pub(in crate::web) struct PasswordForm {
    /// Of who has one already.
    #[serde(default)]
    current: String,
    password: String,
}

#[derive(Deserialize)]
pub(in crate::web) struct NameForm {
    name: String,
}

#[derive(Deserialize)]
pub(in crate::web) struct TokenForm {
    name: String,
}

pub(in crate::web) async fn get(State(state): State<AppState>, viewer: InPerson) -> Result<Response, WebError> {
    page(&AccountPage::load(&state, &viewer).await?)
}

/// From now on they log in by the new name.
pub(in crate::web) async fn rename(
    State(state): State<AppState>,
    viewer: InPerson,
    Form(form): Form<NameForm>,
) -> Result<Response, WebError> {
    let error = match PersonName::try_from(&*form.name) {
        Err(_) => tr!("Give a name of at most 60 characters, on one line."),
        Ok(name) => match state.db.rename(viewer.0.id(), name.into()).await {
            Ok(()) => return Ok(Redirect::to("/account").into_response()),
            Err(DbError::NameTaken) => tr!("somebody else has this name"),
            Err(error) => return Err(error.into()),
        },
    };
    let mut account = AccountPage::load(&state, &viewer).await?;
    (account.typed_name, account.name_error) = (form.name, Some(error.to_owned()));
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page(&account)?).into_response())
}

/// Ends the other sessions, too.
pub(in crate::web) async fn set_password(
    State(state): State<AppState>,
    viewer: InPerson,
    Form(form): Form<PasswordForm>,
) -> Result<Response, WebError> {
    let account = AccountPage::load(&state, &viewer).await?;
    let refuse = |account: AccountPage, message: String| {
        let form = page(&AccountPage { password_error: Some(message), ..account })?;
        Ok((StatusCode::UNPROCESSABLE_ENTITY, form).into_response())
    };
    let password = match NewPassword::try_from(form.password) {
        Ok(password) => password,
        Err(error) => return refuse(account, error.to_string()),
    };
    if account.has_password {
        match confirm(&state, viewer.0.id(), form.current).await {
            Ok(()) => {}
            Err(WebError::Unauthorized) => {
                return refuse(account, tr!("This is not your password.").to_owned());
            }
            Err(error) => return Err(error),
        }
    }
    let hash = state.gate.passwords.hash(password).await?;
    state.db.set_password(viewer.0.id(), hash, viewer.session()).await?;
    page(&AccountPage { password_was_set: true, ..AccountPage::load(&state, &viewer).await? })
}

pub(in crate::web) async fn make_token(
    State(state): State<AppState>,
    viewer: InPerson,
    Form(form): Form<TokenForm>,
) -> Result<Response, WebError> {
    let account = AccountPage::load(&state, &viewer).await?;
    let name = form.name.trim();
    let fits = (1..=MAX_TOKEN_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let error = match fits {
        _ if account.tokens.len() >= MAX_TOKENS => Some(tr!("These are enough tokens. Revoke one first.")),
        true => None,
        false => Some(tr!("Give it a name of at most 60 characters.")),
    };
    if error.is_some() {
        let form = page(&AccountPage { token_error: error, ..account })?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form).into_response());
    }
    let minted = Minted::api_token();
    state.db.insert_api_token(viewer.0.id(), name.to_owned(), minted.hash).await?;
    page(&AccountPage { made: Some(minted.secret), ..AccountPage::load(&state, &viewer).await? })
}

pub(in crate::web) async fn revoke_token(
    State(state): State<AppState>,
    viewer: InPerson,
    Path(token): Path<i64>,
) -> Result<Redirect, WebError> {
    state.db.revoke_api_token(viewer.0.id(), token).await?;
    Ok(Redirect::to("/account"))
}

pub(in crate::web) async fn end_session(
    State(state): State<AppState>,
    viewer: InPerson,
    Form(form): Form<SessionForm>,
) -> Result<Redirect, WebError> {
    sessions::end(&state, viewer.0.id(), &form).await?;
    Ok(Redirect::to("/account"))
}

pub(in crate::web) async fn end_other_sessions(
    State(state): State<AppState>,
    viewer: InPerson,
) -> Result<Redirect, WebError> {
    state.db.end_other_sessions(viewer.0.id(), viewer.session()).await?;
    Ok(Redirect::to("/account"))
}

impl AccountPage {
    async fn load(state: &AppState, viewer: &InPerson) -> Result<Self, WebError> {
        let person = viewer.0.person.clone();
        Ok(Self {
            has_password: state.db.password_of(person.id).await?.is_some_and(|known| known.hash.is_some()),
            tokens: state.db.api_tokens_of(person.id).await?,
            sessions: SessionView::all_of(state, person.id, viewer.session()).await?,
            typed_name: person.name.clone(),
            person,
            name_error: None,
            made: None,
            password_error: None,
            token_error: None,
            password_was_set: false,
        })
    }
}
