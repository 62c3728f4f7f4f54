//! A kept file as visitors get it: secrets covered, byte for byte as long as it was.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    ops::Range,
    os::unix::fs::FileExt,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::{blocking, redact};

/// Read at a time.
const WINDOW: u64 = 256 * 1024;
/// Read around that, for secrets that begin before or end after it.
const MARGIN: u64 = 16 * 1024;

/// Pages are drawn from that much of a file.
const MAX_COPY: u64 = 16 * 1024 * 1024;

/// The start of a file in memory, covered. Blocks.
pub(in crate::web) fn covered_copy(file: File) -> io::Result<File> {
    let mut bytes = Vec::new();
    file.take(MAX_COPY).read_to_end(&mut bytes)?;
    redact::cover_bytes(&mut bytes);
    let mut copy = File::from(memfd_create("covered", MemfdFlags::CLOEXEC)?);
    copy.write_all(&bytes)?;
    copy.rewind()?;
    Ok(copy)
}

/// The bytes of `range`, which lies within the file.
pub(in crate::web) fn redacted(file: File, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((Arc::new(file), range), async |(file, range)| {
        if range.is_empty() {
            return Ok(None);
        }
        let window = range.start..range.end.min(range.start + WINDOW);
        let rest = window.end..range.end;
        let read = {
            let file = file.clone();
            blocking::run(move || read_window(&file, window)).await
        };
        let bytes = read.map_err(io::Error::other)??;
        Ok((!bytes.is_empty()).then_some((bytes, (file, rest))))
    })
}

fn read_window(file: &File, window: Range<u64>) -> io::Result<Bytes> {
    let start = window.start.saturating_sub(MARGIN);
    let mut bytes = vec![0; length(window.end + MARGIN - start)];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], start + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    bytes.truncate(read);
    redact::cover_bytes(&mut bytes);
    let (from, to) = (length(window.start - start), length(window.end - start));
    Ok(Bytes::from(bytes).slice(from.min(read)..to.min(read)))
}

/// Windows are small.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn r56_a_secret_is_covered_wherever_a_window_or_a_range_begins() {
        let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
        let mut file = tempfile::tempfile().unwrap();
        let before = usize::try_from(WINDOW).unwrap() - 10;
        write!(file, "{}{token}\n{}", ".".repeat(before - 1) + "\n", ".".repeat(100_000)).unwrap();
        let size = file.metadata().unwrap().len();
        let whole = async |range: Range<u64>| {
            let chunks: Vec<Bytes> = redacted(file.try_clone().unwrap(), range).try_collect().await.unwrap();
            String::from_utf8(chunks.concat()).unwrap()
        };
        let text = whole(0..size).await;
        assert_eq!(text.len() as u64, size);
        assert_eq!(&text[before..=before + token.len()], format!("{}\n", "X".repeat(token.len())));
        let part = whole(WINDOW..WINDOW + 40).await;
        assert_eq!(part.len(), 40);
        assert!(part.starts_with(&"X".repeat(token.len() - 10)), "{part}");
    }
}
