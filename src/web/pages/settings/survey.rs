//! What takes long to find out of the machine: looked at aside, and shown as it was at the last look.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use crate::{
    pipeline::disk_use::DiskUse,
    sandbox::{EngineFacts, ImageOnDisk},
    wall_clock,
    web::AppState,
};

/// One look. What could not be found out has its reason.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) at: Timestamp,
    pub(super) engine: Result<EngineFacts, String>,
    pub(super) images: Result<Vec<ImageOnDisk>, String>,
    pub(super) disk: Result<DiskUse, String>,
}

/// The last look, and whether a new one is under way. Clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Surveys {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    latest: Option<Arc<Survey>>,
    /// When the last look ended.
    ended: Option<Instant>,
    is_under_way: bool,
}

/// A look that is not older is not repeated.
const FRESH: Duration = Duration::from_secs(20);
const ENGINE_PATIENCE: Duration = Duration::from_secs(5);

impl Surveys {
    /// The last look. Begins a new one when that is too old, and does not wait for it.
    pub(super) fn latest(&self, state: &AppState) -> Option<Arc<Survey>> {
        let mut known = self.known();
        if !known.is_under_way && known.ended.is_none_or(|ended| ended.elapsed() > FRESH) {
            known.is_under_way = true;
            let (surveys, state) = (self.clone(), state.clone());
            tokio::spawn(async move {
                let survey = Survey::of(&state).await;
                let mut known = surveys.known();
                *known = Known { latest: Some(Arc::new(survey)), ended: Some(Instant::now()), is_under_way: false };
            });
        }
        known.latest.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Survey {
    async fn of(state: &AppState) -> Self {
        let engine = &state.vitals.engine;
        let late = || format!("no answer within {} s; `atelier doctor` looks closer", ENGINE_PATIENCE.as_secs());
        let (facts, images, disk) = tokio::join!(
            timeout(ENGINE_PATIENCE, engine.facts()),
            timeout(ENGINE_PATIENCE, engine.images()),
            DiskUse::measured(&state.data_dir, &state.db, state.config.retention),
        );
        Self {
            at: wall_clock::now(),
            engine: facts.map_or_else(|_| Err(late()), |facts| facts.map_err(|error| error.to_string())),
            images: images.map_or_else(|_| Err(late()), |images| images.map_err(|error| error.to_string())),
            disk: disk.map_err(|error| error.to_string()),
        }
    }
}
