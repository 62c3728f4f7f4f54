//! Output of any length in bounded memory: the head, the tail, and how much is missing between them.

use std::collections::VecDeque;

/// Keeps the first and the last half of `limit` bytes.
#[derive(Debug)]
pub(super) struct CutOutput {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_limit: usize,
    tail_limit: usize,
    total: u64,
}

impl CutOutput {
    pub(super) fn new(limit: usize) -> Self {
        let head_limit = limit / 2;
        Self { head: Vec::new(), tail: VecDeque::new(), head_limit, tail_limit: limit - head_limit, total: 0 }
    }

    pub(super) fn of(bytes: &[u8], limit: usize) -> Self {
        let mut output = Self::new(limit);
        output.push(bytes);
        output
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_limit - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// What was kept, as text; bytes that are no UTF-8 become U+FFFD.
    pub(super) fn into_text(mut self) -> String {
        let kept = (self.head.len() + self.tail.len()) as u64;
        if kept == self.total {
            self.head.extend(self.tail);
            return String::from_utf8_lossy(&self.head).into_owned();
        }
        // A character that the cut goes through counts as left out.
        let head = match std::str::from_utf8(&self.head) {
            Err(error) if error.error_len().is_none() => &self.head[..error.valid_up_to()],
            _ => &self.head,
        };
        let tail = self.tail.make_contiguous();
        let split = tail.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
        let tail = &tail[split..];
        let left_out = self.total - (head.len() + tail.len()) as u64;
        format!(
            "{}\n[... {left_out} bytes left out ...]\n{}",
            String::from_utf8_lossy(head),
            String::from_utf8_lossy(tail)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&str], limit: usize) -> String {
        let mut output = CutOutput::new(limit);
        for chunk in chunks {
            output.push(chunk.as_bytes());
        }
        output.into_text()
    }

    #[test]
    fn what_fits_comes_out_whole() {
        assert_eq!(cut(&["abc", "", "def"], 6), "abcdef");
    }

    #[test]
    fn the_middle_is_left_out_and_counted() {
        assert_eq!(cut(&["abcd", "efghij"], 6), "abc\n[... 4 bytes left out ...]\nhij");
        assert_eq!(cut(&["abcdefgh", "ij"], 5), "ab\n[... 5 bytes left out ...]\nhij");
    }

    #[test]
    fn a_character_is_never_cut_in_two() {
        assert_eq!(cut(&["aé", "xxxx", "éb"], 4), "a\n[... 8 bytes left out ...]\nb");
    }
}
