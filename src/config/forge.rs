//! `[forge.NAME]`: where branches and pull requests go, and what opens the door there.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Url;

use super::{ConfigError, GitToken, raw::RawForge, resolve::wrong};
use crate::{
    domain::{address::AddressPolicy, source::RepoUrl},
    redact,
};

/// A forge with its token read from the environment.
#[derive(Debug, Clone)]
pub(crate) struct Forge {
    /// Of its section.
    pub(crate) name: String,
    pub(crate) kind: ForgeKind,
    /// Its web address; repositories lie beneath it.
    base: RepoUrl,
    /// Where its API begins, without a slash at the end.
    pub(crate) api: Url,
    /// For git and API of this forge, and for nobody else.
    pub(crate) token: GitToken,
    pub(crate) author_name: String,
    pub(crate) author_email: String,
    pub(crate) co_author: Option<String>,
    pub(crate) draft: bool,
    /// What it tells of itself begins tasks.
    pub(crate) webhook: Option<Webhook>,
}

/// Whose issues and comments begin tasks, and how the forge proves that it is the forge.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    /// None when the variable is not set.
    pub(crate) secret: Option<SecretString>,
    pub(crate) variable: String,
    /// By their names on the forge.
    pub(crate) people: Vec<String>,
    pub(crate) label: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ForgeKind {
    Github,
    Gitlab,
    /// Forgejo as well.
    Gitea,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Forges(Vec<Forge>);

pub(crate) const AUTHOR: &str = "Atelier";
pub(crate) const EMAIL: &str = "atelier@localhost";
const LABEL: &str = "atelier";
/// A secret that is shorter can be guessed by whoever has seen one signature.
const SHORTEST_SECRET: usize = 16;

impl Forges {
    /// The forge of a repository.
    pub(crate) fn of(&self, url: &RepoUrl) -> Option<&Forge> {
        self.0.iter().find(|forge| forge.repository(url).is_some())
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Forge> {
        self.0.iter()
    }

    /// The forge of a section.
    pub(crate) fn named(&self, name: &str) -> Option<&Forge> {
        self.0.iter().find(|forge| forge.name == name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn resolve(raw: BTreeMap<String, RawForge>, policy: &AddressPolicy) -> Result<Self, ConfigError> {
        raw.into_iter().map(|(name, raw)| forge(&name, raw, policy)).collect::<Result<_, _>>().map(Self)
    }
}

impl Forge {
    /// `owner/name` of a repository of this forge (GitLab has more parts); none for a repository elsewhere.
    pub(crate) fn repository(&self, url: &RepoUrl) -> Option<String> {
        let place = |url: &RepoUrl| (url.is_plain_http(), url.host().to_owned(), url.port());
        let base = self.base.path().trim_end_matches('/');
        let beneath = url.path().strip_prefix(base)?.strip_prefix('/')?.trim_end_matches('/');
        let path = beneath.strip_suffix(".git").unwrap_or(beneath);
        let parts = path.split('/').count();
        let fits = if self.kind == ForgeKind::Gitlab { parts >= 2 } else { parts == 2 };
        let is_plain = path.split('/').all(|part| !part.is_empty() && !matches!(part, "." | ".."));
        (place(&self.base) == place(url) && fits && is_plain).then(|| path.to_owned())
    }

    /// The address to clone a repository of this forge from, which goes by such a name.
    pub(crate) fn url_of(&self, repository: &str) -> Option<RepoUrl> {
        let url = format!("{}/{repository}.git", self.base.as_str().trim_end_matches('/')).parse().ok()?;
        self.repository(&url).is_some_and(|found| found == repository).then_some(url)
    }
}

fn forge(name: &str, raw: RawForge, policy: &AddressPolicy) -> Result<Forge, ConfigError> {
    let setting = |key: &str| format!("[forge.{name}] {key}");
    let usual = match raw.kind {
        ForgeKind::Github => Some("https://github.com"),
        ForgeKind::Gitlab => Some("https://gitlab.com"),
        ForgeKind::Gitea => None,
    };
    let base = raw.base_url.as_deref().or(usual);
    let base = base.ok_or_else(|| wrong(setting("base_url"), "is needed: the web address of the forge"))?;
    let base: RepoUrl = base.parse().map_err(|error| wrong(setting("base_url"), error))?;
    policy.check_url(&base).map_err(|error| wrong(setting("base_url"), error))?;
    let token = std::env::var(&raw.token_env).ok().map(|token| token.trim().to_owned());
    let token = token.filter(|token| !token.is_empty()).map(SecretString::from);
    token.iter().for_each(redact::register);
    let username = if raw.kind == ForgeKind::Gitlab { "oauth2" } else { "x-access-token" };
    let word = |key: &str, text: Option<String>, usual: &str| {
        let text = text.unwrap_or_else(|| usual.to_owned());
        // What git takes for a name and an address.
        let is_good = !text.trim().is_empty() && !text.contains(|c: char| c.is_control() || matches!(c, '<' | '>'));
        if is_good { Ok(text) } else { Err(wrong(setting(key), "must be a line without < and >")) }
    };
    let co_author = raw.co_author.unwrap_or_else(|| format!("{AUTHOR} <{EMAIL}>"));
    if co_author.contains(|c: char| c.is_control()) {
        return Err(wrong(setting("co_author"), "must be one line, such as Ada <ada@example.org>"));
    }
    let webhook = match raw.webhook_secret_env {
        None => None,
        Some(variable) => Some(Webhook {
            secret: webhook_secret(&variable).map_err(|reason| wrong(setting("webhook_secret_env"), reason))?,
            variable,
            people: raw.webhook_people.filter(|people| !people.is_empty()).ok_or_else(|| {
                wrong(setting("webhook_people"), "is needed: the names of those whose labels and comments begin tasks")
            })?,
            label: raw.webhook_label.unwrap_or_else(|| LABEL.to_owned()),
        }),
    };
    Ok(Forge {
        name: name.to_owned(),
        kind: raw.kind,
        api: api(raw.kind, &base).ok_or_else(|| wrong(setting("base_url"), "is no web address"))?,
        base,
        token: GitToken { username: username.to_owned(), variable: raw.token_env, token },
        author_name: word("author_name", raw.author_name, AUTHOR)?,
        author_email: word("author_email", raw.author_email, EMAIL)?,
        co_author: Some(co_author).filter(|name| !name.trim().is_empty()),
        draft: raw.draft.unwrap_or(true),
        webhook,
    })
}

fn webhook_secret(variable: &str) -> Result<Option<SecretString>, String> {
    let secret = std::env::var(variable).unwrap_or_default().trim().to_owned();
    if !secret.is_empty() && secret.len() < SHORTEST_SECRET {
        return Err(format!("${variable} holds a secret of less than {SHORTEST_SECRET} characters"));
    }
    let secret = Some(secret).filter(|secret| !secret.is_empty()).map(SecretString::from);
    secret.iter().for_each(redact::register);
    Ok(secret)
}

fn api(kind: ForgeKind, base: &RepoUrl) -> Option<Url> {
    let host = base.host().to_string();
    let beneath = |path: &str| Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/'))).ok();
    match kind {
        // GitHub in the cloud has a host of its own for it; so have companies with their data elsewhere.
        ForgeKind::Github if host == "github.com" || host.ends_with(".ghe.com") => {
            Url::parse(&format!("https://api.{host}")).ok()
        }
        ForgeKind::Github => beneath("/api/v3"),
        ForgeKind::Gitlab => beneath("/api/v4"),
        ForgeKind::Gitea => beneath("/api/v1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forge_at(kind: ForgeKind, base_url: Option<&str>) -> Result<Forge, ConfigError> {
        let raw = RawForge {
            kind,
            base_url: base_url.map(str::to_owned),
            token_env: "NO_SUCH_VARIABLE".to_owned(),
            author_name: None,
            author_email: None,
            co_author: None,
            draft: None,
            webhook_secret_env: None,
            webhook_people: None,
            webhook_label: None,
        };
        forge("mine", raw, &AddressPolicy::parse(&["10.0.0.0/8".to_owned()]).unwrap())
    }

    #[test]
    fn the_address_of_the_api_follows_from_that_of_the_forge() {
        for (kind, base, api) in [
            (ForgeKind::Github, None, "https://api.github.com/"),
            (ForgeKind::Github, Some("https://acme.ghe.com"), "https://api.acme.ghe.com/"),
            (ForgeKind::Github, Some("https://github.example.org/"), "https://github.example.org/api/v3"),
            (ForgeKind::Gitlab, None, "https://gitlab.com/api/v4"),
            (ForgeKind::Gitlab, Some("https://example.org/gitlab"), "https://example.org/gitlab/api/v4"),
            (ForgeKind::Gitea, Some("http://10.0.0.1:3000"), "http://10.0.0.1:3000/api/v1"),
        ] {
            assert_eq!(forge_at(kind, base).unwrap().api.as_str(), api);
        }
        for bad in
            [None, Some("http://git.example.org"), Some("https://u:p@git.example.org"), Some("https://127.0.0.1")]
        {
            let error = forge_at(ForgeKind::Gitea, bad).unwrap_err().to_string();
            assert!(error.contains("[forge.mine] base_url"), "{error}");
        }
    }

    #[test]
    fn a_repository_belongs_to_the_forge_of_exactly_its_host() {
        let github = forge_at(ForgeKind::Github, None).unwrap();
        let gitlab = forge_at(ForgeKind::Gitlab, Some("https://example.org/gitlab")).unwrap();
        for (forge, url, repository) in [
            (&github, "https://github.com/team/tool.git", Some("team/tool")),
            (&github, "https://github.com/team/tool/", Some("team/tool")),
            (&github, "https://github.com/team", None),
            (&github, "https://github.com/team/tool/wiki", None),
            (&github, "https://github.com:8443/team/tool", None),
            (&github, "http://github.com/team/tool", None),
            (&github, "https://github.com.evil.org/team/tool", None),
            (&gitlab, "https://example.org/gitlab/team/sub/tool", Some("team/sub/tool")),
            (&gitlab, "https://example.org/gitlabber/team/tool", None),
            (&gitlab, "https://example.org/team/tool", None),
        ] {
            assert_eq!(forge.repository(&url.parse().unwrap()).as_deref(), repository, "{url}");
        }
    }
}
