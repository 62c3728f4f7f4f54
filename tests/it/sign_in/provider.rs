//! A provider of accounts on loopback: `OpenID` Connect with real signatures (made by openssl, not by the library under
//! test), or the parts of GitHub that a login needs. It is as strict as the real ones where a client can go wrong.

use std::{
    collections::HashMap,
    io::Write,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub(crate) const CLIENT_ID: &str = "atelier-test";
pub(crate) const CLIENT_SECRET: &str = "CANARY-client-secret-77d1";

/// Stops when dropped.
pub(crate) struct Provider {
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

struct Shared {
    url: String,
    keys: Keys,
    /// Handed out and not used: what the code stands for.
    codes: Mutex<HashMap<String, Granted>>,
    twist: Mutex<Twist>,
}

#[derive(Clone)]
struct Granted {
    challenge: String,
    redirect: String,
    nonce: Option<String>,
    user: User,
}

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) subject: &'static str,
    pub(crate) login: &'static str,
    pub(crate) email: &'static str,
    pub(crate) verified: bool,
}

/// What is wrong with the next id token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twist {
    None,
    Nonce,
    Audience,
    Issuer,
    Expired,
    Signature,
    NoSignature,
}

/// An RSA key of openssl's.
struct Keys {
    folder: TempDir,
    modulus: String,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared =
            Arc::new(Shared { url, keys: Keys::make(), codes: Mutex::default(), twist: Mutex::new(Twist::None) });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .route("/login/oauth/access_token", post(github_token))
            .route("/api/v3/user", get(github_user))
            .route("/api/v3/user/emails", get(github_emails))
            .with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { shared, serving }
    }

    pub(crate) fn url(&self) -> &str {
        &self.shared.url
    }

    pub(crate) fn twist(&self, twist: Twist) {
        *self.shared.twist.lock().unwrap() = twist;
    }

    /// What happens when somebody agrees on the provider's page: the address the browser is sent back to.
    pub(crate) fn agree(&self, authorize: &str, user: User) -> String {
        let address = url::Url::parse(authorize).unwrap();
        let query: HashMap<String, String> = address.query_pairs().into_owned().collect();
        assert_eq!(query["client_id"], CLIENT_ID);
        assert_eq!((&*query["response_type"], &*query["code_challenge_method"]), ("code", "S256"));
        assert!(query["state"].len() >= 16, "{query:?}");
        let code = format!("code-{}", rand::random::<u64>());
        let granted = Granted {
            challenge: query["code_challenge"].clone(),
            redirect: query["redirect_uri"].clone(),
            nonce: query.get("nonce").cloned(),
            user,
        };
        let mut back = url::Url::parse(&granted.redirect).unwrap();
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &query["state"]);
        self.shared.codes.lock().unwrap().insert(code, granted);
        back.into()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    /// What a code stands for; it works once, with the right verifier and address.
    fn redeem(&self, form: &HashMap<String, String>) -> Option<Granted> {
        let granted = self.codes.lock().unwrap().remove(form.get("code")?)?;
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(form.get("code_verifier")?.as_bytes()));
        let fits = challenge == granted.challenge && *form.get("redirect_uri")? == granted.redirect;
        (fits && form.get("grant_type")? == "authorization_code").then_some(granted)
    }

    #[expect(clippy::disallowed_methods, reason = "another server has a clock of its own")]
    fn id_token(&self, granted: &Granted) -> String {
        let twist = *self.twist.lock().unwrap();
        let now = jiff::Timestamp::now().as_second();
        let wrong =
            |when: Twist, wrong: &str, right: &str| if twist == when { wrong.to_owned() } else { right.to_owned() };
        let claims = json!({
            "iss": wrong(Twist::Issuer, "https://evil.example", &self.url),
            "aud": wrong(Twist::Audience, "somebody-else", CLIENT_ID),
            "sub": granted.user.subject,
            "nonce": wrong(Twist::Nonce, "another-nonce", granted.nonce.as_deref().unwrap_or_default()),
            "iat": now - 5,
            "exp": if twist == Twist::Expired { now - 3 } else { now + 300 },
            "email": granted.user.email,
            "email_verified": granted.user.verified,
            "preferred_username": granted.user.login,
            "name": granted.user.login,
        });
        let algorithm = if twist == Twist::NoSignature { "none" } else { "RS256" };
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&json!({"alg": algorithm, "kid": "k1", "typ": "JWT"})), part(&claims));
        let mut signature = self.keys.sign(signed.as_bytes());
        match twist {
            Twist::Signature => signature[7] ^= 1,
            Twist::NoSignature => signature.clear(),
            _ => {}
        }
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

async fn describe(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let url = &shared.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let key = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": shared.keys.modulus, "e": "AQAB"});
    Json(json!({ "keys": [key] }))
}

async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let expected = format!("Basic {}", BASE64.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes()));
    if headers.get("authorization").is_none_or(|given| given.as_bytes() != expected.as_bytes()) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"}))).into_response();
    }
    match shared.redeem(&form) {
        None => (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response(),
        Some(granted) => {
            let id_token = shared.id_token(&granted);
            Json(json!({"access_token": "at", "token_type": "Bearer", "id_token": id_token})).into_response()
        }
    }
}

/// GitHub says yes with 200 whatever is wrong.
async fn github_token(State(shared): State<Arc<Shared>>, Form(form): Form<HashMap<String, String>>) -> Json<Value> {
    let known = form.get("client_id").is_some_and(|id| id == CLIENT_ID)
        && form.get("client_secret").is_some_and(|secret| secret == CLIENT_SECRET);
    Json(match shared.redeem(&form) {
        Some(granted) if known => {
            let token = format!("gho_{}", rand::random::<u64>());
            shared.codes.lock().unwrap().insert(token.clone(), granted);
            json!({"access_token": token, "token_type": "bearer", "scope": "read:user,user:email"})
        }
        _ => json!({"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."}),
    })
}

fn github_caller(shared: &Shared, headers: &HeaderMap) -> Option<User> {
    assert!(headers.contains_key("user-agent"), "GitHub answers nobody without one");
    let token = headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
    shared.codes.lock().unwrap().get(token).map(|granted| granted.user.clone())
}

async fn github_user(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    match github_caller(&shared, &headers) {
        None => StatusCode::UNAUTHORIZED.into_response(),
        Some(user) => {
            Json(json!({"id": user.subject.parse::<u64>().unwrap(), "login": user.login, "name": null})).into_response()
        }
    }
}

async fn github_emails(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(_): Query<HashMap<String, String>>,
) -> Response {
    match github_caller(&shared, &headers) {
        None => StatusCode::UNAUTHORIZED.into_response(),
        Some(user) => {
            let own = json!({"email": user.email, "verified": user.verified, "primary": true, "visibility": null});
            Json(json!([own])).into_response()
        }
    }
}

impl Keys {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &[&str]| {
            let output = Command::new("openssl").args(arguments).current_dir(&folder).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        openssl(&["genrsa", "-out", "key", "2048"]);
        let modulus = openssl(&["rsa", "-in", "key", "-noout", "-modulus"]);
        let modulus = modulus.trim().trim_start_matches("Modulus=");
        let modulus = BASE64URL_NOPAD.encode(&HEXLOWER_PERMISSIVE.decode(modulus.as_bytes()).unwrap());
        Self { folder, modulus }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign", "key"])
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        openssl.stdin.take().unwrap().write_all(text).unwrap();
        openssl.wait_with_output().unwrap().stdout
    }
}
