//! Git: fetching a repository and pushing a branch with the `git` program; snapshots and patches of the agent's tree with libgit2.

mod branch;
mod changes;
mod choice;
mod clone;
mod clone_error;
#[cfg(test)]
mod clone_tests;
mod command;
mod delivery;
mod earlier_work;
#[cfg(test)]
#[path = "../../tests/it/git_server.rs"]
#[expect(dead_code, reason = "its login is for the integration tests")]
mod git_server;
#[cfg(test)]
#[path = "../../tests/it/hostile_server.rs"]
#[expect(dead_code, reason = "some of its behaviour is for the integration tests")]
mod hostile_server;
mod ignore_rules;
mod kept_files;
mod named_files;
mod patch;
mod progress;
mod proxy;
mod refs;
mod remote;
mod remote_error;
mod reserved_names;
mod result_tree;
mod serve;
mod snapshot;
#[cfg(test)]
mod snapshot_tests;
mod stat_cache;
mod walk;

pub(crate) use branch::{Author, Drafted, Place, draft};
pub(crate) use changes::KeptChanges;
pub(crate) use clone::{CloneLimits, CloneRequest, clone};
pub(crate) use clone_error::CloneError;
pub(crate) use delivery::{Beginning, Note};
pub(crate) use kept_files::{FileLines, KeptFile, Moment, ToKeep, kept_beginning, kept_bytes, kept_file};
pub(crate) use named_files::NamedFiles;
pub(crate) use refs::{RemoteRefs, list_refs};
pub(crate) use remote::{Heads, Remote, RemoteRequest};
pub(crate) use remote_error::RemoteError;
pub(crate) use result_tree::ResultTree;
pub(crate) use serve::{FetchAnswer, FetchCall, answer_fetch, write_bundle};
pub(crate) use snapshot::{Snapshot, SnapshotError, SnapshotLimits, Snapshots, TreeFile};
