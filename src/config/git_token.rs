//! `[source.tokens."HOST"]`: what opens the private repositories of a host.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Host;

use super::{ConfigError, raw::RawGitToken, resolve::wrong};
use crate::{domain::source::RepoUrl, redact};

/// A token and the name it is sent with; `SecretString` keeps it out of `Debug`.
#[derive(Debug, Clone)]
pub(crate) struct GitToken {
    pub(crate) username: String,
    /// The variable it comes from.
    pub(crate) variable: String,
    /// None when the variable is not set.
    pub(crate) token: Option<SecretString>,
}

/// The tokens by the host and port they are for.
#[derive(Debug, Clone, Default)]
pub(crate) struct GitTokens(BTreeMap<(Host, u16), GitToken>);

/// GitHub and Gitea take any name; this one is the custom.
const DEFAULT_USERNAME: &str = "x-access-token";
const HTTPS: u16 = 443;

impl GitTokens {
    /// The token for exactly the host and port of the URL.
    pub(crate) fn of(&self, url: &RepoUrl) -> Option<&GitToken> {
        self.0.get(&(url.host().to_owned(), url.port()))
    }

    pub(super) fn resolve(raw: BTreeMap<String, RawGitToken>) -> Result<Self, ConfigError> {
        let tokens = raw.into_iter().map(|(name, raw)| {
            let setting = format!("[source.tokens.{name:?}]");
            let place = host_and_port(&name)
                .ok_or_else(|| wrong(&setting, "is no host or host:port; write it as in the URL, without https://"))?;
            let username = raw.username.unwrap_or_else(|| DEFAULT_USERNAME.to_owned());
            if username.is_empty() || username.contains(|c: char| c == ':' || c.is_control()) {
                return Err(wrong(format!("{setting} username"), "must be a name without a colon"));
            }
            let token = std::env::var(&raw.token_env).ok().map(|token| token.trim().to_owned());
            let token = token.filter(|token| !token.is_empty()).map(SecretString::from);
            token.iter().for_each(redact::register);
            Ok((place, GitToken { username, variable: raw.token_env, token }))
        });
        tokens.collect::<Result<_, _>>().map(Self)
    }
}

/// In the form that a URL has after it was parsed.
fn host_and_port(text: &str) -> Option<(Host, u16)> {
    let url = url::Url::parse(&format!("https://{text}/")).ok()?;
    let is_only_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let has_login = !url.username().is_empty() || url.password().is_some();
    let host = url.host()?.to_owned();
    (is_only_host && !has_login && !text.contains('/')).then(|| (host, url.port().unwrap_or(HTTPS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_host_and_port() {
        let raw = |name: &str| {
            let raw = RawGitToken { token_env: "NO_SUCH_VARIABLE".to_owned(), username: None };
            GitTokens::resolve(BTreeMap::from([(name.to_owned(), raw)]))
        };
        for (name, url, is_for) in [
            ("git.example.org", "https://git.example.org/a/b", true),
            ("Git.Example.org:443", "https://git.example.org/a/b", true),
            ("git.example.org", "https://git.example.org:8443/a/b", false),
            ("git.example.org", "http://git.example.org/a/b", false),
            ("git.example.org", "https://example.org/a/b", false),
            ("git.example.org", "https://evil.git.example.org/a/b", false),
            ("git.lan:3000", "http://git.lan:3000/a/b", true),
            ("[::1]:3000", "http://[::1]:3000/a/b", true),
        ] {
            assert_eq!(raw(name).unwrap().of(&url.parse().unwrap()).is_some(), is_for, "{name} {url}");
        }
        for bad in ["", "https://git.example.org", "git.example.org/team", "u:p@git.example.org", "a b", "h:port"] {
            assert!(raw(bad).unwrap_err().to_string().contains("[source.tokens."), "{bad}");
        }
    }
}
