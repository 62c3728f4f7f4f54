//! The API for programs. Handlers carry their description; `openapi` gathers it.

mod check_body;
pub(super) mod events;
pub(super) mod export;
pub(super) mod feedback;
pub(super) mod health;
pub(super) mod messages;
pub(super) mod metrics;
pub(super) mod openapi;
pub(super) mod pull_request;
pub(super) mod remarks;
pub(super) mod selection;
pub(super) mod shares;
mod task_body;
pub(super) mod tasks;
mod turn_body;
pub(super) mod usage;
