//! Whether a task may start now: Docker answers, and there is room on the disk and in memory.

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    obstacle::{Obstacle, Obstacles},
    queue::Queue,
};
use crate::{
    config::{Config, EngineCheck},
    data_dir::DataDir,
    db::{Db, Ending},
    domain::{
        failure::{Failure, FailureKind},
        person::Scope,
    },
    host, llm,
    sandbox::{Engine, EngineFacts},
};

/// Looks, and tells everybody what it saw. Clones share what they see.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    queue: Queue,
    config: Arc<Config>,
    data_dir: DataDir,
    db: Db,
    models: Arc<llm::Models>,
    obstacles: watch::Sender<Obstacles>,
    /// Of an old engine.
    warned: Once,
}

/// For one word of the daemon.
const DOCKER_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks while nothing is in the way, and while memory or disk are short.
const PAUSE: Duration = Duration::from_secs(2);
/// Between two looks while Docker is away: from the first, doubling, to the second.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Between two looks at the disk for the sake of running tasks.
const GUARD_PAUSE: Duration = Duration::from_secs(1);

pub(super) fn disk_full() -> Failure {
    Failure::new(
        FailureKind::DiskFull,
        "The disk of the server is full. Make room in the data directory, then start the task again.",
    )
}

impl Gate {
    pub(crate) fn new(
        engine: Engine,
        queue: Queue,
        config: Arc<Config>,
        data_dir: DataDir,
        db: Db,
        models: Arc<llm::Models>,
    ) -> Self {
        let (obstacles, _) = watch::channel(Obstacles::from([Obstacle::Starting]));
        Self {
            shared: Arc::new(Shared { engine, queue, config, data_dir, db, models, obstacles, warned: Once::new() }),
        }
    }

    /// What was in the way at the last look, and from then on.
    pub(crate) fn obstacles(&self) -> watch::Receiver<Obstacles> {
        self.shared.obstacles.subscribe()
    }

    /// Looks again and again until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut away = SHORTEST_PAUSE;
        loop {
            let seen = self.look().await;
            let docker_is_away = docker_is_in(&seen);
            let pause = if docker_is_away { away } else { PAUSE };
            away = if docker_is_away { (away * 2).min(LONGEST_PAUSE) } else { SHORTEST_PAUSE };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.shared.queue.task_finished() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Whether Docker did not answer when it was last asked.
    pub(super) fn docker_is_away(&self) -> bool {
        docker_is_in(&self.shared.obstacles.borrow())
    }

    /// Whether so little disk is left that running tasks have to end: a quarter of the reserve.
    pub(super) fn disk_is_full(&self) -> bool {
        match host::disk_space(self.shared.data_dir.path()) {
            Ok(space) => space.free < self.shared.config.queue.disk_reserve(space) / 4,
            Err(_) => false,
        }
    }

    /// Ends running tasks, one a second, while the disk is full: each of them gives its workspace back.
    pub(crate) async fn guard_disk(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = sleep(GUARD_PAUSE) => {}
                () = shutdown.cancelled() => return,
            }
            if self.disk_is_full()
                && let Some(task) = self.shared.queue.break_off_newest(disk_full())
            {
                tracing::warn!(%task, "the disk is full; the task that started last is ended");
            }
        }
    }

    /// What a full disk breaks has many faces; the cause is one.
    pub(super) fn explain(&self, ending: Ending) -> Ending {
        use FailureKind::{AgentCrashed, AgentExited, Internal};
        match ending {
            Ending::Failed(Failure { kind: AgentCrashed | AgentExited | Internal, .. }) if self.disk_is_full() => {
                Ending::Failed(disk_full())
            }
            other => other,
        }
    }

    /// Waits until nothing is in everybody's way. Always looks for itself first.
    pub(super) async fn open(&self) {
        let is_open = |seen: &Obstacles| !seen.iter().any(Obstacle::stops_all);
        while !is_open(&self.look().await) {
            let mut obstacles = self.obstacles();
            if obstacles.wait_for(is_open).await.is_err() {
                return;
            }
        }
    }

    /// Waits until Docker answers, whatever else is in the way. Always looks for itself first.
    pub(super) async fn docker_answers(&self) {
        self.look().await;
        // Fails when there is no gate any more, and then nobody waits.
        let _ = self.obstacles().wait_for(|seen| !docker_is_in(seen)).await;
    }

    async fn look(&self) -> Obstacles {
        let shared = &self.shared;
        let docker = match timeout(DOCKER_PATIENCE, shared.engine.facts()).await {
            Ok(Ok(facts)) => self.old_engine(&facts),
            Ok(Err(error)) => Some(Obstacle::Docker { cause: error.to_string() }),
            Err(_) => Some(Obstacle::Docker { cause: format!("no answer within {} s", DOCKER_PATIENCE.as_secs()) }),
        };
        let for_all = [docker, self.disk(), self.day_budget().await, self.memory()].into_iter().flatten();
        let seen: Obstacles = for_all.chain(shared.models.refused().into_iter().map(Obstacle::Provider)).collect();
        shared.obstacles.send_if_modified(|known| {
            let is_news = *known != seen;
            if is_news {
                tell(known, &seen);
                *known = seen.clone();
            }
            is_news
        });
        seen
    }

    /// The log hears of it once.
    fn old_engine(&self, facts: &EngineFacts) -> Option<Obstacle> {
        let warnings = facts.warnings().join(" ");
        match self.shared.config.sandbox.engine_check {
            _ if warnings.is_empty() => None,
            EngineCheck::Strict => Some(Obstacle::OldEngine { warnings }),
            EngineCheck::Warn => {
                self.shared.warned.call_once(|| tracing::warn!("{warnings}"));
                None
            }
        }
    }

    async fn day_budget(&self) -> Option<Obstacle> {
        let limits = self.shared.config.agent.day_limits;
        if limits.are_none() {
            return None;
        }
        limits.reached(&self.shared.db.usage_today(Scope::All).await.ok()?).map(Obstacle::DayBudget)
    }

    fn disk(&self) -> Option<Obstacle> {
        let space = host::disk_space(self.shared.data_dir.path()).ok()?;
        let reserve = self.shared.config.queue.disk_reserve(space);
        (space.free < reserve).then_some(Obstacle::Disk { free: space.free, reserve })
    }

    fn memory(&self) -> Option<Obstacle> {
        let free = host::available_memory()?;
        let needed = u64::try_from(self.shared.config.sandbox.memory_bytes).unwrap_or_default();
        (free < needed && self.shared.queue.holds_tasks()).then_some(Obstacle::Memory { free, needed })
    }
}

fn docker_is_in(seen: &[Obstacle]) -> bool {
    seen.iter().any(|obstacle| matches!(obstacle, Obstacle::Docker { .. }))
}

/// The log hears of each obstacle once when it comes and once when it goes, however its figures change.
fn tell(known: &[Obstacle], seen: &[Obstacle]) {
    let is_in = |list: &[Obstacle], kind| list.iter().any(|obstacle| obstacle.kind() == kind);
    for obstacle in seen.iter().filter(|obstacle| !is_in(known, obstacle.kind())) {
        match obstacle {
            Obstacle::Docker { cause } => tracing::warn!(cause, "no task starts: Docker does not answer"),
            // The model room said so when it happened.
            Obstacle::Provider(_) => {}
            other => tracing::warn!("no task starts: {other}"),
        }
    }
    for obstacle in known.iter().filter(|obstacle| !is_in(seen, obstacle.kind()) && **obstacle != Obstacle::Starting) {
        tracing::info!(obstacle = obstacle.kind(), "no longer in the way of tasks");
    }
}
