//! What keeps tasks from starting, in words.

use std::{fmt, sync::Arc};

use crate::{
    domain::{
        day_budget::DayLimitReached,
        model_name::{ModelName, Models},
    },
    llm::Refusal,
};

/// What is in the way, the most serious first; empty when a task may start.
pub(crate) type Obstacles = Arc<[Obstacle]>;

/// Why no task starts. Its text is for the owner of the server and says what to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Obstacle {
    /// The first look is not over.
    Starting,
    Docker {
        cause: String,
    },
    /// Docker or runc have known holes, and the settings are strict.
    OldEngine {
        warnings: String,
    },
    /// In bytes. Ends by itself when space is freed.
    Disk {
        free: u64,
        reserve: u64,
    },
    /// Ends by itself with the day.
    DayBudget(DayLimitReached),
    /// A provider does not take the key. Only tasks for it wait.
    Provider(Refusal),
    /// In bytes. Only while other tasks run: alone, a task may always try.
    Memory {
        free: u64,
        needed: u64,
    },
}

impl Obstacle {
    /// The name for programs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Docker { .. } => "docker_unavailable",
            Self::OldEngine { .. } => "engine_outdated",
            Self::Disk { .. } => "disk_reserve",
            Self::DayBudget(_) => "day_budget",
            Self::Provider(_) => "key_refused",
            Self::Memory { .. } => "memory",
        }
    }

    /// Whether it keeps a task for this model from starting.
    pub(crate) fn concerns(&self, model: &ModelName) -> bool {
        match self {
            Self::Provider(refusal) => refusal.models.contain(model),
            _ => true,
        }
    }

    /// Whether it is in everybody's way.
    pub(super) fn stops_all(&self) -> bool {
        !matches!(self, Self::Provider(_))
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1024 * 1024;
        match self {
            Self::Starting => formatter.write_str("The server is starting."),
            Self::Docker { .. } => formatter.write_str(
                "Docker does not answer. Tasks are taken and start by themselves once it does; \
                 `atelier doctor` on the server says what to do.",
            ),
            Self::OldEngine { warnings } => write!(
                formatter,
                "No task starts, for [sandbox] engine_check is \"strict\": {warnings} \"warn\" would go on all the same."
            ),
            Self::Disk { free, reserve } => write!(
                formatter,
                "The disk of the server is nearly full: {} MB are free, {} MB are kept in reserve. \
                 Tasks start by themselves once there is room.",
                free / MIB,
                reserve / MIB
            ),
            Self::DayBudget(reached) => write!(formatter, "{reached} Tasks start by themselves then."),
            Self::Provider(refusal) => {
                let which = match &refusal.models {
                    Models::Of { provider } => format!("models of {provider}"),
                    Models::One(model) => model.to_string(),
                };
                write!(
                    formatter,
                    "{}. New tasks for {which} wait and start by themselves once it answers.",
                    refusal.reason
                )
            }
            Self::Memory { free, needed } => write!(
                formatter,
                "{} MB of memory are free and a task may need {} MB; the next one starts when a running one has ended.",
                free / MIB,
                needed / MIB
            ),
        }
    }
}
