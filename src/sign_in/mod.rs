//! Signing in with an account elsewhere: `OpenID` Connect, and GitHub, which has its own way. Code flow with PKCE, state and
//! nonce; the libraries `openidconnect` and `oauth2` judge what comes back. Only this room knows them.

mod github;
mod http;
mod oidc;

use openidconnect::PkceCodeVerifier;
use url::Url;

use crate::{
    config::{SignInKind, SignInProvider, SignInProviders},
    domain::account::Account,
};
use http::Http;

pub(crate) use reqwest::Error as ClientError;

/// The places to sign in at; clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct SignIn {
    providers: SignInProviders,
    http: Http,
}

/// What is to be remembered between the way there and the way back. Only ever in memory.
pub(crate) struct Pending {
    pub(crate) provider: String,
    nonce: Option<openidconnect::Nonce>,
    verifier: PkceCodeVerifier,
    redirect: String,
}

/// Where the browser goes, the word by which it is known when it comes back, and what is kept until then.
pub(crate) struct Begun {
    pub(crate) address: Url,
    pub(crate) state: String,
    pub(crate) pending: Pending,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error("there is no [auth.{0}]")]
    Unknown(String),
    #[error("set ${0}, which [auth] names for the client secret, in the environment of the server")]
    NoSecret(String),
    #[error("an address of the provider cannot be read: {0}")]
    Address(#[from] openidconnect::url::ParseError),
    #[error("the provider does not answer as it should: {0}")]
    Provider(String),
    #[error("what the provider says of the person is not to be believed: {0}")]
    NotBelieved(String),
}

impl SignIn {
    pub(crate) fn new(providers: SignInProviders) -> Result<Self, ClientError> {
        Ok(Self { providers, http: Http::new()? })
    }

    /// The names of the sections.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }

    /// The way there. `redirect` is where the browser comes back to.
    pub(crate) async fn begin(&self, name: &str, redirect: String) -> Result<Begun, SignInError> {
        let provider = self.provider(name)?;
        match provider.kind {
            SignInKind::Oidc => oidc::begin(&self.http, name, provider, redirect).await,
            SignInKind::Github => github::begin(name, provider, redirect),
        }
    }

    /// Who it is, from the code that the browser brought back.
    pub(crate) async fn finish(&self, pending: Pending, code: String) -> Result<Account, SignInError> {
        let provider = self.provider(&pending.provider)?;
        let mut account = match provider.kind {
            SignInKind::Oidc => oidc::finish(&self.http, provider, pending, code).await?,
            SignInKind::Github => github::finish(&self.http, provider, pending, code).await?,
        };
        // The name at an OpenID provider is whatever the person typed there: it opens nothing.
        let login = (provider.kind == SignInKind::Github).then_some(&*account.login);
        account.is_allowed = provider.allowed.iter().any(|allowed| allowed.covers(login, &account.emails));
        Ok(account)
    }

    fn provider(&self, name: &str) -> Result<&SignInProvider, SignInError> {
        self.providers.get(name).ok_or_else(|| SignInError::Unknown(name.to_owned()))
    }
}

fn secret_of(provider: &SignInProvider) -> Result<openidconnect::ClientSecret, SignInError> {
    use secrecy::ExposeSecret;
    let secret = provider.client_secret.as_ref().ok_or_else(|| SignInError::NoSecret(provider.variable.clone()))?;
    Ok(openidconnect::ClientSecret::new(secret.expose_secret().to_owned()))
}
