//! Work that would hold up the async threads (libgit2, unzipping, hashing) runs on a thread of its own.

/// Runs `work` on the blocking pool, inside the caller's tracing span. A caller that goes away does not stop it.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BlockingError> {
    let span = tracing::Span::current();
    Ok(tokio::task::spawn_blocking(move || span.in_scope(work)).await?)
}

/// The work panicked, or the runtime is shutting down: our fault, never the task's.
#[derive(Debug, thiserror::Error)]
#[error("background work broke off: {0}; the server's log has the cause")]
pub(crate) struct BlockingError(#[from] tokio::task::JoinError);
