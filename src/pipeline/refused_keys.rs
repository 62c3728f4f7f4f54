//! Tasks whose provider refuses the key wait in the queue. A question of one word finds out when they may go on, so that no
//! task has to fail for it.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Pipeline;
use crate::domain::{person::Scope, task::Status};

/// Between two looks; the models themselves keep from asking too often.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks again while tasks wait, until `shutdown`.
pub(crate) async fn ask_again(pipeline: Pipeline, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(sleep(PAUSE)).await.is_some() {
        let refused = pipeline.models.refused();
        if refused.is_empty() || !matches!(pipeline.db.count_tasks(Scope::All, Status::Queued).await, Ok(1..)) {
            continue;
        }
        for refusal in &refused {
            // What it says is told where the refusal is.
            let _ = pipeline.models.ask_for_a_word(&refusal.asked).await;
        }
        if pipeline.models.refused().len() < refused.len() {
            pipeline.queue.look_again();
        }
    }
}
