//! Sessions in a table, each with a button that ends it: of one's own account, and of others for the owner.

use data_encoding::HEXLOWER;
use serde::Deserialize;

use crate::{
    db::{SecretHash, Session},
    domain::person::PersonId,
    web::{AppState, error::WebError},
};

pub(super) struct SessionView {
    pub(super) session: Session,
    /// The one that the page is read in.
    pub(super) is_this: bool,
}

#[derive(Deserialize)]
pub(in crate::web) struct SessionForm {
    session: String,
}

impl SessionView {
    pub(super) async fn all_of(
        state: &AppState,
        person: PersonId,
        this: Option<SecretHash>,
    ) -> Result<Vec<Self>, WebError> {
        let sessions = state.db.sessions_of(person).await?.into_iter();
        Ok(sessions.map(|session| Self { is_this: Some(session.token_hash) == this, session }).collect())
    }

    /// Names it in a form. What a browser holds cannot be found from it.
    pub(super) fn name(&self) -> String {
        HEXLOWER.encode(&self.session.token_hash)
    }
}

/// One that is over already, or another's, changes nothing.
pub(super) async fn end(state: &AppState, person: PersonId, form: &SessionForm) -> Result<(), WebError> {
    let named = HEXLOWER.decode(form.session.as_bytes()).ok().and_then(|hash| SecretHash::try_from(hash).ok());
    let hash = named.ok_or_else(|| WebError::Malformed("This names no session.".to_owned()))?;
    Ok(state.db.end_session(person, hash).await?)
}
