//! Some lines of one file of a patch.

use std::{
    io::{self, BufRead, Seek, SeekFrom},
    time::Instant,
};

use super::{
    contents::FileEntry,
    hunk::Hunk,
    line::Line,
    looks,
    raw_lines::{MAX_BYTES, RawLines},
    reading::{Item, Reading},
};
use crate::{domain::patch::Side, redact};

#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// Lines of the file's hunks before these.
    pub(crate) from: usize,
    pub(crate) rows: usize,
    pub(crate) hunks: Vec<Hunk>,
}

const MAX_HEADING_CHARACTERS: usize = 200;
const MAX_TEXT_BYTES: usize = 1024 * 1024;

impl Piece {
    /// Reads at most `max_rows` lines after the first `from` ones.
    pub(crate) fn read(patch: impl BufRead + Seek, file: &FileEntry, from: usize, max_rows: usize) -> io::Result<Self> {
        let mut piece = Self { from, ..Self::default() };
        if file.rows == 0 {
            return Ok(piece);
        }
        let mut heading = None;
        let mut seen = 0;
        walk(patch, file, |item, raw| {
            match item {
                Item::Hunk => heading = Some(heading_of(raw)),
                Item::Line { kind, old, new } => {
                    seen += 1;
                    if seen > from + max_rows {
                        return false;
                    }
                    if seen <= from {
                        heading = None;
                        return true;
                    }
                    if heading.is_some() || piece.hunks.is_empty() {
                        piece.hunks.push(Hunk::new(heading.take()));
                    }
                    let text = raw.get(1..).unwrap_or_default();
                    let text = if file.has_crlf { text.strip_suffix(b"\r").unwrap_or(text) } else { text };
                    if let Some(hunk) = piece.hunks.last_mut() {
                        hunk.lines.push(Line::new(kind, old, new, text));
                        piece.rows += 1;
                    }
                }
                Item::NoNewline => {
                    if let Some(line) = piece.hunks.last_mut().and_then(|hunk| hunk.lines.last_mut()) {
                        line.is_unfinished = true;
                    }
                }
                Item::File | Item::Header => {}
            }
            true
        })?;
        Ok(piece)
    }

    /// How many lines of the file's hunks stand before the one with this number.
    pub(crate) fn rows_before(
        patch: impl BufRead + Seek,
        file: &FileEntry,
        side: Side,
        number: u32,
    ) -> io::Result<Option<usize>> {
        let (mut seen, mut found) = (0, None);
        walk(patch, file, |item, _| {
            if let Item::Line { old, new, .. } = item {
                if number == if side == Side::Old { old } else { new }.unwrap_or(0) {
                    found = Some(seen);
                }
                seen += 1;
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// The text of a file that the patch makes; none when it is larger than a clipboard is for.
    pub(crate) fn new_text(patch: impl BufRead + Seek, file: &FileEntry) -> io::Result<Option<String>> {
        let (mut text, mut fits) = (Vec::new(), true);
        walk(patch, file, |item, raw| {
            match item {
                Item::Line { .. } => {
                    text.extend_from_slice(raw.get(1..).unwrap_or_default());
                    text.push(b'\n');
                }
                Item::NoNewline => drop(text.pop()),
                Item::File | Item::Header | Item::Hunk => {}
            }
            fits &= raw.len() < MAX_BYTES && text.len() <= MAX_TEXT_BYTES;
            fits
        })?;
        Ok(fits.then(|| String::from_utf8_lossy(&text).into_owned()))
    }

    /// Finds out which words changed, and colours the lines as the language of the file has it, until the deadline.
    pub(crate) fn dress(&mut self, path: &str, deadline: Instant) {
        let language = looks::language(path);
        for hunk in &mut self.hunks {
            hunk.find_changed_words(deadline);
            if let Some(language) = language {
                looks::give(&mut hunk.lines, language, deadline);
            }
        }
    }
}

/// Goes through the lines of a file until `see` has seen enough.
fn walk(mut patch: impl BufRead + Seek, file: &FileEntry, mut see: impl FnMut(Item, &[u8]) -> bool) -> io::Result<()> {
    if file.rows == 0 {
        return Ok(());
    }
    patch.seek(SeekFrom::Start(file.offset))?;
    let (mut lines, mut reading) = (RawLines::from(patch, file.offset), Reading::within_file());
    while let Some(line) = lines.next()? {
        let item = reading.take(line.bytes);
        if matches!(item, Item::File | Item::Header) || !see(item, line.bytes) {
            break;
        }
    }
    Ok(())
}

fn heading_of(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    redact::mask(&text).chars().take(MAX_HEADING_CHARACTERS).collect()
}
