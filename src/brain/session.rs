//! One task's conversation: every step is in the database before anybody acts on it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use atelier_agent::wire::StepRequest;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    ChecksToRun, Critic, EditWay, Fallback, Reach, ReferenceCheck, memory::State, offer, request::StepError,
    speaker::Speaker,
};
use crate::{
    config::OnOom,
    db::{Db, DbError, SpeakerHash},
    domain::{day_budget::DayLimits, failure::Failure, task::Task},
    llm::{Model, RetryPolicy, Tool},
};

/// What a session works with besides the task.
#[derive(Debug)]
pub(crate) struct SessionSettings {
    pub(crate) model: Arc<dyn Model>,
    /// Goes on when the model is out of reach.
    pub(crate) fallback: Option<Fallback>,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_output_tokens: u32,
    /// What the model can read at once.
    pub(crate) context_tokens: u64,
    /// Every `AGENTS.md` by its path, as it was when the repository came in.
    pub(crate) agents_files: BTreeMap<String, String>,
    /// How much of them the model is shown in all.
    pub(crate) agents_files_max_bytes: usize,
    pub(crate) edit_way: EditWay,
    /// By network.
    pub(crate) reach: Reach,
    pub(crate) on_oom: OnOom,
    /// The model that reads the patch before the end, if there is one.
    pub(crate) critic: Option<Critic>,
    /// Of all tasks together.
    pub(crate) day_limits: DayLimits,
    /// Of a change.
    pub(crate) checks: Option<ChecksToRun>,
    /// Of an answer that has to name lines.
    pub(crate) reference_check: Option<ReferenceCheck>,
    /// Where the transcript is written.
    pub(crate) logs: PathBuf,
}

/// How the conversation ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Finished { summary: String },
    Failed(Failure),
}

/// The brain of one task, behind its socket. Requests are answered one at a time.
///
/// Everything it knows is in the database, and nothing is done twice: a server that was killed in the middle of a step
/// reads it back and goes on where the record ends. Only a question whose answer was not stored yet is asked again.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) task: Task,
    pub(super) db: Db,
    pub(super) tools: Vec<Tool>,
    speaker: Speaker,
    pub(super) settings: SessionSettings,
    /// None after the database failed: what is in memory may be ahead of the disk then, so it is read anew.
    state: Mutex<Option<State>>,
    pub(super) outcome: mpsc::UnboundedSender<Outcome>,
    /// The task is over, however it ended: an answer that is still being waited for is not worth its price.
    over: CancellationToken,
    /// The server stops and the task goes on later.
    stopping: CancellationToken,
}

impl Session {
    /// Begins the conversation, or goes on with it as far as it is recorded; its end comes over the returned channel. It
    /// works until `over`.
    pub(crate) async fn open(
        task: Task,
        db: Db,
        settings: SessionSettings,
        over: CancellationToken,
    ) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Outcome>), DbError> {
        let (outcome, ended) = mpsc::unbounded_channel();
        let tools = offer::tools(task.mode, settings.edit_way);
        let stopping = CancellationToken::new();
        let speaker = Speaker::new(db.clone(), task.id.clone());
        let session = Self { task, db, tools, speaker, settings, state: Mutex::default(), outcome, over, stopping };
        let state = session.recall().await?;
        *session.state.lock().await = Some(state);
        Ok((Arc::new(session), ended))
    }

    /// Whether one with this secret may speak for the agent; to be asked before anything long is read from it.
    pub(crate) async fn admits(&self, secret: SpeakerHash) -> Result<bool, StepError> {
        Ok(self.speaker.admits(secret).await?)
    }

    /// What the model is offered.
    pub(crate) fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// How long the agent has had something to do without a word; `None` while the server has.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.state.try_lock().ok()?.as_ref().map(|state| state.handed_out_at.elapsed())
    }

    /// Takes no request any more. One that is being answered may come to its end within `patience`, so that an answer that
    /// is paid for is not lost.
    pub(crate) async fn stop(&self, patience: Duration) {
        self.stopping.cancel();
        if tokio::time::timeout(patience, self.state.lock()).await.is_err() {
            tracing::info!("a question is left open; the next start asks it again");
        }
    }

    /// Answers one request. The work goes on when the caller goes away: its answer is stored, and a repetition of the
    /// request gets it without a second call of the model. Only the end of the task breaks it off.
    pub(crate) async fn step(self: Arc<Self>, request: StepRequest, secret: SpeakerHash) -> Result<Value, StepError> {
        let (over, stopping) = (self.over.clone(), self.stopping.clone());
        let work = over.run_until_cancelled_owned(async move { self.answer(request, secret).await });
        match tokio::spawn(work).await {
            Ok(Some(answer)) => answer,
            _ if stopping.is_cancelled() => Err(StepError::Stopping),
            Ok(None) | Err(_) => Err(StepError::Ended),
        }
    }

    async fn answer(&self, request: StepRequest, secret: SpeakerHash) -> Result<Value, StepError> {
        if request.task_id != self.task.id.as_str() {
            return Err(StepError::WrongTask);
        }
        if !self.speaker.hears(secret).await? {
            return Err(StepError::OtherSpeaker);
        }
        let mut kept = self.state.lock().await;
        if self.stopping.is_cancelled() {
            return Err(StepError::Stopping);
        }
        let mut state = match kept.take() {
            Some(state) => state,
            None => self.recall().await?,
        };
        let reply = self.reply(&mut state, request).await;
        if !matches!(reply, Err(StepError::Db(_))) {
            *kept = Some(state);
        }
        reply
    }
}
