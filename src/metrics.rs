//! What the server counts, in the text form that Prometheus reads. Only this room knows `prometheus-client`.
//!
//! Counters start at zero with the server; gauges are set when somebody asks.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};

use crate::domain::{
    failure::FailureKind,
    task::{Stage, Status},
    usage::Usage,
};

/// The media type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    shared: Arc<Shared>,
}

/// What is only known when it is looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readings {
    pub(crate) tasks: Vec<(Status, u64)>,
    pub(crate) docker_is_up: bool,
    pub(crate) disk_free_bytes: u64,
    pub(crate) disk_reserve_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) open_files: u64,
    /// Parts of workspaces that could not be removed.
    pub(crate) leaks: u64,
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

#[derive(Debug)]
struct Shared {
    registry: Registry,
    tasks: Family<Labels<1>, Gauge>,
    ended: Family<Labels<2>, Counter>,
    queue_wait: Histogram,
    stages: Family<Labels<1>, Histogram, fn() -> Histogram>,
    steps: Counter,
    model_seconds: Histogram,
    model_errors: Family<[(&'static str, String); 2], Counter>,
    tokens: Family<Labels<1>, Counter>,
    cost_usd: Counter<f64, AtomicU64>,
    leftovers: Counter,
    docker_up: Gauge,
    disk_free: Gauge,
    disk_reserve: Gauge,
    resident: Gauge,
    open_files: Gauge,
    leaks: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let to = &mut registry;
        let shared = Shared {
            tasks: add(to, "atelier_tasks", "Tasks by status", Family::default()),
            ended: add(to, "atelier_tasks_ended", "Tasks that ended, by status and reason", Family::default()),
            queue_wait: add(to, "atelier_queue_wait_seconds", "From submission to the start", seconds()),
            stages: add(
                to,
                "atelier_stage_seconds",
                "How long stages took",
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            steps: add(to, "atelier_steps", "Answers of models", Counter::default()),
            model_seconds: add(
                to,
                "atelier_model_answer_seconds",
                "From question to answer, tries included",
                seconds(),
            ),
            model_errors: add(
                to,
                "atelier_model_errors",
                "Tries without an answer, by provider and kind",
                Family::default(),
            ),
            tokens: add(to, "atelier_tokens", "Tokens, by what they were", Family::default()),
            cost_usd: add(to, "atelier_cost_usd", "What answers cost, of models with a price", Counter::default()),
            leftovers: add(
                to,
                "atelier_leftovers_removed",
                "Containers and networks no task needed",
                Counter::default(),
            ),
            docker_up: add(to, "atelier_docker_up", "Whether the Docker daemon answers", Gauge::default()),
            disk_free: add(to, "atelier_disk_free_bytes", "Free where the data directory lies", Gauge::default()),
            disk_reserve: add(
                to,
                "atelier_disk_reserve_bytes",
                "Below that much free disk no task starts",
                Gauge::default(),
            ),
            resident: add(to, "process_resident_memory_bytes", "Memory of the server in use", Gauge::default()),
            open_files: add(to, "process_open_fds", "Open files of the server", Gauge::default()),
            leaks: add(to, "atelier_leaks", "Parts of workspaces that could not be removed", Gauge::default()),
            registry,
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn task_started(&self, waited: Duration) {
        self.shared.queue_wait.observe(waited.as_secs_f64());
    }

    pub(crate) fn stage_ended(&self, stage: Stage, took: Duration) {
        self.shared.stages.get_or_create(&[("stage", stage.as_str())]).observe(took.as_secs_f64());
    }

    pub(crate) fn task_ended(&self, status: Status, reason: Option<FailureKind>) {
        let reason = reason.map_or("", FailureKind::as_str);
        self.shared.ended.get_or_create(&[("status", status.as_str()), ("reason", reason)]).inc();
    }

    pub(crate) fn model_answered(&self, usage: Usage, took: Duration) {
        self.shared.steps.inc();
        self.shared.model_seconds.observe(took.as_secs_f64());
        self.model_used(usage);
    }

    /// What was paid beside the steps, such as for a critique.
    pub(crate) fn model_used(&self, usage: Usage) {
        for (what, count) in
            [("input", usage.input_tokens), ("cached_input", usage.cached_tokens), ("output", usage.output_tokens)]
        {
            self.shared.tokens.get_or_create(&[("kind", what)]).inc_by(count);
        }
        self.shared.cost_usd.inc_by(usage.cost_usd.unwrap_or_default());
    }

    /// A try that brought no answer; `kind` is one of few words.
    pub(crate) fn model_failed(&self, provider: &str, kind: &'static str) {
        let labels = [("provider", provider.to_owned()), ("kind", kind.to_owned())];
        self.shared.model_errors.get_or_create(&labels).inc();
    }

    pub(crate) fn leftovers_removed(&self, count: usize) {
        self.shared.leftovers.inc_by(count as u64);
    }

    /// Everything counted so far, with these readings.
    pub(crate) fn text(&self, readings: &Readings) -> Result<String, fmt::Error> {
        let shared = &self.shared;
        for (status, count) in &readings.tasks {
            shared.tasks.get_or_create(&[("status", status.as_str())]).set(gauge(*count));
        }
        shared.docker_up.set(readings.docker_is_up.into());
        shared.disk_free.set(gauge(readings.disk_free_bytes));
        shared.disk_reserve.set(gauge(readings.disk_reserve_bytes));
        shared.resident.set(gauge(readings.resident_bytes));
        shared.open_files.set(gauge(readings.open_files));
        shared.leaks.set(gauge(readings.leaks));
        let mut text = String::new();
        text::encode(&mut text, &shared.registry)?;
        Ok(text)
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// From a fast clean-up to a task that takes all day.
fn seconds() -> Histogram {
    Histogram::new([0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0])
}
