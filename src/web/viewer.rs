//! Who asks. Whatever shows or does something for somebody takes a `Viewer`, and queries take its scope.

use axum::{
    extract::{FromRequestParts, Request},
    http::{Extensions, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::WebError;
use crate::{
    db::{Db, DbError, SecretHash},
    domain::person::{Person, PersonId, Scope},
};

/// Somebody who passed the gate.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) person: Person,
    pub(super) credential: Credential,
}

/// What they showed at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// The admin token itself.
    AdminToken,
    Session(SecretHash),
    /// A token of theirs, in the hands of a program.
    ApiToken(SecretHash),
}

impl Viewer {
    pub(super) fn id(&self) -> PersonId {
        self.person.id
    }

    pub(super) fn scope(&self) -> Scope {
        self.person.scope()
    }

    /// Waits until what they showed is worth nothing any more: for streams, which outlast the look at the gate.
    pub(super) async fn dismissed(self, db: Db) {
        let mut changes = db.access_changes();
        loop {
            match self.is_still_known(&db).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot look whether a stream may go on; it ends");
                    return;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn is_still_known(&self, db: &Db) -> Result<bool, DbError> {
        Ok(match self.credential {
            Credential::AdminToken => true,
            Credential::Session(hash) => db.session(hash).await?.is_some(),
            Credential::ApiToken(hash) => db.api_token(hash).await?.is_some(),
        })
    }
}

/// Somebody who is there in person. Whoever got hold of a token of theirs cannot make it into a way in for good.
pub(super) struct InPerson(pub(super) Viewer);

impl InPerson {
    /// The session they are in.
    pub(super) fn session(&self) -> Option<SecretHash> {
        match self.0.credential {
            Credential::Session(hash) => Some(hash),
            Credential::AdminToken | Credential::ApiToken(_) => None,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InPerson {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WebError> {
        let viewer = Viewer::from_request_parts(parts, state).await?;
        match viewer.credential {
            Credential::AdminToken | Credential::Session(_) => Ok(Self(viewer)),
            Credential::ApiToken(_) => Err(WebError::NotForTokens),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WebError> {
        // Only the gate puts it there.
        parts.extensions.get().cloned().ok_or(WebError::Unauthorized)
    }
}

tokio::task_local! {
    static NAME: Name;
}

#[derive(Clone)]
struct Name {
    name: String,
    is_owner: bool,
}

/// Hands the request on with its viewer.
pub(super) async fn pass(viewer: Viewer, mut request: Request, next: Next) -> Response {
    let name = Name { name: viewer.person.name.clone(), is_owner: viewer.person.is_owner() };
    request.extensions_mut().insert(viewer);
    let mut response = NAME.scope(name.clone(), next.run(request)).await;
    response.extensions_mut().insert(name);
    response
}

/// Draws a page for the viewer that an answer came from: errors get theirs when the request is over.
pub(super) fn drawn_for<T>(answer: &Extensions, draw: impl FnOnce() -> T) -> T {
    match answer.get::<Name>() {
        Some(name) => NAME.sync_scope(name.clone(), draw),
        None => draw(),
    }
}

/// For routes that are the owner's.
pub(super) async fn require_owner(viewer: Viewer, request: Request, next: Next) -> Response {
    if viewer.person.is_owner() { next.run(request).await } else { WebError::OwnerOnly.into_response() }
}

/// For the frame of the pages: who is logged in; nobody on pages that are open.
pub(super) fn current_name() -> Option<String> {
    NAME.try_with(|viewer| viewer.name.clone()).ok()
}

/// For the frame of the pages.
pub(super) fn is_owner() -> bool {
    NAME.try_with(|viewer| viewer.is_owner).unwrap_or(false)
}
