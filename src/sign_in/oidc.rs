//! `OpenID` Connect. The provider's description and keys are fetched anew for every login: there are few, and keys change.

use openidconnect::{
    AuthorizationCode, ClientId, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge, RedirectUrl, Scope, TokenResponse,
    core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata},
};

use super::{Begun, Pending, SignInError, http::Http, secret_of};
use crate::{
    config::SignInProvider,
    domain::{account::Account, person::Email},
};

pub(super) async fn begin(
    http: &Http,
    name: &str,
    provider: &SignInProvider,
    redirect: String,
) -> Result<Begun, SignInError> {
    let client_id = ClientId::new(provider.client_id.clone());
    let client =
        CoreClient::from_provider_metadata(discover(http, provider).await?, client_id, Some(secret_of(provider)?))
            .set_redirect_uri(RedirectUrl::new(redirect.clone())?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (address, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("email".to_owned()))
        .add_scope(Scope::new("profile".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    let pending = Pending { provider: name.to_owned(), nonce: Some(nonce), verifier, redirect };
    Ok(Begun { address, state: state.into_secret(), pending })
}

pub(super) async fn finish(
    http: &Http,
    provider: &SignInProvider,
    pending: Pending,
    code: String,
) -> Result<Account, SignInError> {
    let client_id = ClientId::new(provider.client_id.clone());
    let client =
        CoreClient::from_provider_metadata(discover(http, provider).await?, client_id, Some(secret_of(provider)?))
            .set_redirect_uri(RedirectUrl::new(pending.redirect)?);
    let send = |request| http.clone().send(request);
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))
        .map_err(|error| SignInError::Provider(error.to_string()))?
        .set_pkce_verifier(pending.verifier)
        .request_async(&send)
        .await
        .map_err(|error| SignInError::Provider(error.to_string()))?;
    let not_believed = |reason: &dyn ToString| SignInError::NotBelieved(reason.to_string());
    let id_token = tokens.id_token().ok_or_else(|| not_believed(&"there is no id token"))?;
    let nonce = pending.nonce.ok_or_else(|| not_believed(&"there is no nonce"))?;
    // Signature, issuer, audience, times and nonce.
    let claims = id_token.claims(&client.id_token_verifier(), &nonce).map_err(|error| not_believed(&error))?;
    let email = claims.email().and_then(|email| Email::try_from(email.as_str()).ok());
    let login = claims.preferred_username().map(|name| name.as_str().to_owned());
    let subject = claims.subject().as_str().to_owned();
    Ok(Account {
        provider: pending.provider,
        login: login.or_else(|| email.clone().map(String::from)).unwrap_or_else(|| subject.clone()),
        name: claims.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned()),
        emails: email.filter(|_| claims.email_verified() == Some(true)).into_iter().collect(),
        subject,
        is_allowed: false,
    })
}

async fn discover(http: &Http, provider: &SignInProvider) -> Result<CoreProviderMetadata, SignInError> {
    let send = |request| http.clone().send(request);
    CoreProviderMetadata::discover_async(IssuerUrl::new(provider.base.clone())?, &send)
        .await
        .map_err(|error| SignInError::Provider(error.to_string()))
}
