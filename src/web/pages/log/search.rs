//! Which lines of a log hold a text. Colours are looked through, small and capital letters are the same.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use memchr::memmem::Finder;

use super::{
    super::{
        figures,
        terminal::{self, Painter},
    },
    part::{LogLine, line_number_at},
};

#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) lines: Vec<LogLine>,
    /// Where to look on, if not all of the file was looked at.
    pub(super) next: Option<u64>,
}

impl Found {
    /// What came of it.
    pub(super) fn words(&self, text: &str) -> String {
        let count = self.lines.len() as u64;
        match (self.next, count) {
            (None, 1) => tr!("1 line holds “{text}”.", text = text),
            (None, _) => tr!("{n} lines hold “{text}”.", n = figures::count(count), text = text),
            (Some(_), _) => tr!("{n} lines so far hold “{text}”.", n = figures::count(count), text = text),
        }
    }
}

/// One request looks at that much, and shows that many.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
const MAX_LINES: usize = 300;
/// What is beyond that in one line is not looked at.
const MAX_LINE_BYTES: u64 = 64 * 1024;

pub(super) fn search(file: &mut File, text: &str, from: u64) -> io::Result<Found> {
    let mut number = line_number_at(file, from)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(from))?;
    let wanted = text.to_lowercase();
    let finder = Finder::new(&wanted);
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let mut found = Found::default();
    let (mut at, mut line) = (from, Vec::new());
    while at < size && at - from < MAX_BYTES && found.lines.len() < MAX_LINES {
        line.clear();
        let mut read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok(found);
        }
        if !line.ends_with(b"\n") && read == MAX_LINE_BYTES {
            // The rest of a long line, within the bounds of one request.
            read += reader.by_ref().take(MAX_BYTES).skip_until(b'\n')? as u64;
        }
        at += read;
        if holds(&line, &finder) {
            found.lines.push(LogLine { number, ..LogLine::new(&line, &mut Painter::default()) });
        }
        number = number.map(|number| number + 1);
    }
    found.next = (at < size).then_some(at);
    Ok(found)
}

fn holds(line: &[u8], wanted: &Finder<'_>) -> bool {
    let text = String::from_utf8_lossy(line);
    let text = if text.contains('\x1b') { terminal::plain(&text) } else { text.into_owned() };
    wanted.find(text.to_lowercase().as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_text_is_found_beneath_its_colours() {
        let mut log = tempfile::tempfile().unwrap();
        log.write_all("ok\n\x1b[31mErr\x1b[0mor: Übung\nok\nerror".as_bytes()).unwrap();
        let numbers = |text: &str, log: &mut File| {
            search(log, text, 0).unwrap().lines.into_iter().map(|line| line.number.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(numbers("ERROR", &mut log), [2, 4]);
        assert_eq!(numbers("übung", &mut log), [2]);
        assert!(numbers("[31m", &mut log).is_empty());
    }

    #[test]
    fn a_search_ends_and_can_go_on() {
        let mut log = tempfile::tempfile().unwrap();
        log.write_all("yes\n".repeat(500).as_bytes()).unwrap();
        let first = search(&mut log, "yes", 0).unwrap();
        assert_eq!((first.lines.len(), first.next), (300, Some(1200)));
        let rest = search(&mut log, "yes", 1200).unwrap();
        assert_eq!((rest.lines.len(), rest.lines[0].number, rest.next), (200, Some(301), None));
    }
}
