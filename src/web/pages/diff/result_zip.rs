//! `/tasks/{id}/result.zip`: every file as the task left it, written while it is read.

use std::io::{self, Write};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    archive::{self, Packed, PackedKind, UnpackLimits},
    blocking,
    config::Source,
    data_dir::TaskDir,
    domain::choice::LeftOut,
    git::{KeptChanges, ResultTree, SnapshotLimits, Snapshots, TreeFile},
    web::{AppState, error::WebError, extract::TaskPath, security_headers::ARTIFACT_POLICY},
};

/// Unpacking a source again is work: one at a time, the others wait.
static REBUILDING: Semaphore = Semaphore::const_new(1);
/// Pieces that wait for the reader.
const PIECES: usize = 8;
const PIECE_BYTES: usize = 64 * 1024;

pub(in crate::web) async fn get(State(state): State<AppState>, TaskPath(id): TaskPath) -> Result<Response, WebError> {
    let task = state.data_dir.task(&id);
    let limits = state.config.source.clone();
    let left_out = state.db.left_out(&id).await?;
    let permit = REBUILDING.acquire().await.map_err(WebError::internal)?;
    let open = move || -> anyhow::Result<Option<Opened>> {
        let _one_at_a_time = permit;
        Opened::of(&task, &limits, &left_out)
    };
    let opened = blocking::run(open).await?.map_err(WebError::internal)?.ok_or(WebError::NotFound)?;
    let (sender, receiver) = mpsc::channel(PIECES);
    let name = id.to_string();
    // Nobody waits for the end of it: a reader that goes away ends it with the next piece.
    let top = name.clone();
    drop(tokio::task::spawn_blocking(move || opened.write(&top, sender)));
    let disposition = format!("attachment; filename=\"{name}.zip\"");
    let headers = [(CONTENT_TYPE, "application/zip".to_owned()), (CONTENT_DISPOSITION, disposition)];
    let body = Body::from_stream(ReceiverStream::new(receiver));
    Ok((headers, [(CONTENT_SECURITY_POLICY, ARTIFACT_POLICY)], body).into_response())
}

/// Whether there is what it takes.
pub(super) fn can_be_made(task: &TaskDir) -> bool {
    Snapshots::has_result(&task.git()) || (task.upload().exists() && task.changes().exists())
}

struct Opened {
    files: ResultTree,
    /// What was unpacked for it goes when the last byte is written.
    _folder: Option<tempfile::TempDir>,
}

impl Opened {
    fn of(task: &TaskDir, limits: &Source, left_out: &LeftOut) -> anyhow::Result<Option<Self>> {
        if let Some(files) = ResultTree::kept(&task.git())? {
            return Ok(Some(Self { files, _folder: None }));
        }
        if !can_be_made(task) {
            return Ok(None);
        }
        let folder = tempfile::tempdir_in(task.path())?;
        let code = folder.path().join("code");
        archive::unpack(&task.upload(), &code, &UnpackLimits::from(limits))?;
        let snapshots = Snapshots::create(&folder.path().join("git"))?;
        let source = snapshots.take(&code, None, &SnapshotLimits::from(limits))?;
        let files = ResultTree::changed(&snapshots, &source, &KeptChanges::open(&task.changes())?.choose(left_out)?)?;
        Ok(Some(Self { files, _folder: Some(folder) }))
    }

    fn write(&self, top: &str, reader: mpsc::Sender<io::Result<Bytes>>) {
        let mut into = Pieces { reader, piece: Vec::with_capacity(PIECE_BYTES) };
        let packed = |(path, file): (&[u8], TreeFile)| {
            let kind = match file.mode {
                0o120_000 => PackedKind::Link,
                0o100_755 => PackedKind::Executable,
                _ => PackedKind::File,
            };
            Ok(Packed { path: path.to_vec(), kind, content: self.files.content(file).map_err(io::Error::other)? })
        };
        if let Err(error) = archive::stream(&mut into, top, self.files.files().map(packed)) {
            tracing::warn!(%error, "a result was not sent to its end");
            // The reader sees that it is not whole.
            let _ = into.reader.blocking_send(Err(io::Error::other("broken off")));
        }
    }
}

/// Hands what is written over to whoever reads, and waits for them.
struct Pieces {
    reader: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES)));
        self.reader.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
