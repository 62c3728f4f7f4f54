//! The pull request on the page of a task, and the button for it.

use axum::{Form, extract::State, response::Redirect};
use serde::Deserialize;

use super::links::TaskLinks;
use crate::{
    db::Consent,
    domain::{
        pull_request::{PullRequest, PullRequestState},
        task::{Status, Task},
    },
    pipeline::publisher::forge_of,
    web::{AppState, error::WebError, extract::TaskPath, reading::Reader},
};

/// What is known of it, and what a person may do.
pub(super) struct PullRequestView {
    pub(super) known: Option<PullRequest>,
    pub(super) button: Option<Button>,
    /// Of the box.
    pub(super) class: &'static str,
    pub(super) heading: &'static str,
}

pub(super) struct Button {
    pub(super) text: &'static str,
    /// It says yes to what was held back.
    pub(super) confirms: bool,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct PullRequestForm {
    confirm: Option<String>,
}

impl PullRequestView {
    /// None where there is nothing to say and nothing to do.
    pub(super) async fn of(state: &AppState, task: &Task, reader: Reader) -> Option<Self> {
        let known = task.pull_request.clone();
        let has_changes = task.diff.is_some_and(|diff| diff.files > 0);
        let can_be_asked =
            task.status == Status::Completed && has_changes && forge_of(&state.config, &task.source).is_ok();
        let is_kept = tokio::fs::try_exists(state.data_dir.task(&task.id).git()).await.unwrap_or(false);
        let button = button(known.as_ref()).filter(|_| can_be_asked && is_kept && !reader.is_visitor());
        let (class, heading) = match known.as_ref().map(|known| &known.state) {
            None => ("", tr!("Pull request")),
            Some(PullRequestState::Publishing) => ("", tr!("Publishing")),
            Some(PullRequestState::Opened) => ("success", tr!("Pull request")),
            Some(PullRequestState::NothingToPublish) => ("", tr!("Nothing to publish")),
            Some(PullRequestState::NeedsConfirmation { .. }) => ("note", tr!("Publishing waits for you")),
            Some(PullRequestState::Conflict { .. }) => ("note", tr!("Not published: conflict")),
            Some(PullRequestState::Failed { .. }) => ("failure", tr!("Not published")),
        };
        (known.is_some() || button.is_some()).then_some(Self { known, button, class, heading })
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.state == PullRequestState::Publishing)
    }

    /// Shown as a link, so its sentence is not needed.
    pub(super) fn link(&self) -> Option<(&str, String)> {
        let known = self.known.as_ref()?;
        let number = known.number.map(|number| format!("#{number}")).unwrap_or_default();
        Some((known.url.as_deref()?, number))
    }
}

fn button(known: Option<&PullRequest>) -> Option<Button> {
    let text = match known.map(|known| &known.state) {
        None => tr!("Open pull request"),
        Some(PullRequestState::Publishing) => return None,
        Some(PullRequestState::NeedsConfirmation { .. }) => {
            return Some(Button { text: tr!("Publish anyway"), confirms: true });
        }
        Some(_) => tr!("Publish again"),
    };
    Some(Button { text, confirms: false })
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    TaskPath(id): TaskPath,
    Form(form): Form<PullRequestForm>,
) -> Result<Redirect, WebError> {
    let consent = if form.confirm.as_deref() == Some("yes") { Consent::Given } else { Consent::NotAsked };
    state.publisher.ask(&id, consent, &state.shutdown).await?;
    Ok(Redirect::to(&TaskLinks::of(&id).page))
}
