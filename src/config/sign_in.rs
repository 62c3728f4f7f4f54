//! `[auth.NAME]`: where people may sign in with an account they have elsewhere, and who of them.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Url;

use super::{ConfigError, raw::RawSignIn, resolve::wrong};
use crate::{
    domain::{address::AddressPolicy, allowed_account::AllowedAccount, source::RepoUrl},
    redact,
};

/// A place to sign in at, with its secret read from the environment; `SecretString` keeps it out of `Debug`.
#[derive(Debug, Clone)]
pub(crate) struct SignInProvider {
    pub(crate) kind: SignInKind,
    /// Of OIDC: the issuer, word for word. Of GitHub: its web address, without a slash at the end.
    pub(crate) base: String,
    pub(crate) client_id: String,
    /// The variable the secret comes from.
    pub(crate) variable: String,
    /// None when the variable is not set.
    pub(crate) client_secret: Option<SecretString>,
    /// Who may come without an invitation.
    pub(crate) allowed: Vec<AllowedAccount>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignInKind {
    Oidc,
    Github,
}

/// By the names of their sections.
pub(crate) type SignInProviders = BTreeMap<String, SignInProvider>;

pub(super) fn resolve(
    raw: BTreeMap<String, RawSignIn>,
    policy: &AddressPolicy,
) -> Result<SignInProviders, ConfigError> {
    raw.into_iter().map(|(name, raw)| Ok((name.clone(), provider(&name, raw, policy)?))).collect()
}

fn provider(name: &str, raw: RawSignIn, policy: &AddressPolicy) -> Result<SignInProvider, ConfigError> {
    let setting = |key: &str| format!("[auth.{name}] {key}");
    // It is part of an address.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(wrong(format!("[auth.{name:?}]"), "must be a name of letters, digits, - and _"));
    }
    let (key, base) = match (raw.kind, raw.issuer, raw.base_url) {
        (SignInKind::Oidc, Some(issuer), None) => ("issuer", issuer),
        (SignInKind::Oidc, ..) => return Err(wrong(setting("issuer"), "is needed for oidc, and base_url is not")),
        (SignInKind::Github, None, base) => ("base_url", base.unwrap_or_else(|| "https://github.com".to_owned())),
        (SignInKind::Github, Some(_), _) => return Err(wrong(setting("issuer"), "is for oidc; github has base_url")),
    };
    let address: RepoUrl = base.parse().map_err(|error| wrong(setting(key), error))?;
    policy.check_url(&address).map_err(|error| wrong(setting(key), error))?;
    let secret = std::env::var(&raw.client_secret_env).ok().map(|secret| secret.trim().to_owned());
    let client_secret = secret.filter(|secret| !secret.is_empty()).map(SecretString::from);
    client_secret.iter().for_each(redact::register);
    let allowed = raw.allowed.iter().map(|text| text.parse().map_err(|error| wrong(setting("allowed"), error)));
    Ok(SignInProvider {
        kind: raw.kind,
        base: if raw.kind == SignInKind::Github { base.trim_end_matches('/').to_owned() } else { base },
        client_id: raw.client_id,
        variable: raw.client_secret_env,
        client_secret,
        allowed: allowed.collect::<Result<_, _>>()?,
    })
}

impl SignInProvider {
    /// Where GitHub answers programs.
    pub(crate) fn github_api(&self) -> String {
        match Url::parse(&self.base).ok().and_then(|url| url.host_str().map(str::to_owned)).as_deref() {
            Some("github.com") => "https://api.github.com".to_owned(),
            _ => format!("{}/api/v3", self.base),
        }
    }
}
