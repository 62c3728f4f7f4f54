//! The events of a task as they come from the server, one at a time.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::Response;

pub(super) struct EventStream {
    pieces: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    pending: Vec<u8>,
}

impl EventStream {
    pub(super) fn new(response: Response) -> Self {
        Self { pieces: Box::pin(response.bytes_stream()), pending: Vec::new() }
    }

    /// The next event as JSON; `None` at the end of the stream, which is not always the end of the task.
    pub(super) async fn next(&mut self) -> reqwest::Result<Option<String>> {
        loop {
            while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                // Each event of ours is one `data:` line; its number stands inside.
                if let Some(data) = line.strip_prefix(b"data:") {
                    return Ok(Some(String::from_utf8_lossy(data).trim().to_owned()));
                }
            }
            match self.pieces.next().await {
                Some(piece) => self.pending.extend_from_slice(&piece?),
                None => return Ok(None),
            }
        }
    }
}
