//! A log file that grows as output comes, up to a limit; of what is beyond only the end is kept. Secrets are masked.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    path::Path,
};

use crate::redact::MaskedStream;

/// Writes the head as it comes, so that it can be followed; the tail comes with [`CappedLog::finish`].
#[derive(Debug)]
pub(crate) struct CappedLog {
    file: File,
    mask: MaskedStream,
    room: u64,
    beyond: u64,
    tail: VecDeque<u8>,
    failed: Option<io::Error>,
}

const TAIL_BYTES: usize = 64 * 1024;
/// The end that is put into the message of a failure.
const QUOTED_BYTES: usize = 2000;

impl CappedLog {
    pub(crate) fn create(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let (file, mask) = (File::create(path)?, MaskedStream::default());
        Ok(Self { file, mask, room: max_bytes, beyond: 0, tail: VecDeque::new(), failed: None })
    }

    /// Goes on where an earlier one ended.
    pub(crate) fn append(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let room = max_bytes.saturating_sub(file.metadata()?.len());
        let mask = MaskedStream::default();
        Ok(Self { file, mask, room, beyond: 0, tail: VecDeque::new(), failed: None })
    }

    /// An error of the disk is kept for [`CappedLog::finish`].
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let masked = self.mask.push(bytes);
        self.add(&masked);
    }

    fn add(&mut self, bytes: &[u8]) {
        let fits = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        if fits > 0 && self.failed.is_none() {
            self.failed = self.file.write_all(&bytes[..fits]).err();
        }
        self.room -= fits as u64;
        self.beyond += (bytes.len() - fits) as u64;
        let newest = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        self.tail.extend(newest);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
    }

    /// Adds what was beyond the limit: how much is missing, and the end.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let rest = self.mask.finish();
        self.add(&rest);
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.beyond > 0 {
            let kept = self.tail.len().min(usize::try_from(self.beyond).unwrap_or(usize::MAX));
            let missing = self.beyond - kept as u64;
            write!(self.file, "\n[truncated {missing} bytes]\n")?;
            let tail = self.tail.make_contiguous();
            self.file.write_all(&tail[tail.len() - kept..])?;
            self.beyond = 0;
        }
        self.file.sync_all()
    }

    /// The last lines, for a message.
    pub(crate) fn tail(&self) -> String {
        let skipped = self.tail.len().saturating_sub(QUOTED_BYTES);
        let bytes: Vec<u8> = self.tail.iter().copied().skip(skipped).collect();
        let text = String::from_utf8_lossy(&bytes);
        without_colours(&text).chars().filter(|c| !c.is_control() || *c == '\n').collect::<String>().trim().to_owned()
    }
}

/// A message has no colours: sequences such as `ESC [ 31 m` go, with what they hold.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.trim_start_matches(|c: char| !matches!(c, '@'..='~' | '\n')).get(1..).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_stay_and_the_gap_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = CappedLog::create(&path, 10).unwrap();
        log.write(b"0123456789");
        log.write(&vec![b'x'; TAIL_BYTES]);
        log.write(b"the end");
        log.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("0123456789\n[truncated 7 bytes]\nxxx"), "{}", &text[..60]);
        assert!(text.ends_with("the end") && log.tail().ends_with("the end"));
    }

    #[test]
    fn the_end_for_a_message_has_no_colours() {
        assert_eq!(without_colours("\x1b[1;31merror:\x1b[0m no\x1b["), "error: no");
        assert_eq!(without_colours("plain [1] text"), "plain [1] text");
    }

    #[test]
    fn short_output_is_kept_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = CappedLog::create(&path, 10).unwrap();
        log.write(b"short");
        log.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }
}
