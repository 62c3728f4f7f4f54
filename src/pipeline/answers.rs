//! What the issue that began a task is told: where the task can be watched, and what came of it.
//!
//! An answer is looked for on the forge before it is written: a server that is killed in between does not say it twice.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::broadcast::error::RecvError, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    db::{Db, DbError},
    domain::{
        event::EventBody,
        forge_text,
        task::Task,
        task_id::TaskId,
        trigger::{Answer, Trigger},
    },
    forge::{self, ForgeError, Said},
    redact,
};

/// News of a task come in swarms.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two tries while a forge is away: from the first, doubling, to the second.
const SHORTEST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// A clock of a forge may be behind ours.
const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// When a task's forge is asked again, and how long after the try before.
type Waits = HashMap<TaskId, (Instant, Duration)>;

/// Answers until `shutdown`, if there is a forge that begins tasks.
pub(crate) async fn run(db: Db, config: Arc<Config>, shutdown: CancellationToken) {
    if config.forges.iter().all(|forge| forge.webhook.is_none()) {
        return;
    }
    let answers = async {
        let (mut changes, mut waits) = (db.changes(), Waits::new());
        loop {
            if let Err(error) = answer_all(&db, &config, &mut waits).await {
                tracing::warn!(%error, "cannot read which issues are to be told of their tasks");
            }
            let next = waits.values().map(|(at, _)| *at).min();
            let wait = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                news = changes.recv() => if let Err(RecvError::Closed) = news { return },
                () = wait => {}
            }
            tokio::time::sleep(PAUSE).await;
            changes = changes.resubscribe();
        }
    };
    shutdown.run_until_cancelled(Box::pin(answers)).await;
}

async fn answer_all(db: &Db, config: &Config, waits: &mut Waits) -> Result<(), DbError> {
    for (id, trigger, answer) in db.answers_due().await? {
        if waits.get(&id).is_some_and(|(at, _)| *at > Instant::now()) {
            continue;
        }
        let task = db.task(&id).await?;
        match say(config, &task, &trigger, answer).await {
            Ok(()) => {}
            Err(ForgeError::Unavailable(cause)) => {
                let wait = waits.get(&id).map_or(SHORTEST_WAIT, |(_, wait)| (*wait * 2).min(LONGEST_WAIT));
                tracing::warn!(%id, cause, "an issue cannot be told of its task yet");
                waits.insert(id, (Instant::now() + wait, wait));
                continue;
            }
            Err(error) => {
                let message = format!("Issue {} was not told of the task: {error}.", trigger.issue);
                db.append_event(&id, EventBody::Warning { message }).await?;
            }
        }
        waits.remove(&id);
        db.note_answer(&id, answer).await?;
    }
    Ok(())
}

async fn say(config: &Config, task: &Task, trigger: &Trigger, answer: Answer) -> Result<(), ForgeError> {
    let gone = || ForgeError::Refused(format!("[forge.{}] is no longer its forge", trigger.forge));
    let settings = config.forges.named(&trigger.forge).ok_or_else(gone)?;
    let forge = forge::connect(settings, &trigger.repository, &config.source.address_policy)?.ok_or_else(gone)?;
    let mark = format!("<!-- atelier {} {} -->", task.id, answer.as_str());
    let since: Timestamp = task.created_at.checked_sub(SKEW).unwrap_or(task.created_at);
    if forge.has_comment(&Said { issue: trigger.issue, since, text: &mark }).await? {
        return Ok(());
    }
    let page = config.server.public_url.as_ref().map(|url| format!("{url}/tasks/{}", task.id));
    let text = match answer {
        Answer::Begun => forge_text::begun(task, page.as_deref()),
        Answer::Ended => forge_text::ended(task, page.as_deref()),
    };
    forge.comment(trigger.issue, &format!("{}\n{mark}\n", redact::mask(&text))).await
}
