//! What git says while it works: progress for the person who waits, and the last lines for the error.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The standard error of one run of git. Much of it comes from the other server: control characters are taken out,
/// and only so much is kept.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    unfinished: Vec<u8>,
    lines: VecDeque<String>,
    pending: Option<String>,
    reported: Option<Instant>,
    objects: u64,
}

const MAX_LINE_BYTES: usize = 400;
const MAX_LINES: usize = 20;
const REPORT_EVERY: Duration = Duration::from_millis(300);

impl Transcript {
    /// Takes the next bytes and reports the newest line, a few times a second at most.
    pub(super) fn push(&mut self, bytes: &[u8], progress: &mut (dyn FnMut(String) + Send)) {
        for &byte in bytes {
            match byte {
                b'\r' | b'\n' => self.end_line(byte == b'\n'),
                _ if self.unfinished.len() < MAX_LINE_BYTES => self.unfinished.push(byte),
                _ => {}
            }
        }
        if self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            self.flush(progress);
        }
    }

    /// Reports the newest line if it was not reported yet.
    pub(super) fn flush(&mut self, progress: &mut (dyn FnMut(String) + Send)) {
        if let Some(line) = self.pending.take() {
            self.reported = Some(Instant::now());
            progress(line);
        }
    }

    /// How many objects the pack says it has, once git has said so.
    pub(super) fn objects(&self) -> u64 {
        self.objects
    }

    /// Whether any line holds the text.
    pub(super) fn says(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    /// What a person should read: the complaints of git, or its last lines if it has none.
    pub(super) fn complaint(&self) -> String {
        let is_complaint = |line: &&String| {
            ["fatal:", "error:", "remote:"].iter().any(|start| line.starts_with(start)) && !line.contains("% (")
        };
        let complaints: Vec<&str> = self.lines.iter().filter(is_complaint).map(String::as_str).collect();
        let lines = if complaints.is_empty() { self.lines.iter().map(String::as_str).collect() } else { complaints };
        lines[lines.len().saturating_sub(5)..].join("; ")
    }

    fn end_line(&mut self, is_kept: bool) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.unfinished)).into_owned();
        let line: String = line.chars().filter(|c| !c.is_control() && !is_direction_mark(*c)).collect();
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if let Some(total) = line.strip_prefix("Receiving objects:").and_then(total) {
            self.objects = total;
        }
        self.pending = Some(line.to_owned());
        if is_kept {
            if self.lines.len() == MAX_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line.to_owned());
        }
    }
}

/// `12` of ` 50% (6/12), 1.2 MiB | 3 MiB/s`.
fn total(progress: &str) -> Option<u64> {
    let (_, counts) = progress.split_once('(')?;
    let (_, total) = counts.split_once(')')?.0.split_once('/')?;
    total.parse().ok()
}

/// Characters that turn the direction of text around and so can make a line read as another one.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_thinned_out_and_complaints_are_kept() {
        let mut transcript = Transcript::default();
        let mut reported = Vec::new();
        let mut progress = |line| reported.push(line);
        transcript.push(b"Cloning into 'x'...\nremote: Counting objects: 100% (7/7)\x1b[K\nReceiving", &mut progress);
        transcript.push(b" objects:  50% (6/12)\rReceiving objects: 100% (12/12), done.\n", &mut progress);
        transcript.push("remote: \u{202e}sorry\x07\nfatal: no\n".as_bytes(), &mut progress);
        transcript.flush(&mut progress);
        assert_eq!(reported, ["remote: Counting objects: 100% (7/7)[K", "fatal: no"]);
        assert_eq!(transcript.objects(), 12);
        assert_eq!(transcript.complaint(), "remote: sorry; fatal: no");
        assert!(transcript.says("done."));
    }

    #[test]
    fn an_endless_line_and_endless_lines_are_bounded() {
        let mut transcript = Transcript::default();
        for _ in 0..100 {
            transcript.push(&[b'x'; 10_000], &mut |_| {});
            transcript.push(b"\n", &mut |_| {});
        }
        assert!(transcript.complaint().len() <= 5 * (MAX_LINE_BYTES + 2));
        assert_eq!(transcript.lines.len(), MAX_LINES);
    }
}
