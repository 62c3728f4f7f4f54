//! Everything that is worth keeping in one file, and back. The admin token and this instance's name stay out: a copy in
//! the wrong hands opens no server, and a restored server never takes the containers of the other one for its own.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::instance::{Instance, InstanceError};
use crate::{
    archive,
    data_dir::DataDir,
    db::{self, Db, DbError},
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("there is no database in {}; name the server's data directory with --data-dir or --config", .0.display())]
    NothingThere(PathBuf),
    #[error("{} is there already; name a new file", .0.display())]
    FileExists(PathBuf),
    #[error("{} holds tasks already; restore into an empty directory, named with --data-dir", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} is no backup of Atelier: there is no database in it", .0.display())]
    NoBackup(PathBuf),
    #[error(transparent)]
    Instance(#[from] InstanceError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

/// Names within the file.
const DATABASE: &str = "atelier.db";
const LOGS: &str = "logs";
const TASKS: &str = "tasks";

/// Writes a backup of a data directory, also while its server runs, and returns how many tasks are in it. Logs are copied
/// after the database: whatever it tells of is there. Blocks.
pub(crate) fn backup(data_dir: &Path, file: &Path) -> Result<u64, BackupError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::Disk { path, source }
    };
    if !data_dir.join(DATABASE).exists() {
        return Err(BackupError::NothingThere(data_dir.to_owned()));
    }
    if file.exists() {
        return Err(BackupError::FileExists(file.to_owned()));
    }
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Beside the file: there is room for it there, and nobody else reads it.
    let scratch = tempfile::Builder::new().prefix(".atelier-backup").tempdir_in(folder).map_err(at(folder))?;
    let copy = scratch.path().join(DATABASE);
    let tasks = db::copy(&data_dir.join(DATABASE), &copy)?;
    let mut trees = vec![(copy, DATABASE.to_owned()), (data_dir.join(LOGS), LOGS.to_owned())];
    trees.extend(uploads(data_dir).map_err(at(data_dir))?);
    let draft = scratch.path().join("draft");
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(at(&draft))?;
    archive::pack_trees(&trees, target).map_err(at(file))?;
    fs::rename(&draft, file).map_err(at(file))?;
    Ok(tasks)
}

/// What tasks that wait need to start.
fn uploads(data_dir: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut uploads = Vec::new();
    for task in fs::read_dir(data_dir.join(TASKS))? {
        let task = task?;
        let (path, id) = (task.path().join("upload.zip"), task.file_name().to_string_lossy().into_owned());
        if path.exists() {
            uploads.push((path, format!("{TASKS}/{id}/upload.zip")));
        }
    }
    Ok(uploads)
}

/// Puts a backup into a data directory without tasks. The database is checked before it is put in place, and comes last.
pub(crate) async fn restore(file: &Path, data_dir: &Path) -> Result<(), BackupError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::Disk { path, source }
    };
    let tar = File::open(file).map_err(at(file))?;
    let target = DataDir::prepare(data_dir).map_err(at(data_dir))?;
    let _instance = Instance::take(data_dir)?;
    if target.database().exists() {
        return Err(BackupError::NotEmpty(data_dir.to_owned()));
    }
    let scratch = tempfile::Builder::new().prefix("restore").tempdir_in(data_dir).map_err(at(data_dir))?;
    archive::unpack_trees(tar, scratch.path()).map_err(at(file))?;
    let database = scratch.path().join(DATABASE);
    if !database.exists() {
        return Err(BackupError::NoBackup(file.to_owned()));
    }
    drop(Db::open(&database).await?);
    for name in [LOGS, TASKS] {
        let (from, to) = (scratch.path().join(name), data_dir.join(name));
        if from.exists() {
            // Prepared a moment ago, and empty: without a database there are no tasks.
            fs::remove_dir(&to).and_then(|()| fs::rename(&from, &to)).map_err(at(&to))?;
        }
    }
    for suffix in ["-wal", "-shm", ""] {
        let name = format!("{DATABASE}{suffix}");
        let (from, to) = (scratch.path().join(&name), data_dir.join(&name));
        if from.exists() {
            fs::rename(&from, &to).map_err(at(&to))?;
        }
    }
    Ok(())
}
