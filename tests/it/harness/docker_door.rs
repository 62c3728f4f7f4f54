//! A door in front of Docker's socket that a test shuts: the daemon seems to be away, and everybody else keeps it.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};

pub(crate) struct DockerDoor {
    folder: TempDir,
    is_shut: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl DockerDoor {
    /// Shuts itself before it lets the first request through that contains these words.
    pub(crate) fn shut_at(words: &'static str) -> Self {
        Self::shut_at_nth(words, 1)
    }

    /// The same before the request with that number, from 1.
    pub(crate) fn shut_at_nth(words: &'static str, number: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("dd").tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        // For a server that is not root as well.
        for path in [folder.path().to_owned(), folder.path().join("docker.sock")] {
            std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        }
        let (is_shut, came) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let shut = is_shut.clone();
        let serving = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (shut, came) = (shut.clone(), came.clone());
                tokio::spawn(async move {
                    let mut head = vec![0; 64 * 1024];
                    let read = client.read(&mut head).await.unwrap_or(0);
                    let is_one = String::from_utf8_lossy(&head[..read]).contains(words);
                    if is_one && came.fetch_add(1, Ordering::SeqCst) + 1 == number {
                        shut.store(true, Ordering::SeqCst);
                    }
                    // Dropping the connection is all that a daemon that is gone has to say.
                    if shut.load(Ordering::SeqCst) || read == 0 {
                        return;
                    }
                    let mut docker = UnixStream::connect("/var/run/docker.sock").await.unwrap();
                    docker.write_all(&head[..read]).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut docker).await;
                });
            }
        });
        Self { folder, is_shut, serving }
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", PathBuf::from(self.folder.path()).join("docker.sock").display())
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.is_shut.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) {
        self.is_shut.store(false, Ordering::SeqCst);
    }
}

impl Drop for DockerDoor {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
