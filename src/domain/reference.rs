//! References to lines of the code, as models and people write them: `path:line`, `path:start-end`, `path#L12-L20`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Lines of a file; they count from 1, both ends belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// Relative to the code, with slashes.
    pub(crate) path: String,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A reference that was looked up in the code the agent saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckedReference {
    #[serde(flatten)]
    pub(crate) reference: Reference,
    /// Why it points nowhere; none when the file and the lines are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// A reference within a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: Range<usize>,
    pub(super) reference: Reference,
    pub(super) likeness: Likeness,
}

/// `a.rs:3` can hardly be anything else; `python:3` and `example.org:80` are references only where there is such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    Sure,
    Doubtful,
}

/// Where the agent has the code.
const CODE: &str = "/app/code/";
const MAX_PATH_BYTES: usize = 1024;
/// More digits are no line.
const MAX_DIGITS: usize = 7;
/// What a name ends with that is rather a host than a file.
const HOSTS: [&str; 11] = ["com", "org", "net", "io", "dev", "cn", "edu", "local", "localhost", "internal", "example"];

impl CheckedReference {
    pub(crate) fn is_valid(&self) -> bool {
        self.problem.is_none()
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.path, self.start)?;
        if self.end == self.start { Ok(()) } else { write!(formatter, "-{}", self.end) }
    }
}

/// The references in a text, in order. Their paths have the characters that file names of code usually have; others stand
/// in back-ticks, which is for [`whole`].
pub(super) fn found_in(text: &str) -> Vec<Found> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '@' | '+' | '~' | '-');
    let mut found: Vec<Found> = Vec::new();
    for (at, _) in text.match_indices([':', '#']) {
        let taken = found.last().map_or(0, |last| last.at.end);
        if at < taken {
            continue;
        }
        let Some(lines) = Lines::read(&text[at..]) else { continue };
        let before = &text[taken..at];
        let start = before.char_indices().rev().take_while(|(_, c)| is_path(*c)).last();
        let Some((start, _)) = start else { continue };
        let end = at + lines.length;
        if !is_end(&text[end..]) {
            continue;
        }
        if let Some((reference, likeness)) = reference(&before[start..], &lines) {
            found.push(Found { at: taken + start..end, reference, likeness });
        }
    }
    found
}

/// The reference that is all of the text, whatever characters its path has.
pub(super) fn whole(text: &str) -> Option<(Reference, Likeness)> {
    let lines = text.match_indices([':', '#']).find_map(|(at, _)| {
        let lines = Lines::read(&text[at..])?;
        (at + lines.length == text.len()).then_some((at, lines))
    });
    let (at, lines) = lines?;
    reference(&text[..at], &lines)
}

fn reference(path: &str, lines: &Lines) -> Option<(Reference, Likeness)> {
    let path = path.strip_prefix(CODE).unwrap_or(path);
    let path = path.strip_prefix("./").unwrap_or(path);
    let is_odd = |name: &str| name.is_empty() || name == ".." || name == ".";
    let is_file = !path.starts_with('~')
        && path.len() <= MAX_PATH_BYTES
        && !path.contains(['\n', '\\'])
        && !path.split('/').any(is_odd)
        && path.contains(char::is_alphabetic);
    let reference = Reference { path: path.to_owned(), start: lines.start, end: lines.end };
    is_file.then(|| (reference, likeness(path)))
}

fn likeness(path: &str) -> Likeness {
    let after_dot = |name: &str| name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    let mut names = path.split('/');
    let first = names.next().unwrap_or_default();
    let last = names.next_back().unwrap_or(first);
    let is_host = after_dot(first).is_some_and(|end| HOSTS.contains(&end.as_str()));
    let has_extension = after_dot(last).is_some_and(|end| {
        end.starts_with(|c: char| c.is_ascii_alphabetic())
            && end.len() <= 12
            && end.chars().all(|c| c.is_ascii_alphanumeric())
    });
    if has_extension && !is_host { Likeness::Sure } else { Likeness::Doubtful }
}

/// Whether a reference may end before `rest`: not in the middle of a word, a version or an address.
fn is_end(rest: &str) -> bool {
    let mut rest = rest.chars();
    match rest.next() {
        None => true,
        Some('.' | ':' | '-' | '\u{2013}' | ',') => !rest.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => !c.is_ascii_alphanumeric() && !matches!(c, '_' | '/'),
    }
}

/// `:12`, `:12-20`, `:12:5` (line and column), `#L12`, `:L12-L20`; also with an en dash.
#[derive(Debug, PartialEq)]
struct Lines {
    start: u32,
    end: u32,
    /// In bytes, with the sign before it.
    length: usize,
}

impl Lines {
    /// `text` begins with the sign between path and line.
    fn read(text: &str) -> Option<Self> {
        let after = if text.starts_with('#') { text.strip_prefix("#L")? } else { text.strip_prefix(':')? };
        let (start, after) = number(after)?;
        let of_range = after.strip_prefix('-').or_else(|| after.strip_prefix('\u{2013}')).and_then(number);
        let column = || Some((start, number(after.strip_prefix(':')?)?.1));
        let (end, after) = of_range.or_else(column).unwrap_or((start, after));
        Some(Self { start, end, length: text.len() - after.len() })
    }
}

/// A number, maybe after an `L`, and what follows it.
fn number(text: &str) -> Option<(u32, &str)> {
    let text = text.strip_prefix('L').unwrap_or(text);
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if !(1..=MAX_DIGITS).contains(&digits) {
        return None;
    }
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sure(text: &str) -> Vec<String> {
        let found = found_in(text).into_iter().filter(|found| found.likeness == Likeness::Sure);
        found.map(|found| found.reference.to_string()).collect()
    }

    #[test]
    fn references_are_found_wherever_they_stand_in_a_sentence() {
        for (text, expected) in [
            ("See src/a.rs:12.", "src/a.rs:12"),
            ("(src/a.rs:12-20), and", "src/a.rs:12-20"),
            ("src/a.rs:12\u{2013}20: this", "src/a.rs:12-20"),
            ("at ./src/a.rs:12:5: error", "src/a.rs:12"),
            ("in /app/code/src/a.rs:12?", "src/a.rs:12"),
            ("blob a.rs#L3-L9!", "a.rs:3-9"),
            ("[a-b/c_d.test.ts:L7]", "a-b/c_d.test.ts:7"),
            ("见src/a.py:3。", "src/a.py:3"),
            (".github/workflows/ci.yml:4;", ".github/workflows/ci.yml:4"),
            ("a.rs:1,b.rs:2", "a.rs:1 b.rs:2"),
        ] {
            assert_eq!(sure(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            "http://localhost:8080/x",
            "at 12:30",
            "127.0.0.1:80",
            "example.org:443",
            "docker.io/library/python.x:3",
            "python:3.11",
            "a.py:3.11",
            "std::vec::Vec",
            "a.rs:12abc",
            "a.rs:123456789",
            "/usr/lib/python3/os.py:12",
            "../a.rs:3",
            "~/a.rs:3",
            "a.rs: 12",
            "host.x:80/path",
        ] {
            assert_eq!(sure(text), Vec::<String>::new(), "{text}");
        }
        let makefile = found_in("Makefile:3 and python:3");
        assert!(makefile.iter().all(|found| found.likeness == Likeness::Doubtful) && makefile.len() == 2);
    }

    #[test]
    fn alone_a_path_may_hold_anything() {
        for (text, expected) in [
            ("my file (1).txt:3-4", "my file (1).txt:3-4"),
            ("app/[id]/page.tsx#L12", "app/[id]/page.tsx:12"),
            ("Größe: a:b.md:9", "Größe: a:b.md:9"),
        ] {
            assert_eq!(whole(text).unwrap().0.to_string(), expected);
        }
        assert_eq!(whole("a.rs:3 and more"), None);
    }
}
