//! Reading a unified diff for showing it: files, hunks, lines with their numbers. What is too much is counted, not kept.
//!
//! The format is that of `git diff` (gitformat-diff) and of plain `diff -u`. A patch holds whatever an agent wrote, so
//! a hunk is as long as its header says, whatever its lines look like.

mod file_header;

use file_header::FileHeader;

#[derive(Debug, Default)]
pub(super) struct Patch {
    pub(super) files: Vec<PatchFile>,
    /// Lines that are not kept, over all files.
    pub(super) left_out: usize,
}

#[derive(Debug, Default)]
pub(super) struct PatchFile {
    pub(super) header: FileHeader,
    pub(super) insertions: u64,
    pub(super) deletions: u64,
    pub(super) hunks: Vec<Hunk>,
    /// Lines of this file that are not kept.
    pub(super) left_out: usize,
}

/// Files with more changed lines are folded away at first.
const LARGE_ABOVE_LINES: u64 = 400;

impl PatchFile {
    pub(super) fn is_large(&self) -> bool {
        self.insertions + self.deletions > LARGE_ABOVE_LINES
    }
}

#[derive(Debug)]
pub(super) struct Hunk {
    pub(super) heading: String,
    pub(super) lines: Vec<Line>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: LineKind,
    pub(super) old: Option<u32>,
    pub(super) new: Option<u32>,
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    Added,
    Removed,
    Context,
    /// `\ No newline at end of file`
    Remark,
}

impl LineKind {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Context => "context",
            Self::Remark => "remark",
        }
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "\u{2212}",
            Self::Context | Self::Remark => "",
        }
    }
}

/// How many lines to keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) lines: usize,
    pub(super) lines_per_file: usize,
}

const MAX_LINE_CHARACTERS: usize = 600;

pub(super) fn parse(text: &str, room: Room) -> Patch {
    let mut patch = Patch::default();
    let mut open: Option<OpenHunk> = None;
    let mut kept = 0;
    for line in text.lines() {
        if let (Some(hunk), Some(file)) = (&mut open, patch.files.last_mut()) {
            match hunk.take(line) {
                Some(line) => {
                    file.insertions += u64::from(line.kind == LineKind::Added);
                    file.deletions += u64::from(line.kind == LineKind::Removed);
                    let file_lines: usize = file.hunks.iter().map(|hunk| hunk.lines.len()).sum();
                    match file.hunks.last_mut() {
                        Some(shown) if kept < room.lines && file_lines < room.lines_per_file => {
                            shown.lines.push(line);
                            kept += 1;
                        }
                        _ => {
                            file.left_out += 1;
                            patch.left_out += 1;
                        }
                    }
                    continue;
                }
                None => open = None,
            }
        }
        if let Some(hunk) = OpenHunk::parse(line) {
            if patch.files.is_empty() {
                patch.files.push(PatchFile::default());
            }
            if let Some(file) = patch.files.last_mut() {
                file.hunks.push(Hunk { heading: line.chars().take(MAX_LINE_CHARACTERS).collect(), lines: Vec::new() });
            }
            open = Some(hunk);
        } else {
            let starts_file = file_header::starts_file(line)
                || (line.starts_with("--- ") && patch.files.last().is_none_or(|file| !file.hunks.is_empty()));
            if starts_file {
                patch.files.push(PatchFile::default());
            }
            if let Some(file) = patch.files.last_mut() {
                file.header.read(line);
            }
        }
    }
    for file in &mut patch.files {
        file.hunks.retain(|hunk| !hunk.lines.is_empty());
    }
    patch
}

/// A hunk that still expects lines.
struct OpenHunk {
    old: u32,
    new: u32,
    old_left: u32,
    new_left: u32,
}

impl OpenHunk {
    /// `@@ -12,7 +12,9 @@ fn main() {`
    fn parse(line: &str) -> Option<Self> {
        let ranges = line.strip_prefix("@@ -")?.split(" @@").next()?;
        let (old, new) = ranges.split_once(" +")?;
        let range = |text: &str| match text.split_once(',') {
            Some((start, length)) => Some((start.parse().ok()?, length.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        };
        let ((old, old_left), (new, new_left)) = (range(old)?, range(new)?);
        Some(Self { old, new, old_left, new_left })
    }

    /// The line as part of this hunk; `None` when the hunk is over.
    fn take(&mut self, line: &str) -> Option<Line> {
        let kind = match line.as_bytes().first() {
            Some(b'\\') => LineKind::Remark,
            _ if self.old_left == 0 && self.new_left == 0 => return None,
            Some(b'+') => LineKind::Added,
            Some(b'-') => LineKind::Removed,
            // Some programs strip the blank of an empty context line.
            Some(b' ') | None => LineKind::Context,
            Some(_) => return None,
        };
        let (in_old, in_new) = match kind {
            LineKind::Added => (false, true),
            LineKind::Removed => (true, false),
            LineKind::Context => (true, true),
            LineKind::Remark => (false, false),
        };
        let old = in_old.then(|| step(&mut self.old, &mut self.old_left));
        let new = in_new.then(|| step(&mut self.new, &mut self.new_left));
        let mut text: String = line.chars().skip(1).take(MAX_LINE_CHARACTERS).collect();
        if line.chars().nth(MAX_LINE_CHARACTERS + 1).is_some() {
            text.push('…');
        }
        Some(Line { kind, old, new, text })
    }
}

/// The number of the line, which is one of those that were left.
fn step(number: &mut u32, left: &mut u32) -> u32 {
    let current = *number;
    *number = number.saturating_add(1);
    *left = left.saturating_sub(1);
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { lines: 100, lines_per_file: 100 };

    #[test]
    fn git_diffs_of_every_kind_are_read() {
        let text = "diff --git a/src/a.py b/src/a.py\nindex 1..2 100644\n--- a/src/a.py\n+++ b/src/a.py\n\
                    @@ -1,3 +1,3 @@ def f():\n x\n--- looks like a header\n+++ so does this\n y\n\\ No newline at end of file\n\
                    diff --git a/old name.txt b/new name.txt\nsimilarity index 100%\nrename from old name.txt\nrename to new name.txt\n\
                    diff --git a/logo.png b/logo.png\nnew file mode 100644\nindex 0..1\nBinary files /dev/null and b/logo.png differ\n\
                    diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n\
                    diff --git \"a/f\\303\\244.txt\" \"b/f\\303\\244.txt\"\ndeleted file mode 100644\n--- \"a/f\\303\\244.txt\"\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n";
        let patch = parse(text, ROOM);
        let files: Vec<String> = patch
            .files
            .iter()
            .map(|file| {
                let counts = format!("{} +{} -{}", file.header.name(), file.insertions, file.deletions);
                [vec![counts], file.header.remarks()].concat().join("; ")
            })
            .collect();
        insta::assert_snapshot!(files.join("\n"), @r"
        src/a.py +1 -1
        old name.txt → new name.txt +0 -0; renamed
        logo.png +0 -0; new file; binary
        run.sh +0 -0; mode 100644 → 100755
        fä.txt +0 -1; deleted
        ");
        let lines = &patch.files[0].hunks[0].lines;
        assert_eq!(
            lines[1],
            Line { kind: LineKind::Removed, old: Some(2), new: None, text: "-- looks like a header".into() }
        );
        assert_eq!(lines[3], Line { kind: LineKind::Context, old: Some(3), new: Some(3), text: "y".into() });
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let text = format!("--- a\n+++ b\n@@ -0,0 +1,200 @@\n{}", "+x\n".repeat(200));
        let patch = parse(&text, Room { lines: 100, lines_per_file: 30 });
        assert_eq!((patch.files[0].insertions, patch.left_out, patch.files[0].hunks[0].lines.len()), (200, 170, 30));
        assert_eq!(parse("no diff\nat all", ROOM).files.len(), 0);
    }
}
