//! `/people`: who may work here. The owner invites and removes.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::SignedDuration;
use serde::Deserialize;

use super::{
    figures, page,
    sessions::{self, SessionForm, SessionView},
};
use crate::{
    db::{DbError, Invite, NewInvite, Profile},
    domain::person::{Email, Person, PersonId, PersonName},
    wall_clock,
    web::{AppState, auth::Minted, error::WebError, extract::BaseUrl, language::stored, viewer::InPerson},
};

const INVITE_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    people: Vec<Profile>,
    invites: Vec<Invite>,
    /// For whom, and where it leads: shown once.
    made: Option<(String, String)>,
    typed: InviteForm,
    name_error: Option<String>,
    email_error: Option<String>,
}

/// Where somebody is logged in.
#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    person: Person,
    sessions: Vec<SessionView>,
}

#[derive(Default, Deserialize)]
pub(in crate::web) struct InviteForm {
    name: String,
    #[serde(default)]
    email: String,
}

pub(in crate::web) async fn get(State(state): State<AppState>, _: InPerson) -> Result<Response, WebError> {
    page(&PeoplePage::load(&state).await?)
}

pub(in crate::web) async fn invite(
    State(state): State<AppState>,
    _: InPerson,
    base: BaseUrl,
    Form(form): Form<InviteForm>,
) -> Result<Response, WebError> {
    let name = PersonName::try_from(&*form.name).map_err(|error| stored(&error.to_string()).into_owned());
    let email = Some(form.email.trim()).filter(|email| !email.is_empty()).map(Email::try_from).transpose();
    let (name_error, email_error) = match (name, email) {
        (Ok(name), Ok(email)) => {
            let (name, minted) = (String::from(name), Minted::new());
            let invite = NewInvite {
                token_hash: minted.hash,
                name: name.clone(),
                email: email.map(String::from),
                expires_at: wall_clock::now() + INVITE_LIFETIME,
            };
            match state.db.invite(invite).await {
                Ok(()) => {
                    let made = Some((name, format!("{}/invite/{}", base.0, minted.secret)));
                    return page(&PeoplePage { made, ..PeoplePage::load(&state).await? });
                }
                Err(DbError::NameTaken) => (Some(tr!("somebody else has this name").to_owned()), None),
                Err(error) => return Err(error.into()),
            }
        }
        (name, email) => (name.err(), email.err().map(|error| stored(&error.to_string()).into_owned())),
    };
    let form = page(&PeoplePage { typed: form, name_error, email_error, ..PeoplePage::load(&state).await? })?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, form).into_response())
}

pub(in crate::web) async fn take_back(
    State(state): State<AppState>,
    _: InPerson,
    Path(invite): Path<i64>,
) -> Result<Redirect, WebError> {
    state.db.take_invite_back(invite).await?;
    Ok(Redirect::to("/people"))
}

pub(in crate::web) async fn sessions(
    State(state): State<AppState>,
    viewer: InPerson,
    Path(person): Path<i64>,
) -> Result<Response, WebError> {
    let person = state.db.person(PersonId(person)).await?.ok_or(WebError::NotFound)?;
    let sessions = SessionView::all_of(&state, person.id, viewer.session()).await?;
    page(&PersonPage { person, sessions })
}

pub(in crate::web) async fn end_session(
    State(state): State<AppState>,
    _: InPerson,
    Path(person): Path<i64>,
    Form(form): Form<SessionForm>,
) -> Result<Redirect, WebError> {
    sessions::end(&state, PersonId(person), &form).await?;
    tracing::info!(person, "a session was ended by the owner");
    Ok(Redirect::to(&format!("/people/{person}")))
}

pub(in crate::web) async fn remove(
    State(state): State<AppState>,
    _: InPerson,
    Path(person): Path<i64>,
) -> Result<Redirect, WebError> {
    state.db.remove_person(PersonId(person)).await?;
    tracing::info!(person, "somebody was removed");
    Ok(Redirect::to("/people"))
}

impl PeoplePage {
    async fn load(state: &AppState) -> Result<Self, WebError> {
        Ok(Self {
            people: state.db.people().await?,
            invites: state.db.invites().await?,
            made: None,
            typed: InviteForm::default(),
            name_error: None,
            email_error: None,
        })
    }
}

/// How somebody gets in, in a line.
fn ways(profile: &Profile) -> String {
    let token = profile.person.is_owner().then(|| tr!("admin token").to_owned());
    let password = profile.has_password.then(|| tr!("password").to_owned());
    let elsewhere = profile.identities.iter().map(|(provider, login)| format!("{provider} ({login})"));
    token.into_iter().chain(password).chain(elsewhere).collect::<Vec<_>>().join(", ")
}
