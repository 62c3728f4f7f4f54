//! The schema, step by step. `user_version` says how many steps a file has taken.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::DbError;

/// Never change a step that was released; add one.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_tasks.sql"),
    include_str!("migrations/0002_step_speakers.sql"),
    include_str!("migrations/0003_training.sql"),
    include_str!("migrations/0004_going_on.sql"),
    include_str!("migrations/0005_day_usage.sql"),
    include_str!("migrations/0006_allow_hosts.sql"),
    include_str!("migrations/0007_pull_requests.sql"),
    include_str!("migrations/0008_people.sql"),
    include_str!("migrations/0009_shares.sql"),
    include_str!("migrations/0010_search.sql"),
    include_str!("migrations/0011_turns.sql"),
    include_str!("migrations/0012_remarks.sql"),
    include_str!("migrations/0013_proof.sql"),
    include_str!("migrations/0014_left_out.sql"),
    include_str!("migrations/0015_triggers.sql"),
];

/// Refuses a damaged or newer file, for which it is only opened for reading and stays as it is. No file is fine.
pub(super) fn check(path: &Path) -> Result<(), DbError> {
    if fs::metadata(path).map_or(0, |file| file.len()) == 0 {
        return Ok(());
    }
    let looked = look(path);
    let damaged = |report| DbError::Damaged { path: path.to_owned(), report };
    match looked {
        Err(error)
            if matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)) =>
        {
            Err(damaged(error.to_string()))
        }
        Err(error) => Err(error.into()),
        Ok((report, _)) if report != "ok" => Err(damaged(report)),
        Ok((_, found)) if found > known() => Err(DbError::Newer { path: path.to_owned(), found, known: known() }),
        Ok(_) => Ok(()),
    }
}

/// The first complaint of `SQLite`, or "ok", and the steps taken.
fn look(path: &Path) -> rusqlite::Result<(String, u32)> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(super::thread::BUSY_TIMEOUT)?;
    let report = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((report, steps_taken(&connection)?))
}

/// Takes the missing steps, each in a transaction of its own, and before the first one makes a copy of the file.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), DbError> {
    let found = steps_taken(connection)?;
    if (1..known()).contains(&found) {
        let copy = copy_before(path, found);
        copy_to(connection, &copy).map_err(|error| DbError::Copy { path: copy, error })?;
    }
    for (version, step) in (1_u32..).zip(STEPS).skip(found as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn steps_taken(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn known() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// `atelier.db.schema-1` is the file as it was before its second step.
fn copy_before(path: &Path, version: u32) -> PathBuf {
    path.with_added_extension(format!("schema-{version}"))
}

fn copy_to(connection: &Connection, copy: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let draft = copy.with_added_extension("draft");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    connection.execute("VACUUM INTO ?1", [draft.to_string_lossy()])?;
    fs::set_permissions(&draft, Permissions::from_mode(0o600))?;
    File::open(&draft)?.sync_all()?;
    Ok(fs::rename(&draft, copy)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db::{Db, Ending, TaskFilter},
        domain::{
            failure::FailureKind,
            person::{PersonId, Scope},
            task::Status,
        },
    };

    fn folder_with(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("atelier.db");
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    /// A file as the first version wrote it.
    fn sample() -> (tempfile::TempDir, PathBuf) {
        let (folder, path) = folder_with(b"");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection.execute_batch(include_str!("migrations/sample_0001.sql")).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        (folder, path)
    }

    #[tokio::test]
    async fn what_an_earlier_version_wrote_is_read_by_this_one_and_a_copy_is_kept() {
        let (_folder, path) = sample();
        let db = Db::open(&path).await.unwrap();
        let tasks = db.tasks(TaskFilter::new(Scope::Of(PersonId::OWNER), 10)).await.unwrap();
        let statuses: Vec<Status> = tasks.iter().map(|task| task.status).collect();
        assert_eq!(statuses, [Status::Queued, Status::Running, Status::Failed, Status::Completed]);
        assert_eq!(tasks[3].summary.as_deref(), Some("It is mended."));
        assert_eq!(db.events_after(&tasks[1].id, 0, 10).await.unwrap().len(), 3);
        let unfinished = db.unfinished().await.unwrap();
        assert_eq!(unfinished.len(), 1);
        let ending = unfinished[0].decided.as_ref().map(|decided| &decided.ending);
        assert!(
            matches!(ending, Some(Ending::Failed(failure)) if failure.kind == FailureKind::ServerRestarted),
            "{ending:?}"
        );

        let copy = Connection::open(copy_before(&path, 1)).unwrap();
        assert_eq!(steps_taken(&copy).unwrap(), 1);
        let rows: u32 =
            copy.query_row("SELECT count(*) FROM tasks WHERE halted IN (0, 1)", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 4);
    }

    #[tokio::test]
    async fn taking_the_steps_twice_changes_nothing() {
        let (folder, path) = sample();
        drop(Db::open(&path).await.unwrap());
        let copies = || {
            fs::read_dir(folder.path())
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains("schema-"))
                .count()
        };
        assert_eq!(copies(), 1);
        fs::remove_file(copy_before(&path, 1)).unwrap();
        drop(Db::open(&path).await.unwrap());
        assert_eq!(copies(), 0, "nothing to take, nothing to copy");
    }

    #[tokio::test]
    async fn a_newer_file_is_refused_untouched() {
        let (_folder, path) = sample();
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let before = fs::read(&path).unwrap();
        let error = Db::open(&path).await.unwrap_err().to_string();
        assert!(error.contains("newer Atelier") && error.contains("schema 99") && !error.contains('\n'), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[tokio::test]
    async fn a_damaged_file_is_refused_untouched() {
        let (_folder, sample) = sample();
        let mut torn = fs::read(&sample).unwrap();
        let middle = torn.len() / 2;
        torn[middle..].fill(0xff);
        for bytes in [b"this is no database, but long enough to be one".repeat(100), torn] {
            let (_folder, path) = folder_with(&bytes);
            let error = Db::open(&path).await.unwrap_err().to_string();
            assert!(error.contains("is damaged") && error.contains("restore a backup"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}
