//! A thread that owns one connection and runs the closures it is sent, in order.

use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
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
                        job(&mut connection);
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
        answered.await.map_err(|_| DbError::Closed)?
    }
}

fn open(path: &Path, access: Access) -> Result<Connection, DbError> {
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
