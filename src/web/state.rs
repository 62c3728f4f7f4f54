//! What every handler shares. Clones are cheap.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::auth::Gate;
use crate::{config::Config, data_dir::DataDir, db::Db, pipeline::queue::Queue};

/// Asks whether Docker can take a task; the error is the reason why not. Should answer within a second or so: the
/// readiness page and the page of a waiting task ask it.
pub(crate) type DockerCheck = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct AppState {
    pub(super) db: Db,
    pub(super) queue: Queue,
    pub(super) config: Arc<Config>,
    pub(super) data_dir: DataDir,
    pub(super) gate: Arc<Gate>,
    pub(super) docker: DockerCheck,
    /// Cancelled when the server begins to stop: event streams end, submissions are refused.
    pub(super) shutdown: CancellationToken,
}

impl AppState {
    pub(crate) fn new(
        db: Db,
        queue: Queue,
        config: Arc<Config>,
        data_dir: DataDir,
        admin_token: &SecretString,
        docker: DockerCheck,
        shutdown: CancellationToken,
    ) -> Self {
        let behind_tls = config.server.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
        let gate = Arc::new(Gate::new(admin_token, behind_tls));
        Self { db, queue, config, data_dir, gate, docker, shutdown }
    }
}
