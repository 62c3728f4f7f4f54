//! Who may pass: the owner with the admin token, and people with a session of a browser or a token of their own.

mod attempts;
mod password;
mod secret;
mod session;
mod under_way;

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use data_encoding::BASE64;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{
    AppState,
    error::{WebError, is_for_people},
    extract::PeerAddress,
    viewer::{self, Credential, Viewer},
};
use crate::{
    db::{Known, PasswordOf, SecretHash},
    domain::person::PersonId,
    wall_clock,
};
pub(super) use attempts::{Attempts, Source};
pub(super) use password::{NewPassword, Passwords};
pub(super) use secret::{Minted, hash};
pub(super) use session::{close_session, open_session};
pub(super) use under_way::UnderWay;

const SEEN_PAUSE: Duration = Duration::from_mins(5);
/// Wrong tokens from one address in a minute.
const MAX_FAILURES: usize = 5;

/// Compares what people show with what is known, and counts the failures.
pub(super) struct Gate {
    /// Of the admin token.
    token_hash: SecretHash,
    attempts: Attempts,
    pub(super) passwords: Passwords,
    pub(super) under_way: UnderWay,
    /// Cookies are for https only.
    pub(super) behind_tls: bool,
}

impl Gate {
    pub(super) fn new(admin_token: &SecretString, behind_tls: bool) -> Self {
        Self {
            token_hash: hash(admin_token.expose_secret()),
            attempts: Attempts::at_most(MAX_FAILURES),
            passwords: Passwords::default(),
            under_way: UnderWay::default(),
            behind_tls,
        }
    }

    /// Whether `token` is the admin token; an address that failed too often is not even compared.
    pub(super) fn check(&self, token: &str, peer: PeerAddress) -> Result<(), WebError> {
        let source = Source::from(peer);
        self.attempts.permit(&source)?;
        if self.is_admin_token(token) {
            Ok(())
        } else {
            self.attempts.count_failure(&source);
            Err(WebError::Unauthorized)
        }
    }

    /// What a link leads to; an address that tried too many that lead nowhere is not answered.
    pub(super) async fn by_link<T, E: Into<WebError>>(
        &self,
        peer: PeerAddress,
        look: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<T, WebError> {
        let source = Source::from(peer);
        self.attempts.permit(&source)?;
        let found = look.await.map_err(Into::into)?;
        if found.is_none() {
            self.attempts.count_failure(&source);
        }
        found.ok_or(WebError::NotFound)
    }

    fn is_admin_token(&self, token: &str) -> bool {
        hash(token.trim()).ct_eq(&self.token_hash).into()
    }
}

/// Who has this name and this password. So many tries a minute for an address, and for a name.
pub(super) async fn by_password(
    state: &AppState,
    peer: PeerAddress,
    name: &str,
    password: String,
) -> Result<PersonId, WebError> {
    let known = state.db.password_by_name(name.trim()).await?;
    let sources = [Source::from(peer), Source::Name(name.trim().to_lowercase())];
    compare(state, &sources, password, known).await
}

/// Whether it is the password of somebody who is logged in already.
pub(super) async fn confirm(state: &AppState, person: PersonId, password: String) -> Result<(), WebError> {
    let known = state.db.password_of(person).await?;
    compare(state, &[Source::Name(format!("\n{person}"))], password, known).await.map(drop)
}

async fn compare(
    state: &AppState,
    sources: &[Source],
    password: String,
    known: Option<PasswordOf>,
) -> Result<PersonId, WebError> {
    let (gate, attempts) = (&state.gate, &state.gate.attempts);
    sources.iter().try_for_each(|source| attempts.permit(source))?;
    for source in sources {
        attempts.count_failure(source);
    }
    let (person, stored) = known.map_or((None, None), |known| (Some(known.person), known.hash));
    let verified = gate.passwords.verify(password, stored).await;
    if !matches!(verified, Ok(false)) {
        for source in sources {
            attempts.take_back(source);
        }
    }
    match (verified?, person) {
        (true, Some(person)) => Ok(person),
        _ => Err(WebError::Unauthorized),
    }
}

/// The gate before every route that is not open.
pub(super) async fn require_login(
    State(state): State<AppState>,
    peer: PeerAddress,
    request: Request,
    next: Next,
) -> Response {
    let viewer = match bearer(request.headers()) {
        Some(token) => by_token(&state, token, peer).await,
        None => by_session(&state, session::session_of(request.headers())).await,
    };
    match viewer {
        Ok(viewer) => viewer::pass(viewer, request, next).await,
        // What a form was about to do cannot be done after the login, so only pages lead there.
        Err(WebError::Unauthorized) if is_for_people(&request) && *request.method() == Method::GET => {
            let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
            Redirect::to(&format!("/login?{query}")).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// The gate before what git asks for: a token, as the password of any user or as everywhere else, and never a cookie, which
/// git has none of.
pub(super) async fn require_token(
    State(state): State<AppState>,
    peer: PeerAddress,
    request: Request,
    next: Next,
) -> Response {
    let token = bearer(request.headers()).map(str::to_owned).or_else(|| password_of(request.headers()));
    let viewer = match token {
        Some(token) => by_token(&state, &token, peer).await,
        None => Err(WebError::Unauthorized),
    };
    match viewer {
        Ok(viewer) => viewer::pass(viewer, request, next).await,
        Err(error) => {
            let mut response = error.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Atelier\""));
            }
            response
        }
    }
}

async fn by_token(state: &AppState, token: &str, peer: PeerAddress) -> Result<Viewer, WebError> {
    if !token.starts_with(secret::API_TOKEN_PREFIX) {
        state.gate.check(token, peer)?;
        let person = state.db.person(PersonId::OWNER).await?.ok_or(WebError::Unauthorized)?;
        return Ok(Viewer { person, credential: Credential::AdminToken });
    }
    let source = Source::from(peer);
    state.gate.attempts.permit(&source)?;
    let hash = hash(token.trim());
    let Some(Known { person, seen_at }) = state.db.api_token(hash).await? else {
        state.gate.attempts.count_failure(&source);
        return Err(WebError::Unauthorized);
    };
    if is_long_ago(seen_at) {
        let db = state.db.clone();
        tokio::spawn(async move { db.api_token_was_used(hash).await });
    }
    Ok(Viewer { person, credential: Credential::ApiToken(hash) })
}

async fn by_session(state: &AppState, session: Option<SecretHash>) -> Result<Viewer, WebError> {
    let hash = session.ok_or(WebError::Unauthorized)?;
    let Known { person, seen_at } = state.db.session(hash).await?.ok_or(WebError::Unauthorized)?;
    if is_long_ago(seen_at) {
        let db = state.db.clone();
        tokio::spawn(async move { db.session_was_used(hash).await });
    }
    Ok(Viewer { person, credential: Credential::Session(hash) })
}

/// When somebody was last here is written down that often, not with every request.
fn is_long_ago(seen_at: Option<Timestamp>) -> bool {
    let since = |at| wall_clock::now().duration_since(at).unsigned_abs();
    seen_at.is_none_or(|at| since(at) > SEEN_PAUSE)
}

/// Where to go after the login: a path of ours, never another site.
pub(super) fn local_path(next: Option<&str>) -> &str {
    let is_local = |path: &&str| {
        let second = path.as_bytes().get(1);
        path.starts_with('/')
            && !matches!(second, Some(b'/' | b'\\'))
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_local).unwrap_or("/")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The password of a Basic login; the name in it does not matter.
fn password_of(headers: &HeaderMap) -> Option<String> {
    let (scheme, login) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let login = BASE64.decode(login.trim().as_bytes()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let login = String::from_utf8(login).ok()?;
    login.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_leads_to_our_own_pages_only() {
        for good in ["/", "/tasks/20261120_abcdefghijkl?x=1"] {
            assert_eq!(local_path(Some(good)), good);
        }
        for bad in ["//evil.example", "/\\evil.example", "https://evil.example", "", "tasks", "/a\nb", "/a b", "/a\\b"]
        {
            assert_eq!(local_path(Some(bad)), "/", "{bad:?}");
        }
    }
}
