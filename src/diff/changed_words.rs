//! Which removed line became which added line, and which words of them changed.
//!
//! A removed line belongs to the first of the next added lines that is much like it, as in `delta`: lines keep their order,
//! so looking a little ahead is enough.

use std::{ops::Range, time::Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

pub(super) struct Pair {
    /// Places among the lines.
    pub(super) removed: usize,
    pub(super) added: usize,
    /// Bytes.
    pub(super) changed_in_removed: Vec<Range<usize>>,
    pub(super) changed_in_added: Vec<Range<usize>>,
}

const LOOK_AHEAD: usize = 6;
/// Beyond that a block is rather new than changed, and its words are of no use.
const MAX_LINES: usize = 400;
/// Percent of two lines that have to be the same.
const ALIKE: usize = 50;

/// The pairs, in order; those that were found until the deadline.
pub(super) fn pairs(removed: &[String], added: &[String], deadline: Instant) -> Vec<Pair> {
    let (mut pairs, mut next) = (Vec::new(), 0);
    if removed.len() > MAX_LINES || added.len() > MAX_LINES {
        return pairs;
    }
    let added: Vec<Vec<&str>> = added.iter().map(|line| words(line)).collect();
    for (at, old) in removed.iter().enumerate() {
        let old = words(old);
        for candidate in (next..added.len()).take(LOOK_AHEAD) {
            if Instant::now() > deadline {
                return pairs;
            }
            let Some((changed_in_removed, changed_in_added)) = compare(&old, &added[candidate], deadline) else {
                continue;
            };
            pairs.push(Pair { removed: at, added: candidate, changed_in_removed, changed_in_added });
            next = candidate + 1;
            break;
        }
    }
    pairs
}

type Changed = (Vec<Range<usize>>, Vec<Range<usize>>);

/// What differs; none when the lines have little in common.
fn compare(old: &[&str], new: &[&str], deadline: Instant) -> Option<Changed> {
    let (mut in_old, mut in_new, mut same) = (Vec::new(), Vec::new(), 0);
    for operation in capture_diff_slices_deadline(Algorithm::Myers, old, new, Some(deadline)) {
        let (_, old_range, new_range) = operation.as_tag_tuple();
        if matches!(operation, DiffOp::Equal { .. }) {
            same += visible(&old[old_range]);
        } else {
            in_old.push(old_range);
            in_new.push(new_range);
        }
    }
    let all = visible(old) + visible(new);
    (2 * same * 100 >= all * ALIKE).then(|| (in_bytes(old, in_old), in_bytes(new, in_new)))
}

/// White space makes no line like another one.
fn visible(words: &[&str]) -> usize {
    words.iter().filter(|word| !is_blank(word)).map(|word| word.len()).sum()
}

fn is_blank(word: &str) -> bool {
    word.chars().all(char::is_whitespace)
}

/// From words to bytes; what only white space keeps apart is one.
fn in_bytes(words: &[&str], changed: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    starts.extend(words.iter().scan(0, |end, word| {
        *end += word.len();
        Some(*end)
    }));
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut last = 0;
    for words_changed in changed.into_iter().filter(|range| !range.is_empty()) {
        let range = starts[words_changed.start]..starts[words_changed.end];
        match ranges.last_mut() {
            Some(before) if words[last..words_changed.start].iter().all(|word| is_blank(word)) => {
                before.end = range.end;
            }
            _ => ranges.push(range),
        }
        last = words_changed.end;
    }
    ranges
}

/// Names and numbers, runs of white space, and single other characters. A script that writes without blanks changes by the
/// character.
fn words(line: &str) -> Vec<&str> {
    let (mut words, mut start, mut kind) = (Vec::new(), 0, None);
    for (at, c) in line.char_indices() {
        let this = match c {
            '_' => Some(Run::Name),
            c if c.is_ascii_alphanumeric() || (c.is_alphanumeric() && c < '\u{2e80}') => Some(Run::Name),
            c if c.is_whitespace() => Some(Run::Blank),
            _ => None,
        };
        if at > start && (this.is_none() || this != kind) {
            words.push(&line[start..at]);
            start = at;
        }
        kind = this;
    }
    if start < line.len() {
        words.push(&line[start..]);
    }
    words
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Name,
    Blank,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Changed words in brackets.
    fn shown(removed: &[&str], added: &[&str]) -> Vec<String> {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let bracketed = |line: &str, ranges: &[Range<usize>]| {
            let mut text = line.to_owned();
            for range in ranges.iter().rev() {
                text.insert(range.end, ']');
                text.insert(range.start, '[');
            }
            text
        };
        let pairs = pairs(&owned(removed), &owned(added), Instant::now() + Duration::from_mins(1));
        let text = |pair: &Pair| {
            let old = bracketed(removed[pair.removed], &pair.changed_in_removed);
            format!("{old} => {}", bracketed(added[pair.added], &pair.changed_in_added))
        };
        pairs.iter().map(text).collect()
    }

    #[test]
    fn changed_words_of_lines_that_belong_together() {
        assert_eq!(
            shown(&["return year % 4 == 0"], &["return year % 400 == 0"]),
            ["return year % [4] == 0 => return year % [400] == 0"]
        );
        assert_eq!(
            shown(&["  let a = f(x);"], &["", "    let a = f(y, z);"]),
            ["[  ]let a = f([x]); => [    ]let a = f([y, z]);"]
        );
        assert_eq!(shown(&["a b\t"], &["a b"]), ["a b[\t] => a b"]);
        assert_eq!(shown(&["今天天气很好"], &["今天天气不好"]), ["今天天气[很]好 => 今天天气[不]好"]);
        assert!(shown(&["something"], &["entirely different"]).is_empty());
    }

    #[test]
    fn a_block_without_end_takes_no_time() {
        let lines = vec!["x".repeat(600); 5000];
        assert!(pairs(&lines, &lines, Instant::now() + Duration::from_mins(1)).is_empty());
        assert!(pairs(&lines[..300], &lines[..300], Instant::now()).is_empty());
    }
}
