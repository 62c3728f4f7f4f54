//! GitHub, which speaks `OAuth` and says who somebody is by its own API.

use oauth2::{
    AccessToken, AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope, TokenResponse,
    TokenUrl, basic::BasicClient,
};
use openidconnect::http::{
    Method, Request,
    header::{ACCEPT, AUTHORIZATION},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Begun, Pending, SignInError, http::Http, secret_of};
use crate::{
    config::SignInProvider,
    domain::{account::Account, person::Email},
};

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    verified: bool,
    primary: bool,
}

pub(super) fn begin(name: &str, provider: &SignInProvider, redirect: String) -> Result<Begun, SignInError> {
    secret_of(provider)?;
    let client = BasicClient::new(ClientId::new(provider.client_id.clone()))
        .set_auth_uri(AuthUrl::new(format!("{}/login/oauth/authorize", provider.base))?)
        .set_redirect_uri(RedirectUrl::new(redirect.clone())?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (address, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scope(Scope::new("read:user".to_owned()))
        .add_scope(Scope::new("user:email".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    let pending = Pending { provider: name.to_owned(), nonce: None, verifier, redirect };
    Ok(Begun { address, state: state.into_secret(), pending })
}

pub(super) async fn finish(
    http: &Http,
    provider: &SignInProvider,
    pending: Pending,
    code: String,
) -> Result<Account, SignInError> {
    let client = BasicClient::new(ClientId::new(provider.client_id.clone()))
        .set_client_secret(secret_of(provider)?)
        // GitHub takes them in the form alone.
        .set_auth_type(oauth2::AuthType::RequestBody)
        .set_token_uri(TokenUrl::new(format!("{}/login/oauth/access_token", provider.base))?)
        .set_redirect_uri(RedirectUrl::new(pending.redirect)?);
    let send = |request| http.clone().send(request);
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(pending.verifier)
        .request_async(&send)
        .await
        .map_err(|error| SignInError::Provider(error.to_string()))?;
    let api = provider.github_api();
    let user: User = get(http, &format!("{api}/user"), tokens.access_token()).await?;
    let mut addresses: Vec<Address> = get(http, &format!("{api}/user/emails"), tokens.access_token()).await?;
    addresses.retain(|address| address.verified);
    addresses.sort_by_key(|address| !address.primary);
    Ok(Account {
        provider: pending.provider,
        // The login can be given up and taken by somebody else; the number cannot.
        subject: user.id.to_string(),
        login: user.login,
        name: user.name.filter(|name| !name.trim().is_empty()),
        emails: addresses.iter().filter_map(|address| Email::try_from(&*address.email).ok()).collect(),
        is_allowed: false,
    })
}

async fn get<T: DeserializeOwned>(http: &Http, address: &str, token: &AccessToken) -> Result<T, SignInError> {
    let unusable = |error: &dyn ToString| SignInError::Provider(error.to_string());
    let request = Request::builder()
        .method(Method::GET)
        .uri(address)
        .header(ACCEPT, "application/vnd.github+json")
        .header(AUTHORIZATION, format!("Bearer {}", token.secret()))
        .body(Vec::new())
        .map_err(|error| unusable(&error))?;
    let answer = http.clone().send(request).await.map_err(|error| unusable(&error))?;
    if !answer.status().is_success() {
        return Err(unusable(&format!("{address} answers {}", answer.status())));
    }
    serde_json::from_slice(answer.body()).map_err(|error| unusable(&error))
}
