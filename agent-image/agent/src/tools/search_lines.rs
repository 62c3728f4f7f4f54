//! The lines that a search gathers from the files, as grep prints them, in bounded memory.

use std::io;

use grep_matcher::Matcher;
use grep_regex::RegexMatcher;
use grep_searcher::{Searcher, Sink, SinkContext, SinkMatch};

/// Of all lines of the result together.
const MOST_BYTES: usize = 50_000;
/// Bytes of one line; minified code has no ends.
const LONGEST_LINE: usize = 300;

/// What was found so far, in all files.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) found: Vec<String>,
    pub(super) matches: usize,
    pub(super) full: Option<Full>,
    limit: usize,
    bytes: usize,
}

/// Why nothing more is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("there are more matches")]
    Matches,
    #[error("a result has at most {MOST_BYTES} bytes")]
    Bytes,
}

/// The lines of one file on their way into the result.
#[derive(Debug)]
pub(super) struct FileLines<'a> {
    name: String,
    matcher: &'a RegexMatcher,
    lines: &'a mut Lines,
    begun: bool,
}

impl Lines {
    /// Takes this many matching lines.
    pub(super) fn new(limit: usize) -> Self {
        Self { found: Vec::new(), matches: 0, full: None, limit, bytes: 0 }
    }

    fn push(&mut self, line: String) -> bool {
        self.bytes += line.len();
        if self.bytes > MOST_BYTES {
            self.full = Some(Full::Bytes);
            return false;
        }
        self.found.push(line);
        true
    }
}

impl<'a> FileLines<'a> {
    pub(super) fn new(name: String, matcher: &'a RegexMatcher, lines: &'a mut Lines) -> Self {
        Self { name, matcher, lines, begun: false }
    }

    fn add(&mut self, mark: char, number: Option<u64>, line: &[u8]) -> bool {
        let (number, text) = (number.unwrap_or_default(), shortened(self.matcher, line));
        self.lines.push(format!("{}{mark}{number}{mark}{text}", self.name))
    }

    /// Between the places of two files, where there is context to keep apart.
    fn begin(&mut self, searcher: &Searcher) {
        let apart = searcher.before_context() + searcher.after_context() > 0 && !self.lines.found.is_empty();
        if !std::mem::replace(&mut self.begun, true) && apart {
            self.lines.push("--".to_owned());
        }
    }
}

impl Sink for FileLines<'_> {
    type Error = io::Error;

    fn matched(&mut self, searcher: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        if self.lines.matches == self.lines.limit {
            self.lines.full = Some(Full::Matches);
            return Ok(false);
        }
        self.begin(searcher);
        self.lines.matches += 1;
        Ok(self.add(':', found.line_number(), found.bytes()))
    }

    fn context(&mut self, searcher: &Searcher, context: &SinkContext<'_>) -> io::Result<bool> {
        if self.lines.matches == self.lines.limit && *context.kind() == grep_searcher::SinkContextKind::Before {
            self.lines.full = Some(Full::Matches);
            return Ok(false);
        }
        self.begin(searcher);
        Ok(self.add('-', context.line_number(), context.bytes()))
    }

    fn context_break(&mut self, _: &Searcher) -> io::Result<bool> {
        // The place that follows may be one too many.
        Ok(self.lines.matches == self.lines.limit || self.lines.push("--".to_owned()))
    }
}

/// Of a long line, the part around the match.
fn shortened(matcher: &RegexMatcher, line: &[u8]) -> String {
    let line = line.trim_ascii_end();
    if line.len() <= LONGEST_LINE {
        return String::from_utf8_lossy(line).into_owned();
    }
    let at = matcher.find(line).ok().flatten().map_or(0, |found| found.start());
    let start = at.saturating_sub(LONGEST_LINE / 3).min(line.len() - LONGEST_LINE);
    let end = start + LONGEST_LINE;
    // What is left of a character that the cut goes through.
    let shown = String::from_utf8_lossy(&line[start..end]);
    format!("[... {start} bytes] {} [... {} bytes]", shown.trim_matches('\u{fffd}'), line.len() - end)
}
