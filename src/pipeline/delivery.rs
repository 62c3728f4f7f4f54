//! The result of a task as commits: a repository of the server's own that people fetch from, and a bundle. It is made when
//! somebody asks for it, and lies beside the task as long as its changes do.

use std::{path::PathBuf, sync::Arc};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{checkpoint::Checkpoint, ending::failure_of, publisher::forge_of};
use crate::{
    archive::{self, UnpackLimits},
    blocking,
    config::{AUTHOR, Config, EMAIL},
    data_dir::{DataDir, TaskDir, make_private_dir},
    db::{Db, DbError},
    domain::{
        choice::LeftOut,
        failure::Failure,
        forge_text,
        pull_request::branch_of,
        source::{GitRef, Source},
        task::Task,
        task_id::TaskId,
    },
    git::{self, Author, Beginning, CloneLimits, CloneRequest, KeptChanges, Note, SnapshotLimits, write_bundle},
    redact,
    remove_tree::remove_tree,
};

/// Makes one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    db: Db,
    config: Arc<Config>,
    data_dir: DataDir,
    slot: Arc<Semaphore>,
}

/// A repository with one branch.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    pub(crate) git_dir: PathBuf,
    pub(crate) branch: String,
    /// The commit of the source that it stands on, where others have that as well.
    pub(crate) base: Option<GitRef>,
}

/// Why there is nothing to fetch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDelivered {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("The task has not ended yet. Wait for its result.")]
    NotEnded,
    #[error("The task changed nothing, so there is nothing to fetch.")]
    NothingChanged,
    #[error(
        "The changes of the task are kept no longer ([retention] uploads_days), so no commit can be made of them. diff.patch may \
         still be there."
    )]
    Gone,
    #[error("{}", .0.message)]
    Failed(Failure),
}

/// What a result is made of.
struct Order {
    task: Task,
    folder: TaskDir,
    commit: Option<GitRef>,
    note: Note,
    left_out: LeftOut,
    /// Another one for everything else that could come of the task.
    name: String,
}

impl Delivery {
    pub(crate) fn new(db: Db, config: Arc<Config>, data_dir: DataDir) -> Self {
        Self { db, config, data_dir, slot: Arc::new(Semaphore::new(1)) }
    }

    /// Whether there may be something to fetch: without a look at what it takes.
    pub(crate) fn is_likely(task: &Task, folder: &TaskDir) -> bool {
        task.status.is_final() && has_changes(task) && folder.changes().exists()
    }

    /// The result, as it is now. Who goes away does not keep it from being made: the next one finds it.
    pub(crate) async fn repository(&self, id: &TaskId) -> Result<Delivered, NotDelivered> {
        let order = self.order(id).await?;
        let delivered = order.delivered();
        if !delivered.git_dir.exists() {
            let this = self.clone();
            let making = tokio::spawn(async move { this.make(order).await });
            making.await.map_err(|error| failed(&error.into()))??;
        }
        Ok(delivered)
    }

    /// A file that `git fetch` and `git clone` read.
    pub(crate) async fn bundle(&self, id: &TaskId) -> Result<PathBuf, NotDelivered> {
        let Delivered { git_dir, branch, base } = self.repository(id).await?;
        let bundle = git_dir.with_extension("bundle");
        if !bundle.exists() {
            let draft = tempfile::Builder::new().prefix("bundle").tempdir_in(self.data_dir.task(id).delivery());
            let draft = draft.map_err(|error| failed(&error.into()))?;
            let file = draft.path().join("draft");
            let written = write_bundle(&git_dir, &branch, base.as_ref().map(GitRef::as_str), &file).await;
            written.and_then(|()| std::fs::rename(&file, &bundle)).map_err(|error| failed(&error.into()))?;
        }
        Ok(bundle)
    }

    async fn order(&self, id: &TaskId) -> Result<Order, NotDelivered> {
        let task = self.db.task(id).await?;
        if !task.status.is_final() {
            return Err(NotDelivered::NotEnded);
        }
        if !has_changes(&task) {
            return Err(NotDelivered::NothingChanged);
        }
        let folder = self.data_dir.task(id);
        let changes = folder.changes();
        let name_of_changes = move || KeptChanges::open(&changes)?.name();
        let named = blocking::run(name_of_changes).await.map_err(|error| failed(&error.into()))?;
        let Ok(changes) = named else { return Err(NotDelivered::Gone) };
        if matches!(task.source, Source::Archive { .. }) && !folder.upload().exists() {
            return Err(NotDelivered::Gone);
        }
        let commit = Checkpoint::read(self.db.checkpoint(id).await?).fetched.and_then(|fetched| fetched.commit);
        let note = self.note(&task);
        let Note { author, message, at } = &note;
        let left_out = self.db.left_out(id).await?;
        let chosen = left_out.name();
        let made_of = format!("{commit:?} {changes} {chosen} {at} {author:?} {message}");
        let name = HEXLOWER.encode(&Sha256::digest(made_of)[..8]);
        Ok(Order { task, folder, commit, note, left_out, name })
    }

    /// By whom, why and when: as in the pull request, if there is a forge.
    fn note(&self, task: &Task) -> Note {
        let forge = forge_of(&self.config, &task.source).ok().map(|(forge, _)| forge);
        let author = match forge {
            Some(forge) => Author { name: forge.author_name.clone(), email: forge.author_email.clone() },
            None => Author { name: AUTHOR.to_owned(), email: EMAIL.to_owned() },
        };
        let message = forge_text::commit_message(task, forge.and_then(|forge| forge.co_author.as_deref()));
        let message = format!("{}\n", redact::mask(&message));
        Note { author, message, at: task.finished_at.unwrap_or(task.created_at) }
    }

    async fn make(&self, order: Order) -> Result<(), NotDelivered> {
        let Ok(_one_at_a_time) = self.slot.acquire().await else { return Err(NotDelivered::NotEnded) };
        if order.delivered().git_dir.exists() {
            return Ok(());
        }
        let made = self.made(&order).await;
        let room = order.folder.delivery();
        for left in ["code", "draft.git"] {
            if let Err(error) = remove_tree(&room.join(left)).await {
                tracing::warn!(%error, "what a delivery was made from stays behind");
            }
        }
        made.map_err(|error| failed(&error))
    }

    async fn made(&self, order: &Order) -> anyhow::Result<()> {
        let settings = &self.config.source;
        let (room, upload) = (order.folder.delivery(), order.folder.upload());
        // What was delivered of another turn goes.
        remove_tree(&room).await?;
        make_private_dir(&room)?;
        let (code, draft) = (room.join("code"), room.join("draft.git"));
        if let Source::Git { git_url, git_ref } = &order.task.source {
            let request = CloneRequest {
                url: git_url,
                git_ref: order.commit.as_ref().or(git_ref.as_ref()),
                into: &code,
                token: settings.tokens.of(git_url),
                policy: &settings.address_policy,
                limits: &CloneLimits::from(settings),
            };
            git::clone(request, |_| ()).await?;
        }
        let (unpacking, limits) = (UnpackLimits::from(settings), SnapshotLimits::from(settings));
        let left_out = order.left_out.clone();
        let (note, changes, done) = (order.note.clone(), order.folder.changes(), order.delivered());
        let (source, began, commit) = (order.task.source.clone(), order.task.created_at, order.commit.clone());
        let put_together = move || -> anyhow::Result<()> {
            let beginning = match (&source, commit) {
                (Source::Git { .. }, Some(commit)) => Beginning::of_clone(&code, &commit, &draft)?,
                (Source::Git { git_url, .. }, None) => anyhow::bail!("nobody knows the commit of {git_url}"),
                (Source::Archive { name, .. }, _) => {
                    archive::unpack(&upload, &code, &unpacking)?;
                    let message = format!("Source: {}\n", forge_text::plain_line(name));
                    let note = Note { author: note.author.clone(), message, at: began };
                    Beginning::of_files(&code, &limits, &draft, &note)?
                }
            };
            beginning.finish(&KeptChanges::open(&changes)?.choose(&left_out)?, &note, &done.branch)?;
            Ok(std::fs::rename(&draft, &done.git_dir)?)
        };
        blocking::run(put_together).await?
    }
}

impl Order {
    fn delivered(&self) -> Delivered {
        Delivered {
            git_dir: self.folder.delivery().join(&self.name).with_added_extension("git"),
            branch: branch_of(&self.task.id),
            base: self.commit.clone(),
        }
    }
}

fn has_changes(task: &Task) -> bool {
    task.diff.is_some_and(|diff| diff.files > 0)
}

fn failed(error: &anyhow::Error) -> NotDelivered {
    NotDelivered::Failed(failure_of(error))
}
