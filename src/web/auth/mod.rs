//! Who may pass: the admin token as a bearer, or a browser's session that began with it.

mod attempts;
mod session;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    AppState,
    error::{WebError, is_for_people},
    extract::PeerAddress,
};
use attempts::Attempts;
pub(super) use session::{close_session, open_session};

/// Compares what is given with the admin token, of which it knows the hash alone, and counts the failures.
pub(super) struct Gate {
    token_hash: [u8; 32],
    attempts: Attempts,
    /// Cookies are for https only.
    behind_tls: bool,
}

impl Gate {
    pub(super) fn new(admin_token: &SecretString, behind_tls: bool) -> Self {
        Self { token_hash: hash(admin_token.expose_secret()), attempts: Attempts::default(), behind_tls }
    }

    /// Whether `token` is the admin token; an address that failed too often is not even compared.
    pub(super) fn check(&self, token: &str, peer: PeerAddress) -> Result<(), WebError> {
        self.attempts.permit(peer)?;
        if hash(token.trim()).ct_eq(&self.token_hash).into() {
            Ok(())
        } else {
            self.attempts.count_failure(peer);
            Err(WebError::Unauthorized)
        }
    }
}

/// The gate before every route that is not open.
pub(super) async fn require_login(
    State(state): State<AppState>,
    peer: PeerAddress,
    request: Request,
    next: Next,
) -> Response {
    let allowed = match bearer(request.headers()) {
        Some(token) => state.gate.check(token, peer),
        None => match session::is_valid(&state, request.headers()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(WebError::Unauthorized),
            Err(error) => Err(error.into()),
        },
    };
    match allowed {
        Ok(()) => next.run(request).await,
        // What a form was about to do cannot be done after the login, so only pages lead there.
        Err(WebError::Unauthorized) if is_for_people(&request) && *request.method() == Method::GET => {
            let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
            Redirect::to(&format!("/login?{query}")).into_response()
        }
        Err(error) => error.into_response(),
    }
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

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
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
