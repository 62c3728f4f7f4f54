//! The files people get: logs, the patch, what the agent put into its output folder.

mod beneath;
mod capped_log;
mod collect;
mod stored;

pub(crate) use capped_log::CappedLog;
pub(crate) use collect::collect;
pub(crate) use stored::{Artifact, list, open};
