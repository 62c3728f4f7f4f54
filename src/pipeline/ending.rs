//! From whatever broke a stage off to the failure a person reads.

use std::io;

use super::gate::disk_full;
use crate::{
    archive::ArchiveError,
    db::DbError,
    domain::failure::{Failure, FailureKind},
    forge::ForgeError,
    git::{CloneError, RemoteError},
    sandbox::SandboxError,
};

/// Failures of the work keep their own words. Failures of our machinery are logged here, once, with the cause.
pub(super) fn failure_of(error: &anyhow::Error) -> Failure {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.clone();
        }
        if let Some(error) = cause.downcast_ref::<CloneError>() {
            return error.failure();
        }
        if let Some(error) = cause.downcast_ref::<RemoteError>() {
            return error.failure();
        }
        if let Some(error) = cause.downcast_ref::<ForgeError>() {
            return error.failure();
        }
        if let Some(error) = cause.downcast_ref::<ArchiveError>() {
            return error.failure();
        }
        if let Some(error) = cause.downcast_ref::<SandboxError>() {
            return Failure::new(sandbox_kind(error), error.to_string());
        }
        if is_disk_full(cause) {
            return disk_full();
        }
    }
    tracing::error!(cause = format!("{error:#}"), "a stage broke off");
    Failure::new(FailureKind::Internal, "The server could not go on with this task; its log has the cause. Try again.")
}

fn sandbox_kind(error: &SandboxError) -> FailureKind {
    match error {
        SandboxError::Unavailable { .. } => FailureKind::DockerUnavailable,
        SandboxError::Restarted => FailureKind::DockerRestart,
        SandboxError::ImageMissing { .. } => FailureKind::ImageMissing,
        SandboxError::NetworkNotCut(_) => FailureKind::NetworkNotCut,
        SandboxError::Refused { .. } | SandboxError::Ownership(_) => FailureKind::Internal,
    }
}

fn is_disk_full(cause: &(dyn std::error::Error + 'static)) -> bool {
    let io = cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::StorageFull);
    io || cause.downcast_ref::<DbError>().is_some_and(DbError::is_disk_full)
}
