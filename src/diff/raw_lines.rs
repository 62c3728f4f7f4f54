//! The lines of a patch as bytes. Of a line without end only the beginning is kept.

use std::io::{self, BufRead, Read};

/// More of a line is never shown.
pub(super) const MAX_BYTES: usize = 64 * 1024;

pub(super) struct RawLines<R> {
    reader: R,
    line: Vec<u8>,
    /// Where the next line begins.
    offset: u64,
}

pub(super) struct RawLine<'a> {
    /// Without the line feed.
    pub(super) bytes: &'a [u8],
    pub(super) offset: u64,
}

impl<R: BufRead> RawLines<R> {
    /// Of a reader that stands at this place of the patch.
    pub(super) fn from(reader: R, offset: u64) -> Self {
        Self { reader, line: Vec::new(), offset }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        self.line.clear();
        let offset = self.offset;
        let mut read = self.reader.by_ref().take(MAX_BYTES as u64).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else {
            read += self.reader.skip_until(b'\n')?;
        }
        self.offset += read as u64;
        Ok(Some(RawLine { bytes: &self.line, offset }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_costs_no_memory() {
        let long = [&vec![b'x'; 300_000][..], b"\nshort\n\nlast"].concat();
        let mut lines = RawLines::from(&long[..], 10);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            seen.push((line.bytes.len(), line.offset));
        }
        assert_eq!(seen, [(65_536, 10), (5, 300_011), (0, 300_017), (4, 300_018)]);
    }
}
