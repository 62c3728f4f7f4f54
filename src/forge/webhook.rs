//! What forges tell of themselves: who sent it, and whether it asks for a task.
//! <https://docs.github.com/webhooks>, <https://docs.gitlab.com/user/project/integrations/webhook_events/>,
//! <https://docs.gitea.com/usage/webhooks>.

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{
    config::{Forge, ForgeKind, Webhook},
    domain::trigger::Asked,
};

/// The headers of one delivery that matter, by name; `None` for one that is not there.
pub(crate) trait Headers {
    fn header(&self, name: &str) -> Option<&str>;
}

/// A delivery that is not acted upon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAsked {
    #[error("the signature is missing or wrong: the secret of the webhook must be that of the server")]
    Unsigned,
    #[error("${0} is not set in the environment of the server, so nobody can prove to be this forge")]
    NoSecret(String),
    #[error("the body is not what this forge sends: {0}")]
    Unreadable(&'static str),
    #[error("nothing to do: {0}")]
    Nothing(&'static str),
}

/// What a comment that is meant for us begins with.
const NAME: &str = "@atelier";

/// Whether the forge itself sent `body`. GitLab sends the secret; the others sign with it.
pub(crate) fn verify(kind: ForgeKind, webhook: &Webhook, headers: &impl Headers, body: &[u8]) -> Result<(), NotAsked> {
    let secret = webhook.secret.as_ref().ok_or_else(|| NotAsked::NoSecret(webhook.variable.clone()))?;
    let secret = secret.expose_secret().as_bytes();
    let signature = match kind {
        ForgeKind::Gitlab => {
            let sent = headers.header("x-gitlab-token").unwrap_or_default();
            return if bool::from(sent.as_bytes().ct_eq(secret)) { Ok(()) } else { Err(NotAsked::Unsigned) };
        }
        ForgeKind::Github => headers.header("x-hub-signature-256").and_then(|sent| sent.strip_prefix("sha256=")),
        ForgeKind::Gitea => headers.header("x-gitea-signature").or_else(|| headers.header("x-forgejo-signature")),
    };
    let signature =
        signature.and_then(|sent| HEXLOWER_PERMISSIVE.decode(sent.as_bytes()).ok()).ok_or(NotAsked::Unsigned)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| NotAsked::Unsigned)?;
    mac.update(body);
    mac.verify_slice(&signature).map_err(|_| NotAsked::Unsigned)
}

/// The task a delivery asks for. `label` is the one that asks.
pub(crate) fn asked(forge: &Forge, label: &str, headers: &impl Headers, body: &[u8]) -> Result<Asked, NotAsked> {
    let event = |name| headers.header(name).unwrap_or_default();
    let wish = match forge.kind {
        ForgeKind::Github => github(event("x-github-event"), label, body)?,
        ForgeKind::Gitea => gitea(event("x-gitea-event"), label, body)?,
        ForgeKind::Gitlab => gitlab(event("x-gitlab-event"), label, body)?,
    };
    // Never an address that the delivery names: that of the forge itself, with the name of the repository.
    let repository = forge.url_of(&wish.repository).ok_or(NotAsked::Unreadable("it names no repository"))?;
    let Issue { number, title, body } = wish.issue;
    let (title, body) = (title.trim(), body.unwrap_or_default());
    let about = format!("Issue #{number}: {title}\n\n{}", body.trim());
    let instruction = match wish.words {
        None => format!("Resolve this issue.\n\n{about}"),
        Some(words) => format!("{words}\n\nThis was asked in a comment on an issue:\n\n{about}"),
    };
    Ok(Asked {
        key: format!("{}#{number} {}", wish.repository, wish.key),
        repository,
        issue: number,
        person: wish.person,
        instruction: instruction.trim_end().to_owned(),
    })
}

struct Wish {
    /// `owner/name`
    repository: String,
    issue: Issue,
    person: String,
    /// What was said; none for a label.
    words: Option<String>,
    /// Within its issue.
    key: String,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    title: String,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    body: String,
    user: Login,
}

#[derive(Deserialize)]
struct Login {
    login: String,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

/// Of GitHub, and in most of Gitea.
#[derive(Deserialize)]
struct Delivery {
    action: String,
    issue: IssueWithState,
    #[serde(default)]
    label: Option<Label>,
    #[serde(default)]
    comment: Option<Comment>,
    sender: Login,
    repository: Repository,
}

#[derive(Deserialize)]
struct IssueWithState {
    #[serde(flatten)]
    issue: Issue,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    updated_at: String,
    /// There when it is one.
    #[serde(default)]
    pull_request: Option<serde::de::IgnoredAny>,
}

fn github(event: &str, label: &str, body: &[u8]) -> Result<Wish, NotAsked> {
    if !matches!(event, "issues" | "issue_comment") {
        return Err(NotAsked::Nothing("only issues and their comments begin tasks"));
    }
    let delivery: Delivery = read(body)?;
    match (event, &*delivery.action) {
        ("issues", "labeled") if delivery.label.as_ref().is_some_and(|set| set.name == label) => {
            let key = format!("labeled {}", delivery.issue.updated_at);
            of_issue(delivery, key)
        }
        ("issue_comment", "created") => of_comment(delivery),
        _ => Err(NotAsked::Nothing("neither the label nor a comment that begins with @atelier")),
    }
}

/// It does not say which label is new, so the label begins one task an issue.
fn gitea(event: &str, label: &str, body: &[u8]) -> Result<Wish, NotAsked> {
    if !matches!(event, "issues" | "issue_comment" | "issue_label") {
        return Err(NotAsked::Nothing("only issues and their comments begin tasks"));
    }
    let delivery: Delivery = read(body)?;
    match (event, &*delivery.action) {
        ("issues" | "issue_label", "label_updated" | "opened")
            if delivery.issue.labels.iter().any(|set| set.name == label) =>
        {
            of_issue(delivery, "labeled".to_owned())
        }
        ("issue_comment", "created") => of_comment(delivery),
        _ => Err(NotAsked::Nothing("neither the label nor a comment that begins with @atelier")),
    }
}

fn of_issue(delivery: Delivery, key: String) -> Result<Wish, NotAsked> {
    if delivery.issue.pull_request.is_some() {
        return Err(NotAsked::Nothing("a pull request begins no task"));
    }
    Ok(Wish {
        repository: delivery.repository.full_name,
        issue: delivery.issue.issue,
        person: delivery.sender.login,
        words: None,
        key,
    })
}

fn of_comment(mut delivery: Delivery) -> Result<Wish, NotAsked> {
    let comment = delivery.comment.take().ok_or(NotAsked::Unreadable("it has no comment"))?;
    let words = words_for_us(&comment.body)?;
    let wish = of_issue(delivery, format!("comment {}", comment.id))?;
    Ok(Wish { words: Some(words), person: comment.user.login, ..wish })
}

#[derive(Deserialize)]
struct GitlabDelivery {
    user: GitlabUser,
    project: GitlabProject,
    object_attributes: Attributes,
    #[serde(default)]
    changes: Changes,
    /// Of a note on one.
    #[serde(default)]
    issue: Option<GitlabIssue>,
}

#[derive(Deserialize)]
struct GitlabIssue {
    iid: u64,
    title: String,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
struct GitlabUser {
    username: String,
}

#[derive(Deserialize)]
struct GitlabProject {
    path_with_namespace: String,
}

#[derive(Deserialize)]
struct Attributes {
    id: u64,
    #[serde(default)]
    iid: u64,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    note: String,
    #[serde(default)]
    noteable_type: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    updated_at: serde_json::Value,
}

#[derive(Default, Deserialize)]
struct Changes {
    #[serde(default)]
    labels: LabelChange,
}

#[derive(Default, Deserialize)]
struct LabelChange {
    #[serde(default)]
    previous: Vec<GitlabLabel>,
    #[serde(default)]
    current: Vec<GitlabLabel>,
}

#[derive(Deserialize)]
struct GitlabLabel {
    title: String,
}

fn gitlab(event: &str, label: &str, body: &[u8]) -> Result<Wish, NotAsked> {
    if !matches!(event, "Issue Hook" | "Note Hook") {
        return Err(NotAsked::Nothing("only issues and their comments begin tasks"));
    }
    let GitlabDelivery { user, project, object_attributes: said, changes, issue } = read(body)?;
    let (repository, person) = (project.path_with_namespace, user.username);
    if event == "Note Hook" {
        if said.noteable_type != "Issue" || said.action == "update" {
            return Err(NotAsked::Nothing("only a new comment on an issue begins a task"));
        }
        let GitlabIssue { iid, title, description } = issue.ok_or(NotAsked::Unreadable("it has no issue"))?;
        let issue = Issue { number: iid, title, body: description };
        let words = Some(words_for_us(&said.note)?);
        return Ok(Wish { repository, issue, person, words, key: format!("comment {}", said.id) });
    }
    let has = |labels: &[GitlabLabel]| labels.iter().any(|set| set.title == label);
    if !has(&changes.labels.current) || has(&changes.labels.previous) {
        return Err(NotAsked::Nothing("the label was not set now"));
    }
    let issue = Issue { number: said.iid, title: said.title, body: said.description };
    Ok(Wish { repository, issue, person, words: None, key: format!("labeled {}", said.updated_at) })
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, NotAsked> {
    serde_json::from_slice(body).map_err(|error| {
        tracing::info!(%error, "a webhook cannot be read");
        NotAsked::Unreadable("see that [forge] kind is right, and that the webhook sends JSON")
    })
}

/// What follows the name at the beginning of a comment.
fn words_for_us(comment: &str) -> Result<String, NotAsked> {
    let comment = comment.trim_start();
    let words = match comment.split_at_checked(NAME.len()) {
        Some((name, rest)) if name.eq_ignore_ascii_case(NAME) && !rest.starts_with(is_of_a_name) => rest,
        _ => return Err(NotAsked::Nothing("the comment does not begin with @atelier")),
    };
    let words = words.trim_start_matches([':', ',', ' ', '\n', '\r', '\t']).trim_end();
    if words.is_empty() {
        Err(NotAsked::Nothing("the comment says nothing behind @atelier"))
    } else {
        Ok(words.to_owned())
    }
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '/')
}
