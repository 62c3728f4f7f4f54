//! The turns of a task on its page, and the form with which it goes on or is told something.

use axum::{Form, extract::State, response::Redirect};
use data_encoding::HEXLOWER;
use serde::Deserialize;

use super::{figures, links::TaskLinks};
use crate::{
    domain::{
        limits::{LimitsWish, Reached},
        patch::DiffSummary,
        task::{Status, Task},
        task_id::TaskId,
        turn::{NewFollowUp, RequestKey, Turn},
    },
    pipeline::follow_up::Obstacle,
    web::{AppState, error::WebError, extract::TaskPath, reading::Reader, submit, submit::FieldError, viewer::Viewer},
};

/// A turn of several.
pub(super) struct TurnView {
    pub(super) number: u32,
    pub(super) title: String,
    /// The instruction, when the title is not all of it.
    pub(super) whole: Option<String>,
    pub(super) status: Status,
    /// What came of it, of one that another turn followed.
    pub(super) said: Option<String>,
    pub(super) used: String,
    pub(super) own_diff: Option<DiffSummary>,
}

/// What the page offers to say.
pub(super) struct FollowUpForm {
    pub(super) begins_turn: bool,
    /// Why the task cannot go on.
    pub(super) obstacle: Option<&'static str>,
    /// Limits that were reached: it goes on with higher ones.
    pub(super) raises: Vec<Raise>,
    /// Pressing twice says it once.
    pub(super) key: String,
    /// What was said and is not read yet.
    pub(super) unread: Vec<String>,
    /// Remarks on lines that go along.
    pub(super) remarks: usize,
}

pub(super) struct Raise {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) least: String,
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct MessageForm {
    text: String,
    key: Option<String>,
    max_steps: Option<u32>,
    max_tokens: Option<u64>,
    max_cost_usd: Option<f64>,
}

impl TurnView {
    /// Those of a task that has several.
    pub(super) async fn all(state: &AppState, id: &TaskId, reader: Reader) -> Result<Vec<Self>, WebError> {
        let turns = state.db.turns(id).await?;
        let last = turns.len();
        if last < 2 {
            return Ok(Vec::new());
        }
        turns.into_iter().zip(1..).map(|(turn, place)| Self::of(turn, place == last, reader)).collect()
    }

    fn of(turn: Turn, is_last: bool, reader: Reader) -> Result<Self, WebError> {
        let (instruction, outcome) = (reader.value(turn.instruction)?, reader.value(turn.outcome)?);
        let title = instruction.title().to_owned();
        let whole = Some(instruction.as_str().to_owned()).filter(|whole| *whole != title);
        let said = outcome.summary.or(outcome.failure.map(|failure| failure.message));
        let steps = tr_count!(outcome.steps, "{n} step", "{n} steps");
        Ok(Self {
            number: turn.number,
            title,
            whole,
            status: outcome.status,
            // What came of the last one has its place on the page.
            said: said.filter(|_| !is_last),
            used: format!("{steps} · {}", figures::cost(outcome.usage)),
            own_diff: turn.own_diff.filter(|diff| diff.files > 0),
        })
    }
}

impl FollowUpForm {
    /// None for a visitor, who has nothing to say here.
    pub(super) async fn of(state: &AppState, task: &Task, reader: Reader) -> Result<Option<Self>, WebError> {
        if reader.is_visitor() {
            return Ok(None);
        }
        let begins_turn = task.status.is_final();
        let obstacle = if begins_turn { state.queue.obstacle(task).await? } else { None };
        let unread = state.db.unread(&task.id).await?.into_iter().map(|said| said.text.into()).collect();
        Ok(Some(Self {
            begins_turn,
            obstacle: obstacle.map(words),
            raises: if begins_turn { raises(state, task) } else { Vec::new() },
            key: HEXLOWER.encode(&rand::random::<[u8; 8]>()),
            unread,
            remarks: state.db.remarks(&task.id).await?.len(),
        }))
    }
}

/// As much again as a new task may have.
fn raises(state: &AppState, task: &Task) -> Vec<Raise> {
    let (more, used) = (state.config.agent.limits, task.usage);
    let raise = |reached| match reached {
        Reached::Steps => Raise {
            name: "max_steps",
            label: tr!("Steps"),
            least: (task.steps + 1).to_string(),
            value: task.steps.saturating_add(more.max_steps).to_string(),
        },
        Reached::Tokens => Raise {
            name: "max_tokens",
            label: tr!("Tokens"),
            least: (used.tokens() + 1).to_string(),
            value: used.tokens().saturating_add(more.max_tokens).to_string(),
        },
        Reached::Cost { usd } => Raise {
            name: "max_cost_usd",
            label: tr!("Dollars"),
            least: format!("{:.2}", usd + 0.01),
            value: format!("{:.2}", usd + more.max_cost_usd),
        },
    };
    task.limits.reached(task.steps, used).into_iter().map(raise).collect()
}

fn words(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::ConversationGone => {
            tr!("This task cannot go on: its steps and conversation are kept no longer. Start a new one.")
        }
        Obstacle::UploadGone => {
            tr!("This task cannot go on: the archive it began with is kept no longer. Start a new one.")
        }
        Obstacle::ChangesGone => {
            tr!(
                "This task cannot go on: its changes are kept no longer. Start a new one; the patch can be applied by hand."
            )
        }
        Obstacle::BeingPublished => tr!("The result is being published; then the task can go on."),
    }
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    viewer: Viewer,
    TaskPath(id): TaskPath,
    Form(form): Form<MessageForm>,
) -> Result<Redirect, WebError> {
    let MessageForm { text, key, max_steps, max_tokens, max_cost_usd } = form;
    let text = if text.trim().is_empty() && !state.db.remarks(&id).await?.is_empty() {
        "See to these remarks.".to_owned()
    } else {
        text
    };
    let text = text.try_into();
    let text = text.map_err(|error| WebError::Invalid { fields: vec![FieldError::new("text", &error)] })?;
    let key = key.and_then(|key| RequestKey::try_from(key.as_str()).ok());
    let limits = LimitsWish { max_steps, max_tokens, max_cost_usd, ..LimitsWish::default() };
    submit::tell(&state, &id, NewFollowUp { person: viewer.id(), text, key, limits }).await?;
    Ok(Redirect::to(&TaskLinks::of(&id).page))
}
