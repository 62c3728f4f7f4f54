//! Reading a unified diff for showing it: which files it changes, and any part of a file's lines with what changed within
//! them and the colours of its language.
//!
//! A patch may be hundreds of megabytes and holds whatever an agent wrote. So it is read as a stream: once for its table of
//! contents, and then only the lines that are shown. Every line is bounded, secrets in it are masked, and what takes time
//! (colours, words) is left away when the time is up.

mod binary;
mod changed_words;
mod contents;
mod file_header;
mod hunk;
mod line;
mod looks;
mod piece;
mod raw_lines;
mod reading;

use std::{
    io::Cursor,
    time::{Duration, Instant},
};

pub(crate) use contents::{Contents, FileEntry};
pub(crate) use file_header::{Change, FileKind};
pub(crate) use piece::Piece;

/// A small diff as a whole.
#[derive(Debug, Default)]
pub(crate) struct Diff {
    pub(crate) files: Vec<FileDiff>,
}

#[derive(Debug)]
pub(crate) struct FileDiff {
    pub(crate) entry: FileEntry,
    pub(crate) piece: Piece,
}

impl FileDiff {
    /// Lines of the file that are not among those read.
    pub(crate) fn left_out(&self) -> usize {
        self.entry.rows - self.piece.rows
    }
}

/// Reads a diff that is at hand, at most so many lines of each file.
pub(crate) fn parse(text: &str, rows_per_file: usize, patience: Duration) -> Diff {
    let deadline = Instant::now() + patience;
    let read = || {
        let contents = Contents::read(text.as_bytes())?;
        let with_piece = |entry: FileEntry| {
            let mut piece = Piece::read(Cursor::new(text), &entry, 0, rows_per_file)?;
            piece.dress(entry.header.path(), deadline);
            Ok(FileDiff { entry, piece })
        };
        contents.files.into_iter().map(with_piece).collect::<std::io::Result<_>>()
    };
    // Nothing fails where nothing is read from outside.
    Diff { files: read().unwrap_or_default() }
}
