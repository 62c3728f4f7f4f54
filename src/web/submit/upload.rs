//! An uploaded archive on its way into a task's folder. Dropped, it takes its file along.

use std::path::{Path, PathBuf};

use axum::extract::multipart::Field;
use data_encoding::HEXLOWER;
use tokio::{
    fs::{self, OpenOptions},
    io::AsyncWriteExt,
};

use super::FieldError;
use crate::{
    archive::{self, ArchiveError, UnpackLimits},
    blocking,
    config::Config,
    web::{AppState, body::drain, error::WebError},
};

#[derive(Debug)]
pub(in crate::web) struct Upload {
    path: PathBuf,
    pub(super) name: String,
    pub(super) bytes: u64,
}

const MAX_NAME_CHARACTERS: usize = 120;

impl Upload {
    /// Streams a file of a form to disk and stops at the limit.
    pub(super) async fn receive(state: &AppState, mut field: Field<'_>) -> Result<Self, WebError> {
        let limit = state.config.source.max_zip_bytes;
        let name = display_name(field.file_name().unwrap_or_default());
        let mut upload = Self { path: unused_path(state), name, bytes: 0 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&upload.path).await?;
        while let Some(chunk) = field.chunk().await? {
            upload.bytes += chunk.len() as u64;
            if upload.bytes > limit {
                drain(field).await;
                return Err(WebError::ArchiveTooLarge { limit });
            }
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        // A task that was accepted survives a power cut, and so must its archive.
        file.sync_all().await?;
        Ok(upload)
    }

    /// The archive of an earlier task, without copying it.
    pub(super) async fn link(state: &AppState, archive: &Path, name: String, bytes: u64) -> Result<Self, WebError> {
        let upload = Self { path: unused_path(state), name, bytes };
        match fs::hard_link(archive, &upload.path).await {
            Ok(()) => Ok(upload),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(WebError::Conflict("The archive of this task is gone. Upload it again as a new task.".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses what cannot be unpacked, while the sender still listens.
    pub(super) async fn inspect(&self, config: &Config) -> Result<(), WebError> {
        let limits = UnpackLimits::from(&config.source);
        let path = self.path.clone();
        match blocking::run(move || archive::inspect(&path, &limits)).await? {
            Ok(_) => Ok(()),
            Err(ArchiveError::DiskFull) => Err(WebError::DiskFull),
            Err(ArchiveError::Io(error)) => Err(error.into()),
            Err(error) => {
                let refused = FieldError { kind: error.kind().to_owned(), ..FieldError::new("archive", &error) };
                Err(WebError::Invalid { fields: vec![refused] })
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Once it is in the task's folder there is nothing left to remove here.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn unused_path(state: &AppState) -> PathBuf {
    state.data_dir.uploads().join(format!("{}.zip", HEXLOWER.encode(&rand::random::<[u8; 16]>())))
}

/// The file's own name, for people: no folders, no control characters, not too long.
fn display_name(sent: &str) -> String {
    let name = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARACTERS).collect();
    if name.trim().is_empty() { "archive.zip".to_owned() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_for_people_only() {
        assert_eq!(display_name("C:\\work\\my code.zip"), "my code.zip");
        assert_eq!(display_name("../../etc/pass\nwd"), "passwd");
        assert_eq!(display_name(""), "archive.zip");
    }
}
