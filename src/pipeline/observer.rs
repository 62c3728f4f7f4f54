//! Reads the event log as it grows and counts what it says.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};
use tokio_util::sync::CancellationToken;

use crate::{
    db::{Db, DbError, TaskFilter},
    domain::{
        event::{Event, EventBody},
        person::Scope,
        task::{Stage, Status},
        task_id::TaskId,
    },
    metrics::Metrics,
};

/// Counts until `shutdown`. What happened before this run of the server is not counted again.
pub(crate) async fn run(db: Db, metrics: Metrics, shutdown: CancellationToken) {
    let mut changes = db.changes();
    let mut observer = Observer { db, metrics, seen: HashMap::new() };
    if let Err(error) = observer.begin().await {
        tracing::warn!(%error, "cannot read where the tasks stand; their figures start late");
    }
    loop {
        let news = tokio::select! {
            news = changes.recv() => news,
            () = shutdown.cancelled() => return,
        };
        // The figures may be a moment late; a step that waits for the database may not.
        tokio::time::sleep(PAUSE).await;
        let looked = match news {
            Ok(id) => observer.look_at(&mut changes, id).await,
            Err(RecvError::Lagged(_)) => observer.look_at_all().await,
            Err(RecvError::Closed) => return,
        };
        if let Err(error) = looked {
            tracing::warn!(%error, "cannot read events; the figures miss some");
        }
    }
}

const PAUSE: Duration = Duration::from_millis(100);
const PAGE: u32 = 100;
const MANY: u32 = 10_000;

struct Observer {
    db: Db,
    metrics: Metrics,
    /// Tasks that have not ended.
    seen: HashMap<TaskId, Seen>,
}

/// How far a task was read.
#[derive(Debug, Default)]
struct Seen {
    seq: u64,
    queued: Option<Timestamp>,
    stage: Option<(Stage, Timestamp)>,
}

impl Observer {
    /// Takes note of where the tasks of an earlier run stand.
    async fn begin(&mut self) -> Result<(), DbError> {
        for id in self.live_tasks().await? {
            let seq = self.db.last_seq(&id).await?;
            let mut seen = Seen { seq, ..Seen::default() };
            for event in self.db.outline(&id).await? {
                match event.body {
                    EventBody::Status { status: Status::Queued, .. } => seen.queued = Some(event.at),
                    EventBody::Stage { stage } => seen.stage = Some((stage, event.at)),
                    _ => {}
                }
            }
            self.seen.insert(id, seen);
        }
        Ok(())
    }

    async fn look_at_all(&mut self) -> Result<(), DbError> {
        let mut ids = self.live_tasks().await?;
        ids.extend(self.seen.keys().cloned());
        for id in ids {
            self.look(&id).await?;
        }
        Ok(())
    }

    /// One task, and those that changed meanwhile, each once.
    async fn look_at(&mut self, changes: &mut Receiver<TaskId>, first: TaskId) -> Result<(), DbError> {
        let mut tasks = BTreeSet::from([first]);
        loop {
            match changes.try_recv() {
                Ok(id) => tasks.insert(id),
                Err(TryRecvError::Lagged(_)) => return self.look_at_all().await,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            };
        }
        for id in tasks {
            self.look(&id).await?;
        }
        Ok(())
    }

    async fn live_tasks(&self) -> Result<Vec<TaskId>, DbError> {
        let mut ids = Vec::new();
        for status in [Status::Queued, Status::Running] {
            let filter = TaskFilter { status: Some(status), ..TaskFilter::new(Scope::All, MANY) };
            ids.extend(self.db.tasks(filter).await?.into_iter().map(|task| task.id));
        }
        Ok(ids)
    }

    /// Where to begin with a task that is not among the live ones: with its last turn. None if the event that is news is a
    /// remark on a task that was counted to its end.
    async fn beginning(&self, id: &TaskId) -> Result<Option<u64>, DbError> {
        let outline = self.db.outline(id).await?;
        let turn = outline.iter().rposition(|event| matches!(event.body, EventBody::Turn { .. })).unwrap_or(0);
        let end = outline.iter().skip(turn).find(|event| ends_the_task(event));
        let is_remark = match end {
            Some(end) => self.db.last_seq(id).await? > end.seq,
            None => false,
        };
        let first = outline.get(turn).map_or(1, |event| event.seq);
        Ok((!is_remark).then_some(first.saturating_sub(1)))
    }

    async fn look(&mut self, id: &TaskId) -> Result<(), DbError> {
        if !self.seen.contains_key(id) {
            let Some(seq) = self.beginning(id).await? else { return Ok(()) };
            self.seen.insert(id.clone(), Seen { seq, ..Seen::default() });
        }
        loop {
            let seen = self.seen.entry(id.clone()).or_default();
            let events = self.db.events_after(id, seen.seq, PAGE).await?;
            let Some(last) = events.last() else { return Ok(()) };
            seen.seq = last.seq;
            for event in &events {
                count(&self.metrics, seen, event);
            }
            if events.iter().any(ends_the_task) {
                self.seen.remove(id);
                return Ok(());
            }
            if events.len() < PAGE as usize {
                return Ok(());
            }
        }
    }
}

fn count(metrics: &Metrics, seen: &mut Seen, event: &Event) {
    match &event.body {
        EventBody::Status { status: Status::Queued, .. } => seen.queued = Some(event.at),
        EventBody::Status { status: Status::Running, .. } => {
            if let Some(queued) = seen.queued.take() {
                metrics.task_started(between(queued, event.at));
            }
        }
        EventBody::Status { status, failure } => {
            if let Some((stage, entered)) = seen.stage.take() {
                metrics.stage_ended(stage, between(entered, event.at));
            }
            metrics.task_ended(*status, failure.as_ref().map(|failure| failure.kind));
        }
        EventBody::Stage { stage } => {
            if let Some((before, entered)) = seen.stage.replace((*stage, event.at)) {
                metrics.stage_ended(before, between(entered, event.at));
            }
        }
        EventBody::ModelReplied { usage, duration_ms, .. } => {
            metrics.model_answered(*usage, Duration::from_millis(*duration_ms));
        }
        EventBody::Critique { usage, .. } => metrics.model_used(*usage),
        _ => {}
    }
}

fn between(start: Timestamp, end: Timestamp) -> Duration {
    // The wall clock may have been set back in between.
    end.duration_since(start).try_into().unwrap_or_default()
}

fn ends_the_task(event: &Event) -> bool {
    matches!(&event.body, EventBody::Status { status, .. } if status.is_final())
}
