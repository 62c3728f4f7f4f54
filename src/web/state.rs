//! What every handler shares. Clones are cheap.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    auth::Gate,
    pages::{
        repository::Lookups,
        settings::{Surveys, Trials},
    },
    share::Visits,
};
use crate::{
    config::Config,
    data_dir::DataDir,
    db::Db,
    llm::Models,
    metrics::Metrics,
    pipeline::{delivery::Delivery, obstacle::Obstacles, publisher::Publisher, queue::Queue},
    sandbox::Engine,
    sign_in::SignIn,
};

/// How the server fares.
#[derive(Debug, Clone)]
pub(crate) struct Vitals {
    /// What keeps tasks from starting, as it was last seen.
    pub(crate) obstacles: watch::Receiver<Obstacles>,
    pub(crate) metrics: Metrics,
    pub(crate) engine: Engine,
    pub(crate) models: Arc<Models>,
}

/// By what people get in, besides their passwords and tokens.
#[derive(Debug)]
pub(crate) struct WaysIn<'a> {
    pub(crate) admin_token: &'a SecretString,
    pub(crate) sign_in: SignIn,
}

#[derive(Clone)]
pub(crate) struct AppState {
    pub(super) db: Db,
    pub(super) queue: Queue,
    pub(super) publisher: Publisher,
    pub(super) delivery: Delivery,
    pub(super) config: Arc<Config>,
    pub(super) data_dir: DataDir,
    pub(super) gate: Arc<Gate>,
    /// Who comes with share links.
    pub(super) visits: Arc<Visits>,
    pub(super) sign_in: SignIn,
    pub(super) vitals: Vitals,
    pub(super) lookups: Lookups,
    pub(super) surveys: Surveys,
    pub(super) trials: Trials,
    /// Cancelled when the server begins to stop: event streams end, submissions are refused.
    pub(super) shutdown: CancellationToken,
}

impl AppState {
    pub(crate) fn new(
        db: Db,
        queue: Queue,
        config: Arc<Config>,
        data_dir: DataDir,
        ways_in: WaysIn<'_>,
        vitals: Vitals,
        shutdown: CancellationToken,
    ) -> Self {
        let behind_tls = config.server.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
        let gate = Arc::new(Gate::new(ways_in.admin_token, behind_tls));
        let publisher = Publisher::new(db.clone(), config.clone(), data_dir.clone());
        let delivery = Delivery::new(db.clone(), config.clone(), data_dir.clone());
        let (visits, lookups) = (Arc::new(Visits::new()), Lookups::default());
        let (surveys, trials) = (Surveys::default(), Trials::default());
        let sign_in = ways_in.sign_in;
        Self {
            db,
            queue,
            publisher,
            delivery,
            config,
            data_dir,
            gate,
            visits,
            sign_in,
            vitals,
            lookups,
            surveys,
            trials,
            shutdown,
        }
    }
}
