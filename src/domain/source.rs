//! Where the code comes from: a Git URL with an optional ref, or an uploaded archive.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The source of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Source {
    Git {
        git_url: RepoUrl,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        git_ref: Option<GitRef>,
    },
    /// A zip, stored as `upload.zip` in the task's folder.
    Archive { name: String, bytes: u64 },
}

impl Source {
    /// The short name that people know it by: `owner/repo`, or the file name of the archive.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Git { git_url, git_ref: None } => git_url.label(),
            Self::Git { git_url, git_ref: Some(git_ref) } => format!("{} @ {git_ref}", git_url.label()),
            Self::Archive { name, .. } => name.clone(),
        }
    }
}

/// An `https` (or `http`) URL of a repository in normal form: no credentials, no control characters, never an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RepoUrl(Url);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum RepoUrlError {
    #[error("not a Git URL: write it as https://host/owner/repository")]
    NotAUrl,
    #[error("only https:// (and http:// to hosts in [source] allow_private_hosts) can be fetched, not {0}:")]
    Scheme(String),
    #[error(
        "the URL holds a user name or password; leave it out, tokens for private repositories belong into the configuration"
    )]
    Credentials,
    #[error("the URL holds characters that do not belong into a URL (control characters, spaces or backslashes)")]
    Characters,
    #[error("the URL is too long")]
    TooLong,
}

const MAX_URL_BYTES: usize = 2048;

impl RepoUrl {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn is_plain_http(&self) -> bool {
        self.0.scheme() == "http"
    }

    pub(crate) fn host(&self) -> Host<&str> {
        // The constructor refuses URLs without a host.
        self.0.host().unwrap_or(Host::Domain(""))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// As it stands in the URL: without the port where that is the usual one.
    pub(crate) fn host_and_port(&self) -> String {
        self.0.port().map_or_else(|| self.host().to_string(), |port| format!("{}:{port}", self.host()))
    }

    /// `owner/repo`: the last two segments of the path, without `.git`.
    pub(crate) fn label(&self) -> String {
        let path = self.0.path().trim_matches('/').trim_end_matches(".git");
        let mut last: Vec<&str> = path.rsplit('/').take(2).collect();
        last.reverse();
        match last.join("/") {
            label if label.is_empty() => self.0.host_str().unwrap_or_default().to_owned(),
            label => label,
        }
    }
}

impl TryFrom<String> for RepoUrl {
    type Error = RepoUrlError;

    fn try_from(text: String) -> Result<Self, RepoUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(RepoUrlError::TooLong);
        }
        // The URL parser drops tabs and newlines and turns backslashes around; git would be handed something else
        // than the person wrote, so these are refused before it sees them, also in their escaped form.
        let lower = text.to_ascii_lowercase();
        let escaped_control = (0..0x20_u8).chain([0x7f]).any(|byte| lower.contains(&format!("%{byte:02x}")));
        if escaped_control || text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(RepoUrlError::Characters);
        }
        let url = Url::parse(&text).map_err(|_| RepoUrlError::NotAUrl)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(RepoUrlError::Scheme(url.scheme().to_owned()));
        }
        if !lower.starts_with(&format!("{}://", url.scheme())) || url.host().is_none() {
            return Err(RepoUrlError::NotAUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RepoUrlError::Credentials);
        }
        let mut url = url;
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl std::str::FromStr for RepoUrl {
    type Err = RepoUrlError;

    fn from_str(text: &str) -> Result<Self, RepoUrlError> {
        Self::try_from(text.to_owned())
    }
}

impl From<RepoUrl> for String {
    fn from(url: RepoUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str())
    }
}

/// A branch, a tag or a full commit id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct GitRef(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a Git ref: give a branch, a tag or a full commit id")]
pub(crate) struct NotAGitRef;

const MAX_REF_BYTES: usize = 255;

impl GitRef {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a full commit id, which git fetches in another way than a branch or tag.
    pub(crate) fn is_commit_id(&self) -> bool {
        matches!(self.0.len(), 40 | 64) && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl TryFrom<String> for GitRef {
    type Error = NotAGitRef;

    fn try_from(text: String) -> Result<Self, NotAGitRef> {
        if text.len() <= MAX_REF_BYTES && !text.starts_with('-') && is_valid_ref_name(&text) {
            Ok(Self(text))
        } else {
            Err(NotAGitRef)
        }
    }
}

/// The rules of `git check-ref-format`.
fn is_valid_ref_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_ascii_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !name.is_empty()
        && name != "@"
        && !name.contains(forbidden)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(|part| {
            let is_lock_file = part.strip_suffix(".lock").is_some();
            !part.is_empty() && !part.starts_with('.') && !is_lock_file
        })
}

impl std::str::FromStr for GitRef {
    type Err = NotAGitRef;

    fn from_str(text: &str) -> Result<Self, NotAGitRef> {
        Self::try_from(text.to_owned())
    }
}

impl From<GitRef> for String {
    fn from(git_ref: GitRef) -> Self {
        git_ref.0
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_urls_in_normal_form_are_taken() {
        let url: RepoUrl = "https://example.org/team/tool.git#readme".parse().unwrap();
        assert_eq!(url.as_str(), "https://example.org/team/tool.git");
        assert_eq!(url.label(), "team/tool");
        for (bad, error) in [
            ("file:///etc", RepoUrlError::Scheme("file".into())),
            ("ext::sh -c touch% /tmp/c", RepoUrlError::Characters),
            ("ssh://h/x", RepoUrlError::Scheme("ssh".into())),
            ("git://h/x", RepoUrlError::Scheme("git".into())),
            ("user@h:x", RepoUrlError::NotAUrl),
            ("/tmp/x", RepoUrlError::NotAUrl),
            ("-oProxyCommand=x", RepoUrlError::NotAUrl),
            ("--upload-pack=touch", RepoUrlError::NotAUrl),
            ("https:\\\\h\\x", RepoUrlError::Characters),
            ("https://h/x\n", RepoUrlError::Characters),
            ("https://h/x%00y", RepoUrlError::Characters),
            ("https://h/x%0Ay", RepoUrlError::Characters),
            ("https:h/x", RepoUrlError::NotAUrl),
            ("https://u:p@h/x", RepoUrlError::Credentials),
        ] {
            assert_eq!(bad.parse::<RepoUrl>().unwrap_err(), error, "{bad}");
        }
    }

    #[test]
    fn refs_are_never_options() {
        for good in ["main", "feature/x", "v1.2.3", "0123456789abcdef0123456789abcdef01234567"] {
            assert!(good.parse::<GitRef>().is_ok(), "{good}");
        }
        for bad in ["", "-d", "--output=/tmp/c", "a..b", "a b", "a\n", "refs/heads/../x"] {
            assert!(bad.parse::<GitRef>().is_err(), "{bad}");
        }
    }
}
