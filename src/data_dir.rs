//! What lies where on disk. The only place that knows the names beneath `data_dir`.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::domain::task_id::TaskId;

/// The data directory: private to the server's user.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Makes what is missing, mode 0700.
    pub(crate) fn prepare(path: &Path) -> io::Result<Self> {
        let this = Self(path.to_owned());
        for dir in [this.0.clone(), this.bin(), this.tasks(), this.logs(), this.uploads()] {
            make_private_dir(&dir)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        Ok(this)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("atelier.db")
    }

    pub(crate) fn admin_token(&self) -> PathBuf {
        self.0.join("admin-token")
    }

    /// Copies of this executable, for mounting into containers.
    pub(crate) fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// Uploads until they are complete; moved into the task's folder then.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.0.join("uploads")
    }

    pub(crate) fn tasks(&self) -> PathBuf {
        self.0.join("tasks")
    }

    pub(crate) fn task(&self, id: &TaskId) -> TaskDir {
        TaskDir(self.tasks().join(id.as_str()))
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// What is kept of a task for people: prompts, logs, the patch.
    pub(crate) fn task_logs(&self, id: &TaskId) -> PathBuf {
        self.logs().join(id.as_str())
    }
}

/// The workspace of one task.
#[derive(Debug, Clone)]
pub(crate) struct TaskDir(PathBuf);

impl TaskDir {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The code, mounted into the container: hostile once the container ran.
    pub(crate) fn code(&self) -> PathBuf {
        self.0.join("code")
    }

    /// Snapshots of the code; no container ever sees it.
    pub(crate) fn git(&self) -> PathBuf {
        self.0.join("git")
    }

    /// What is pushed from; there while it is.
    pub(crate) fn publish(&self) -> PathBuf {
        self.0.join("publish")
    }

    /// The files that the explanation points to, kept for people when the snapshots go.
    pub(crate) fn source(&self) -> PathBuf {
        self.0.join("source")
    }

    /// What the agent changed, kept for a further turn.
    pub(crate) fn changes(&self) -> PathBuf {
        self.0.join("changes")
    }

    /// What people fetch from, made when somebody asks for it.
    pub(crate) fn delivery(&self) -> PathBuf {
        self.0.join("delivery")
    }

    /// What the container writes besides the code: hostile as well.
    pub(crate) fn output(&self) -> PathBuf {
        self.0.join("output")
    }

    /// Holds the step socket; mounted read-only. The directory, not the socket: a restarted server makes a new socket.
    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.run().join("step.sock")
    }

    /// Where the proxy of a setup without network listens.
    pub(crate) fn exit_socket(&self) -> PathBuf {
        self.run().join("exit.sock")
    }

    pub(crate) fn task_file(&self) -> PathBuf {
        self.0.join("task.json")
    }

    pub(crate) fn upload(&self) -> PathBuf {
        self.0.join("upload.zip")
    }

    /// What goes when the task ends, always: everything but the upload and what may still be published.
    pub(crate) fn workspace(&self) -> Vec<PathBuf> {
        let ours = [self.run(), self.task_file()];
        self.hostile().into_iter().chain(ours).collect()
    }

    /// What a container may have written to, wherever it lies.
    pub(crate) fn hostile(&self) -> Vec<PathBuf> {
        let trees = [self.code(), self.output()];
        trees.into_iter().flat_map(|tree| [kept(&tree), returning(&tree), tree]).collect()
    }
}

/// Where a tree of the workspace lies while a fresh one takes its place.
pub(crate) fn kept(tree: &Path) -> PathBuf {
    tree.with_added_extension("kept")
}

/// Where it lies while its content moves back.
pub(crate) fn returning(tree: &Path) -> PathBuf {
    tree.with_added_extension("returning")
}

/// What is kept for people of one turn of several, beneath the logs of its task.
pub(crate) fn turn_folder(logs: &Path, turn: u32) -> PathBuf {
    logs.join("turns").join(turn.to_string())
}

/// The patch of a task with what was left out of `diff.patch`; there while something is.
pub(crate) const WHOLE_PATCH: &str = "whole.patch";

pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
