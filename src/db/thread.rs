//! A thread that owns one connection and runs the closures it is sent, in order.

use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::{DbError, migrations};

/// A handle to the thread; the thread ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub(super) struct ConnectionThread {
    jobs: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Another process (a backup, a person with `sqlite3`) may hold the lock for a while.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

impl ConnectionThread {
    /// Opens the connection on its own thread; the writer also migrates.
    pub(super) async fn start(path: &Path, access: Access) -> Result<Self, DbError> {
        let path = path.to_owned();
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, is_open) = oneshot::channel();
        let name = match access {
            Access::Read => "db-reader",
            Access::Write => "db-writer",
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || match open(&path, access) {
                Err(error) => drop(opened.send(Err(error))),
                Ok(mut connection) => {
                    let _ = opened.send(Ok(()));
                    for job in queue {
                        // A closure that panics breaks its own transaction, and nobody else's.
                        if catch_unwind(AssertUnwindSafe(|| job(&mut connection))).is_err() {
                            tracing::error!("a piece of work on the database panicked");
                        }
                    }
                }
            })
            .map_err(|_| DbError::Closed)?;
        is_open.await.map_err(|_| DbError::Closed)??;
        Ok(Self { jobs })
    }

    /// Runs `work` after everything sent before it. Once sent it is done, even if the caller stops waiting.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The caller may have gone; the work is done all the same.
            let _ = answer.send(work(connection));
        });
        self.jobs.send(job).map_err(|_| DbError::Closed)?;
        // Where the other processors sleep, the kernel puts the thread it wakes behind the one that woke it.
        std::thread::yield_now();
        answered.await.map_err(|_| DbError::Closed)?
    }
}

fn open(path: &Path, access: Access) -> Result<Connection, DbError> {
    if access == Access::Write {
        migrations::check(path)?;
    }
    let flags = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    if access == Access::Write {
        // SQLite gives its other files the mode of this one.
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let set = file.and_then(|file| file.set_permissions(Permissions::from_mode(0o600)));
        set.map_err(|error| DbError::Open { path: path.to_owned(), error })?;
    }
    let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if access == Access::Write {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        migrations::run(&mut connection, path)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_writer_outlives_a_panic_and_a_caller_that_left() {
        let folder = tempfile::tempdir().unwrap();
        let thread = ConnectionThread::start(&folder.path().join("x.db"), Access::Write).await.unwrap();
        let insert = |connection: &Connection| {
            Ok(connection.execute(
                "INSERT INTO sessions (token_hash, created_at, expires_at) VALUES (randomblob(8), '', '')",
                [],
            )?)
        };
        let panicked: Result<(), DbError> = thread
            .run(move |connection| {
                let transaction = connection.transaction()?;
                insert(&transaction)?;
                panic!("a test panics on purpose")
            })
            .await;
        assert!(matches!(panicked, Err(DbError::Closed)));
        // Asked once, and gone before the answer.
        drop(thread.run(move |connection| insert(connection)).now_or_never());
        let count: u32 = thread
            .run(|connection| Ok(connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))?))
            .await
            .unwrap();
        assert_eq!(count, 1);
    }
}
