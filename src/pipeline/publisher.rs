//! Publishing: from the kept result of a task to a branch and a pull request on its forge.
//!
//! What others can see is in the database before it happens, and what is there is looked for before it is made: a server that is
//! killed anywhere in between leaves one branch and one pull request.

use std::{collections::BTreeSet, sync::Arc};

use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{checkpoint::Checkpoint, ending::failure_of};
use crate::{
    blocking,
    config::{Config, Forge},
    data_dir::DataDir,
    db::{Consent, Db, DbError},
    domain::{
        confirm_first::Change,
        event::EventBody,
        failure::{Failure, FailureKind},
        forge_text,
        pull_request::{MAX_FILES, OwnCommit, PullRequest, PullRequestState},
        source::{RepoUrl, Source},
        task::{Status, Task},
        task_id::TaskId,
    },
    forge::{self, Branch, ForgeError, Found, Opening},
    git::{Author, CloneLimits, Drafted, Heads, Place, Remote, RemoteError, RemoteRequest, Snapshots, draft},
    redact,
    remove_tree::remove_tree,
};

/// Clones share the slots.
#[derive(Debug, Clone)]
pub(crate) struct Publisher {
    db: Db,
    config: Arc<Config>,
    data_dir: DataDir,
    slots: Arc<Semaphore>,
}

/// Why a task cannot be published at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPublishable {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("Only a task that is completed can be published.")]
    NotCompleted,
    #[error("The task changed nothing, so there is nothing to publish.")]
    NothingChanged,
    #[error("{0}")]
    NoForge(String),
}

const SIDE_BY_SIDE: usize = 2;
/// More are never needed to know which commits are ours.
const MAX_COMMITS: usize = 20;

impl Publisher {
    pub(crate) fn new(db: Db, config: Arc<Config>, data_dir: DataDir) -> Self {
        Self { db, config, data_dir, slots: Arc::new(Semaphore::new(SIDE_BY_SIDE)) }
    }

    /// Publishes a task that has ended, in the background. Asking while it is under way changes nothing.
    pub(crate) async fn ask(
        &self,
        id: &TaskId,
        consent: Consent,
        shutdown: &CancellationToken,
    ) -> Result<(), NotPublishable> {
        let task = self.db.task(id).await?;
        if task.status != Status::Completed {
            return Err(NotPublishable::NotCompleted);
        }
        forge_of(&self.config, &task.source).map_err(NotPublishable::NoForge)?;
        if !has_changes(&task) {
            return Err(NotPublishable::NothingChanged);
        }
        if self.db.begin_publishing(id, consent).await?.is_some() {
            self.go_on(id.clone(), shutdown.clone());
        }
        Ok(())
    }

    /// Goes on with what an earlier run of the server left.
    pub(crate) async fn resume(&self, shutdown: &CancellationToken) -> Result<(), DbError> {
        for id in self.db.unpublished().await? {
            self.go_on(id, shutdown.clone());
        }
        Ok(())
    }

    /// Whether the result of a task is of use after its end.
    pub(super) async fn may_be_asked(&self, id: &TaskId) -> Result<bool, DbError> {
        let task = self.db.task(id).await?;
        Ok(has_changes(&task) && forge_of(&self.config, &task.source).is_ok())
    }

    /// Does what the row of the task says is to be done, and stores what it came to.
    pub(super) async fn publish(&self, id: &TaskId) -> Result<(), DbError> {
        let task = self.db.task(id).await?;
        let Some(mut known) = task.pull_request.clone() else { return Ok(()) };
        let folder = self.data_dir.task(id);
        let mut state = self.outcome(&task, &mut known).await;
        if state.as_ref().is_err_and(|error| matches!(error.downcast_ref(), Some(RemoteError::Moved))) {
            // The branch is not as it was a moment ago: it may be the push of a server that was killed, which arrived late.
            state = self.outcome(&task, &mut known).await;
        }
        if let Err(error) = remove_tree(&folder.publish()).await {
            tracing::warn!(%error, "the repository that was pushed from stays behind");
        }
        known.state = state.unwrap_or_else(|error| PullRequestState::Failed { failure: failure_of(&error) });
        tracing::info!(state = known.state.as_str(), "publishing ended");
        self.db.end_publishing(id, known).await
    }

    fn go_on(&self, id: TaskId, shutdown: CancellationToken) {
        let (this, span) = (self.clone(), tracing::info_span!("publish", %id));
        let work = async move {
            let Ok(_slot) = this.slots.acquire().await else { return };
            // A task of its own that ends with this one: a panic must not leave it under way for ever.
            let mut publishing = JoinSet::new();
            let (worker, of_task) = (this.clone(), id.clone());
            publishing.spawn(async move { worker.publish(&of_task).await }.in_current_span());
            let stored = match publishing.join_next().await {
                Some(Ok(stored)) => stored,
                broken => this.give_up(&id, &format!("{broken:?}")).await,
            };
            if let Err(error) = stored {
                tracing::error!(%error, "cannot store what publishing came to; the next start will");
            }
        };
        tokio::spawn(async move { shutdown.run_until_cancelled(work).await }.instrument(span));
    }

    async fn give_up(&self, id: &TaskId, cause: &str) -> Result<(), DbError> {
        tracing::error!(cause, "publishing broke off");
        let Some(mut known) = self.db.task(id).await?.pull_request else { return Ok(()) };
        let message = "The server made a mistake while it published this task; its log has the cause. Try again.";
        known.state = PullRequestState::Failed { failure: Failure::new(FailureKind::Internal, message) };
        self.db.end_publishing(id, known).await
    }

    async fn outcome(&self, task: &Task, known: &mut PullRequest) -> anyhow::Result<PullRequestState> {
        let no_forge = |message| Failure::new(FailureKind::ForgeRefused, message);
        let (settings, url) = forge_of(&self.config, &task.source).map_err(no_forge)?;
        if !has_changes(task) {
            return Ok(PullRequestState::NothingToPublish);
        }
        let folder = self.data_dir.task(&task.id);
        let (snapshots, git_dir) = (folder.git(), folder.publish());
        let kept = snapshots.clone();
        if !blocking::run(move || Snapshots::has_result(&kept)).await? {
            let message = "The result of the task is kept no longer ([retention] uploads_days), so it cannot be published. Start \
                           the task again, or apply diff.patch by hand.";
            return Err(Failure::new(FailureKind::ResultGone, message).into());
        }
        let (policy, limits) = (&self.config.source.address_policy, CloneLimits::from(&self.config.source));
        let forge = forge::connect(settings, url, policy)?;
        let forge = forge.ok_or_else(|| no_forge(format!("{url} is no repository of its forge.")))?;
        let request = RemoteRequest { url, token: &settings.token, policy, limits: &limits, git_dir: &git_dir };
        let remote = Remote::open(request, &snapshots).await?;
        let cloned = Checkpoint::read(self.db.checkpoint(&task.id).await?).fetched.and_then(|fetched| fetched.branch);
        let heads = remote.heads(cloned.as_ref(), &known.branch).await?;
        known.base = Some(heads.base.to_string());
        let branch = Branch { name: known.branch.clone(), base: heads.base.to_string() };
        let found = forge.find(&branch).await?;
        let is_foreign = heads.own_tip.as_ref().is_some_and(|tip| known.commits.iter().all(|own| own.commit != *tip));
        match found {
            // Closed or merged, or somebody goes on with it: it is out of our hands.
            Some(found) if !found.is_open || is_foreign => {
                if task.turn > known.commits.last().map_or(task.turn, |own| own.turn) {
                    self.say_left_out(task, found.is_open).await?;
                }
                return Ok(opened(known, found));
            }
            None if is_foreign => return Err(taken(&known.branch).into()),
            _ => {}
        }
        let left_out = self.db.left_out(&task.id).await?.name();
        if !is_up_to_date(known, &heads, task.turn, &left_out)
            && let Some(obstacle) = self.push(task, settings, &remote, &heads, known).await?
        {
            return Ok(match (obstacle, found) {
                // What a turn did may leave nothing to add to an open request.
                (PullRequestState::NothingToPublish, Some(found)) => opened(known, found),
                (obstacle, _) => obstacle,
            });
        }
        let found = match found {
            Some(found) => found,
            None => self.open(task, settings, &*forge, branch).await?,
        };
        Ok(opened(known, found))
    }

    /// Makes the branch what it should be, or says what is in the way.
    async fn push(
        &self,
        task: &Task,
        settings: &Forge,
        remote: &Remote<'_>,
        heads: &Heads,
        known: &mut PullRequest,
    ) -> anyhow::Result<Option<PullRequestState>> {
        let earlier = earlier_turn(known, heads, task.turn);
        let place = match &earlier {
            None => {
                let tip = remote.fetch(heads.base.as_str(), 1).await?;
                Place { after: tip.clone(), onto: tip }
            }
            // Each turn is a commit; before the first one of them stands that of the other branch.
            Some(own) => {
                let after = remote.fetch(&known.branch, known.commits.len() + 1).await?;
                Place { after, onto: own.onto.clone() }
            }
        };
        let folder = self.data_dir.task(&task.id);
        let author = Author { name: settings.author_name.clone(), email: settings.author_email.clone() };
        let message = redact::mask(&forge_text::commit_message(task, settings.co_author.as_deref())).into_owned();
        let at = place.clone();
        let draft = move || draft(&folder.publish(), &folder.git(), &at, &author, &message);
        let (commit, changes) = match blocking::run(draft).await?? {
            Drafted::Commit { commit, changes } => (commit, changes),
            Drafted::Conflict { files } => return Ok(Some(PullRequestState::Conflict { files: some_of(files) })),
            Drafted::Nothing => return Ok(Some(PullRequestState::NothingToPublish)),
            Drafted::HoldsSecret { files } => return Err(holds_secret(files).into()),
        };
        let waiting: BTreeSet<String> = changes
            .iter()
            .filter(|change| change.needs_a_yes())
            .map(|Change { path, .. }| String::from_utf8_lossy(path).into_owned())
            .collect();
        if !waiting.is_empty() && !known.is_confirmed {
            return Ok(Some(PullRequestState::NeedsConfirmation { files: some_of(waiting) }));
        }
        // Whoever finds this commit on the branch later knows that it is ours.
        let after = earlier.map(|own| own.commit);
        let left_out = self.db.left_out(&task.id).await?.name();
        known.commits.push(OwnCommit { commit: commit.clone(), onto: place.onto, turn: task.turn, after, left_out });
        let too_many = known.commits.len().saturating_sub(MAX_COMMITS);
        known.commits.drain(..too_many);
        self.db.note_publishing(&task.id, known.clone()).await?;
        remote.push(&commit, &known.branch, heads.own_tip.as_deref()).await?;
        Ok(None)
    }

    async fn say_left_out(&self, task: &Task, is_open: bool) -> Result<(), DbError> {
        let why = if is_open { "somebody else goes on with its branch" } else { "it is closed or merged" };
        let message =
            format!("The changes of this turn are not in the pull request, for {why}. diff.patch holds them.");
        self.db.append_event(&task.id, EventBody::Warning { message }).await
    }

    async fn open(
        &self,
        task: &Task,
        settings: &Forge,
        forge: &dyn forge::Forge,
        branch: Branch,
    ) -> anyhow::Result<Found> {
        let checks = self.db.checks(&task.id).await?;
        let page = self.config.server.public_url.as_ref().map(|url| format!("{url}/tasks/{}", task.id));
        let opening = Opening {
            title: redact::mask(&forge_text::title(task)).into_owned(),
            body: redact::mask(&forge_text::body(task, &checks, page.as_deref())).into_owned(),
            branch,
            draft: settings.draft,
        };
        match forge.open(&opening).await {
            Err(ForgeError::AlreadyThere) => Ok(forge.find(&opening.branch).await?.ok_or(ForgeError::AlreadyThere)?),
            opened => Ok(opened?),
        }
    }
}

/// The forge that a source can be published on; else why there is none.
pub(crate) fn forge_of<'a>(config: &'a Config, source: &'a Source) -> Result<(&'a Forge, &'a RepoUrl), String> {
    match source {
        Source::Archive { .. } => Err("An archive cannot be published: give a Git URL.".to_owned()),
        Source::Git { git_url, .. } => config.forges.of(git_url).map(|forge| (forge, git_url)).ok_or_else(|| {
            format!("No forge is configured for {git_url}: add a section [forge.NAME] with its kind, base_url and token_env.")
        }),
    }
}

fn has_changes(task: &Task) -> bool {
    task.diff.is_some_and(|diff| diff.files > 0)
}

/// Whether the last commit of ours is what stands there, with the result of this turn; one that no other follows has to be on
/// the newest state of the other branch.
fn is_up_to_date(known: &PullRequest, heads: &Heads, turn: u32, left_out: &str) -> bool {
    known.commits.last().is_some_and(|own| {
        let is_placed = own.after.is_some() || own.onto == heads.base_tip;
        Some(&own.commit) == heads.own_tip.as_ref() && own.turn == turn && own.left_out == left_out && is_placed
    })
}

/// The commit of an earlier turn that stands there: this turn becomes a further one, and nobody's look at it is lost.
fn earlier_turn(known: &PullRequest, heads: &Heads, turn: u32) -> Option<OwnCommit> {
    let own = known.commits.iter().rfind(|own| Some(&own.commit) == heads.own_tip.as_ref())?;
    (known.number.is_some() && own.turn < turn).then(|| own.clone())
}

fn opened(known: &mut PullRequest, found: Found) -> PullRequestState {
    known.number = Some(found.number);
    known.url = Some(found.url);
    PullRequestState::Opened
}

fn taken(branch: &str) -> Failure {
    let message = format!(
        "Publishing failed: the branch {branch} is there and holds commits of somebody else. Delete or rename it on the forge, \
         then publish again."
    );
    Failure::new(FailureKind::BranchTaken, message)
}

fn holds_secret(files: BTreeSet<String>) -> Failure {
    let message = format!(
        "Nothing was pushed: a secret of this server, such as an API key, stands in {}. Take it out of the code, and start the \
         task again.",
        some_of(files).join(", ")
    );
    Failure::new(FailureKind::HoldsSecret, message)
}

fn some_of(files: BTreeSet<String>) -> Vec<String> {
    files.into_iter().take(MAX_FILES).collect()
}
