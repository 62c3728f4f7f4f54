//! Masking what comes in pieces: a secret may begin in one and end in a later one.

use std::io::{self, Write};

use super::{MASK, mask_bytes, patterns};

/// Masks a stream. What may be the beginning of a secret is held back until more comes or the stream ends.
#[derive(Debug, Default)]
pub(crate) struct MaskedStream {
    held: Vec<u8>,
    /// So many bytes of `held` belong to a secret that stands masked in the output already.
    masked: usize,
    found: u64,
}

/// Nothing that long is one secret: line ends without an end after its first letter, perhaps.
const MAX_HELD: usize = 64 * 1024;

impl MaskedStream {
    /// What can be passed on, now that `bytes` came.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let patterns = patterns();
        let mut until = patterns.begun(&self.held);
        if self.held.len() - until > MAX_HELD {
            until = self.held.len();
        }
        self.pass_on(until)
    }

    /// The rest.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.pass_on(self.held.len())
    }

    /// How many secrets were masked so far.
    pub(crate) fn found(&self) -> u64 {
        self.found
    }

    fn pass_on(&mut self, until: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(until);
        let mut at = self.masked;
        for range in patterns().find(&self.held) {
            // The end of one secret can be the beginning of another.
            if range.start < at {
                at = at.max(range.end);
                continue;
            }
            if range.start >= until {
                break;
            }
            out.extend_from_slice(&self.held[at..range.start]);
            out.extend_from_slice(MASK.as_bytes());
            self.found += 1;
            at = range.end;
        }
        if at < until {
            out.extend_from_slice(&self.held[at..until]);
            at = until;
        }
        self.held.drain(..until);
        self.masked = at - until;
        out
    }
}

/// A writer for what comes whole: each call of `write` is masked by itself.
#[derive(Debug)]
pub(crate) struct MaskedWriter<W>(pub(crate) W);

impl<W: Write> Write for MaskedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(&mask_bytes(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
