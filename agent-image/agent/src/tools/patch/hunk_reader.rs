//! Reads the hunks of one file line by line; both forms of a patch share it.

use super::super::text_file::{LineEnding, split_mark};
use super::at_line::AtLine;
use super::file_patch::{NotAPatch, PatchLine};
use super::hunk::{Anchors, Hunk, HunkLine, Side};

#[derive(Debug, Default)]
pub(super) struct HunkReader {
    done: Vec<Hunk>,
    current: Option<Unfinished>,
}

/// What a line is to the hunk before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// There is no hunk, or the line has none of the marks of a hunk line.
    No,
}

#[derive(Debug)]
struct Unfinished {
    /// The line of the patch that it begins with.
    number: usize,
    hunk: Hunk,
    /// Empty lines without any mark at the end so far: context, or only the space before what follows.
    blanks: usize,
}

impl HunkReader {
    /// Begins the hunk that follows this `@@` line. Several such lines in a row are one nested header.
    pub(super) fn begin(
        &mut self,
        line: PatchLine<'_>,
        at: AtLine,
        anchors: fn(Vec<String>) -> Anchors,
    ) -> Result<(), NotAPatch> {
        let (mut hint, mut texts) = (None, Vec::new());
        match self.current.take() {
            Some(header) if header.hunk.lines.is_empty() => {
                (hint, texts) = (header.hunk.hint, header.hunk.anchors.into());
            }
            Some(hunk) => self.done.push(hunk.finish()?),
            None => {}
        }
        texts.extend(at.anchor);
        hint = at.hint.or(hint);
        let hunk = Hunk { hint, anchors: anchors(texts), ..Hunk::default() };
        self.current = Some(Unfinished { number: line.number, hunk, blanks: 0 });
        Ok(())
    }

    /// Begins a hunk that nothing announces, with its first line.
    pub(super) fn begin_bare(&mut self, line: PatchLine<'_>) -> Taken {
        self.current = Some(Unfinished { number: line.number, hunk: Hunk::default(), blanks: 0 });
        self.push(line.text)
    }

    pub(super) fn push(&mut self, line: &str) -> Taken {
        self.current.as_mut().map_or(Taken::No, |hunk| hunk.push(line))
    }

    /// The last line read is the last of its file.
    pub(super) fn end_of_file(&mut self) -> Result<(), NotAPatch> {
        if let Some(mut hunk) = self.current.take() {
            hunk.hunk.at_end = true;
            self.done.push(hunk.finish()?);
        }
        Ok(())
    }

    pub(super) fn is_inside(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.current.is_none()
    }

    pub(super) fn finish(mut self) -> Result<Vec<Hunk>, NotAPatch> {
        if let Some(hunk) = self.current {
            self.done.push(hunk.finish()?);
        }
        Ok(self.done)
    }
}

impl Unfinished {
    fn push(&mut self, line: &str) -> Taken {
        let (side, text) = match line.as_bytes().first() {
            None => (Side::Context, ""),
            Some(b'\r') if line.len() == 1 => (Side::Context, ""),
            Some(b' ') => (Side::Context, &line[1..]),
            Some(b'-') => (Side::Removed, &line[1..]),
            Some(b'+') => (Side::Added, &line[1..]),
            // "\ No newline at end of file", in whatever language.
            Some(b'\\') => {
                self.unterminated();
                return Taken::Yes;
            }
            Some(_) => return Taken::No,
        };
        self.blanks = if line.is_empty() { self.blanks + 1 } else { 0 };
        if side == Side::Added {
            let first = !self.hunk.lines.iter().any(|line| line.side == Side::Added);
            let crlf = text.ends_with('\r') && (first || self.hunk.ending == LineEnding::CrLf);
            self.hunk.ending = if crlf { LineEnding::CrLf } else { LineEnding::Lf };
        }
        // The line ends and the byte order mark are the file's.
        let text = split_mark(text.strip_suffix('\r').unwrap_or(text)).1.to_owned();
        self.hunk.lines.push(HunkLine { side, text });
        Taken::Yes
    }

    fn unterminated(&mut self) {
        let side = self.hunk.lines.last().map(|line| line.side);
        self.hunk.old_unterminated |= matches!(side, Some(Side::Context | Side::Removed));
        self.hunk.new_unterminated |= matches!(side, Some(Side::Context | Side::Added));
        self.hunk.at_end |= self.hunk.old_unterminated;
    }

    fn finish(mut self) -> Result<Hunk, NotAPatch> {
        let kept = self.hunk.lines.len() - self.blanks;
        if self.hunk.lines[..kept].iter().any(|line| line.side != Side::Added) {
            self.hunk.lines.truncate(kept);
        }
        let changes = self.hunk.lines.iter().any(|line| line.side != Side::Context);
        if changes { Ok(self.hunk) } else { Err(NotAPatch::EmptyHunk { number: self.number }) }
    }
}
