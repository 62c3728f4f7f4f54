//! A part of a log as lines: however large the file is, a page shows some of it.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use super::super::terminal::{Painter, Run};
use crate::redact;

/// From where to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web::pages) enum Place {
    /// From this byte on.
    From(u64),
    /// What comes before this byte.
    Before(u64),
    End,
    /// This line and some above it; 1 is the first.
    Line(u64),
}

/// How much to show at most.
#[derive(Debug, Clone, Copy)]
pub(in crate::web::pages) struct Room {
    pub(in crate::web::pages) bytes: u64,
    pub(in crate::web::pages) lines: usize,
}

/// A page of a log: below a megabyte of HTML, whatever is in it.
pub(in crate::web::pages) const PAGE: Room = Room { bytes: 128 * 1024, lines: 1500 };

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::web::pages) struct LogPart {
    pub(in crate::web::pages) lines: Vec<LogLine>,
    /// The bytes that are shown, in the file.
    pub(in crate::web::pages) start: u64,
    /// Where the next part begins: at the last line, if that has no end yet.
    pub(in crate::web::pages) end: u64,
    /// Of the whole file.
    pub(in crate::web::pages) size: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::web::pages) struct LogLine {
    /// None far into a large file, where nobody has counted.
    pub(in crate::web::pages) number: Option<u64>,
    pub(in crate::web::pages) runs: Vec<Run>,
    /// Bytes of the line that are not shown.
    pub(in crate::web::pages) left_out: u64,
    /// It may go on: the file ends in it.
    pub(in crate::web::pages) is_open: bool,
}

/// Lines are counted up to here.
pub(super) const COUNTED_BYTES: u64 = 64 * 1024 * 1024;
const MAX_LINE_BYTES: usize = 8 * 1024;
/// Lines above one that was asked for.
const ABOVE: u64 = 20;

impl LogPart {
    pub(in crate::web::pages) fn read(file: &mut File, place: Place, room: Room) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let (start, end) = match place {
            Place::From(at) => (at.min(size), size),
            Place::Before(at) => (at.min(size).saturating_sub(room.bytes), at.min(size)),
            Place::End => (size.saturating_sub(room.bytes), size),
            Place::Line(line) => (start_of_line(file, line.saturating_sub(ABOVE).max(1))?, size),
        };
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take((end - start).min(room.bytes)).read_to_end(&mut bytes)?;
        let read_end = start + bytes.len() as u64;
        let mut lines: Vec<(u64, &[u8])> = Vec::new();
        let mut at = start;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            lines.push((at, line));
            at += line.len() as u64;
        }
        if matches!(place, Place::Before(_) | Place::End) {
            // The first one may be the rest of a line, and the last ones are wanted.
            let rest = usize::from(start > 0 && lines.len() > 1);
            lines.drain(..rest.max(lines.len().saturating_sub(room.lines)));
        } else {
            if read_end < size && lines.len() > 1 && lines.last().is_some_and(|(_, line)| !line.ends_with(b"\n")) {
                lines.pop();
            }
            lines.truncate(room.lines);
        }
        let start = lines.first().map_or(start, |(at, _)| *at);
        let mut number = line_number_at(file, start)?;
        let mut part = Self { lines: Vec::new(), start, end: start, size };
        let mut painter = Painter::default();
        for (at, line) in lines {
            let ended = line.ends_with(b"\n");
            let is_open = !ended && at + line.len() as u64 == size;
            part.end = if is_open { at } else { at + line.len() as u64 };
            part.lines.push(LogLine { number, is_open, ..LogLine::new(line, &mut painter) });
            number = number.map(|number| number + u64::from(ended));
        }
        Ok(part)
    }

    /// The first and the last line that are shown.
    pub(in crate::web::pages) fn numbers(&self) -> Option<(u64, u64)> {
        Some((self.lines.first()?.number?, self.lines.last()?.number?))
    }

    /// Whether something comes after what is shown.
    pub(in crate::web::pages) fn goes_on(&self) -> bool {
        self.end < self.size && !self.lines.last().is_some_and(|line| line.is_open)
    }
}

impl LogLine {
    pub(super) fn new(bytes: &[u8], painter: &mut Painter) -> Self {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let shown = &bytes[..bytes.len().min(MAX_LINE_BYTES)];
        let left_out = (bytes.len() - shown.len()) as u64;
        let runs = painter.line(&redact::mask(&String::from_utf8_lossy(shown)));
        Self { number: None, runs, left_out, is_open: false }
    }
}

/// The number of the line that begins at `offset`; none where that is too far to count.
pub(super) fn line_number_at(file: &mut File, offset: u64) -> io::Result<Option<u64>> {
    if offset > COUNTED_BYTES {
        return Ok(None);
    }
    let mut number = 1;
    for_each_chunk(file, offset, |_, chunk| {
        number += memchr::memchr_iter(b'\n', chunk).count() as u64;
        None::<()>
    })?;
    Ok(Some(number))
}

/// Where a line begins. The end of what is counted where it is not found.
fn start_of_line(file: &mut File, line: u64) -> io::Result<u64> {
    let mut missing = line.saturating_sub(1);
    if missing == 0 {
        return Ok(0);
    }
    let mut last = 0;
    let found = for_each_chunk(file, COUNTED_BYTES, |at, chunk| {
        for newline in memchr::memchr_iter(b'\n', chunk) {
            last = at + newline as u64 + 1;
            missing -= 1;
            if missing == 0 {
                return Some(last);
            }
        }
        None
    })?;
    Ok(found.unwrap_or(last))
}

fn for_each_chunk<T>(
    file: &mut File,
    bytes: u64,
    mut look: impl FnMut(u64, &[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    file.seek(SeekFrom::Start(0))?;
    let mut rest = file.take(bytes);
    let mut chunk = vec![0; 256 * 1024];
    let mut at = 0;
    loop {
        let read = rest.read(&mut chunk)?;
        if read == 0 {
            return Ok(None);
        }
        if let Some(found) = look(at, &chunk[..read]) {
            return Ok(Some(found));
        }
        at += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const SMALL: Room = Room { bytes: 10, lines: 3 };

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn shown(file: &mut File, place: Place) -> (Vec<String>, u64, u64) {
        let part = LogPart::read(file, place, SMALL).unwrap();
        let line = |line: &LogLine| {
            let text: String = line.runs.iter().map(|run| &*run.text).collect();
            format!("{}:{text}{}", line.number.unwrap(), if line.is_open { "…" } else { "" })
        };
        (part.lines.iter().map(line).collect(), part.start, part.end)
    }

    #[test]
    fn parts_follow_each_other_without_a_gap() {
        let mut log = file(b"a\nbb\n\nccc\ndddd\nopen");
        assert_eq!(shown(&mut log, Place::From(0)), (vec!["1:a".into(), "2:bb".into(), "3:".into()], 0, 6));
        assert_eq!(shown(&mut log, Place::From(6)), (vec!["4:ccc".into(), "5:dddd".into()], 6, 15));
        assert_eq!(shown(&mut log, Place::From(15)), (vec!["6:open…".into()], 15, 15));
        assert_eq!(shown(&mut log, Place::End), (vec!["5:dddd".into(), "6:open…".into()], 10, 15));
        assert_eq!(shown(&mut log, Place::Before(10)), (vec!["2:bb".into(), "3:".into(), "4:ccc".into()], 2, 10));
        assert_eq!(shown(&mut log, Place::Line(22)).0, ["2:bb", "3:", "4:ccc"], "some lines above are shown too");
        assert_eq!(shown(&mut log, Place::From(99)), (vec![], 19, 19));
        assert_eq!(shown(&mut file(b""), Place::End), (vec![], 0, 0));
    }

    #[test]
    fn r58_a_line_without_end_comes_in_parts() {
        let mut log = file(&[b'x'; 25]);
        let part = LogPart::read(&mut log, Place::From(0), SMALL).unwrap();
        assert_eq!((part.lines.len(), part.end, part.goes_on()), (1, 10, true));
        let part = LogPart::read(&mut log, Place::From(20), SMALL).unwrap();
        assert_eq!((part.lines[0].is_open, part.end, part.goes_on()), (true, 20, false));
        assert_eq!(LogLine::new(&[b'x'; 9000], &mut Painter::default()).left_out, 9000 - 8192);
    }
}
