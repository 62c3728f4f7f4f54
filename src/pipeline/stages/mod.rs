//! The stages of a task, a file each, in the order of their use: fetch, setup, agent, collect, verify, publish,
//! clean up.

pub(super) mod agent;
mod aside;
pub(super) mod clean_up;
pub(super) mod collect;
pub(super) mod earlier_work;
mod exit;
pub(super) mod fetch;
pub(super) mod publish;
pub(super) mod setup;
pub(super) mod verify;
mod watch;
