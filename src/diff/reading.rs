//! What each line of a patch is. The format is that of `git diff` (gitformat-diff) and of plain `diff -u`. A hunk is as long
//! as its header says, whatever its lines look like.

use super::line::LineKind;

/// Reads a patch line by line.
#[derive(Debug, Default)]
pub(super) struct Reading {
    hunk: Option<OpenHunk>,
    has_file: bool,
    has_hunk: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// The first line of a file's header.
    File,
    Header,
    Hunk,
    Line {
        kind: LineKind,
        old: Option<u32>,
        new: Option<u32>,
    },
    /// `\ No newline at end of file`: belongs to the line before.
    NoNewline,
}

impl Reading {
    /// Begins at the first hunk of a file.
    pub(super) fn within_file() -> Self {
        Self { hunk: None, has_file: true, has_hunk: true }
    }

    pub(super) fn take(&mut self, line: &[u8]) -> Item {
        if let Some(hunk) = &mut self.hunk {
            match hunk.take(line) {
                Some(item) => return item,
                None => self.hunk = None,
            }
        }
        self.hunk = OpenHunk::parse(line);
        if self.hunk.is_some() {
            self.has_hunk = true;
            return Item::Hunk;
        }
        let is_plain_start = line.starts_with(b"--- ") && (!self.has_file || self.has_hunk);
        if line.starts_with(b"diff --git ") || is_plain_start {
            (self.has_file, self.has_hunk) = (true, false);
            return Item::File;
        }
        Item::Header
    }
}

/// A hunk that still expects lines.
#[derive(Debug)]
struct OpenHunk {
    old: u32,
    new: u32,
    old_left: u32,
    new_left: u32,
}

impl OpenHunk {
    /// `@@ -12,7 +12,9 @@ fn main() {`
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_prefix(b"@@ -")?;
        let end = line.windows(3).take(60).position(|part| part == b" @@")?;
        let (old, new) = std::str::from_utf8(&line[..end]).ok()?.split_once(" +")?;
        let range = |text: &str| match text.split_once(',') {
            Some((start, length)) => Some((start.parse().ok()?, length.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        };
        let ((old, old_left), (new, new_left)) = (range(old)?, range(new)?);
        Some(Self { old, new, old_left, new_left })
    }

    /// The line as part of this hunk; `None` when the hunk is over.
    fn take(&mut self, line: &[u8]) -> Option<Item> {
        let kind = match line.first() {
            Some(b'\\') => return Some(Item::NoNewline),
            _ if self.old_left == 0 && self.new_left == 0 => return None,
            Some(b'+') => LineKind::Added,
            Some(b'-') => LineKind::Removed,
            // Some programs strip the blank of an empty context line.
            Some(b' ' | b'\r') | None => LineKind::Context,
            Some(_) => return None,
        };
        let old = (kind != LineKind::Added).then(|| step(&mut self.old, &mut self.old_left));
        let new = (kind != LineKind::Removed).then(|| step(&mut self.new, &mut self.new_left));
        Some(Item::Line { kind, old, new })
    }
}

/// The number of the line, which is one of those that were left.
fn step(number: &mut u32, left: &mut u32) -> u32 {
    let current = *number;
    *number = number.saturating_add(1);
    *left = left.saturating_sub(1);
    current
}
