//! What the field's words mean here: tasks, sources, events, messages. No I/O.

pub(crate) mod address;
pub(crate) mod check;
pub(crate) mod confirm_first;
pub(crate) mod conversation;
pub(crate) mod day_budget;
pub(crate) mod event;
pub(crate) mod excerpt;
pub(crate) mod explanation;
pub(crate) mod failure;
pub(crate) mod feedback;
pub(crate) mod forge_text;
pub(crate) mod host_pattern;
pub(crate) mod host_rule;
pub(crate) mod image_pattern;
pub(crate) mod limits;
pub(crate) mod model_name;
pub(crate) mod network_ledger;
pub(crate) mod patch;
pub(crate) mod person;
pub(crate) mod pull_request;
pub(crate) mod reference;
pub(crate) mod share;
pub(crate) mod source;
pub(crate) mod task;
pub(crate) mod task_id;
pub(crate) mod usage;
