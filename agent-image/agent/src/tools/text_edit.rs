//! The ways to change a text, on strings alone.

use super::similar_lines;
use super::text_file::{LineEnding, lines};

/// One way to change a text. Lines count from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    Whole(String),
    /// After this line; before the first one without.
    Insert {
        after: Option<usize>,
        text: String,
    },
    /// First and last line, both included.
    ReplaceLines {
        first: usize,
        last: usize,
        text: String,
    },
    /// A text that occurs exactly once.
    ReplaceText {
        old: String,
        new: String,
    },
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EditError {
    #[error("there is no line {line}: the file has {count} lines, counted from 0")]
    NoSuchLine { line: usize, count: usize },
    #[error("replace_lines: the first line {first} comes after the last one {last}")]
    Backwards { first: usize, last: usize },
    #[error("old_text occurs {count} times; give more of the lines around it, so that it occurs once")]
    Ambiguous { count: usize },
    #[error("old_text does not occur in the file.{similar}")]
    NotFound { similar: String },
    #[error("old_text and new_text are the same")]
    SameText,
}

/// The text after the edit, with the line ends of the file and, at its end, a newline exactly when there was one.
pub(super) fn apply(edit: &Edit, original: &str) -> Result<String, EditError> {
    let ending = LineEnding::of(original);
    match edit {
        Edit::Whole(text) => Ok(ending.adapt(text)),
        Edit::Insert { after, text } => {
            let at = match *after {
                None => 0,
                Some(line) => existing(line, original)? + 1,
            };
            Ok(splice(original, at..at, &ending.adapt(text), ending))
        }
        Edit::ReplaceLines { first, last, .. } if first > last => {
            Err(EditError::Backwards { first: *first, last: *last })
        }
        Edit::ReplaceLines { first, last, text } => {
            let range = *first..existing(*last, original)? + 1;
            Ok(splice(original, range, &ending.adapt(text), ending))
        }
        Edit::ReplaceText { old, new } => replace_text(original, old, new, ending),
    }
}

fn existing(line: usize, text: &str) -> Result<usize, EditError> {
    let count = lines(text).len();
    if line < count { Ok(line) } else { Err(EditError::NoSuchLine { line, count }) }
}

fn splice(original: &str, range: std::ops::Range<usize>, text: &str, ending: LineEnding) -> String {
    let lines = lines(original);
    let (before, after) = (lines[..range.start].concat(), lines[range.end..].concat());
    let newline = ending.as_str();
    let mut result = before;
    if !text.is_empty() {
        if !result.is_empty() && !result.ends_with('\n') {
            result.push_str(newline);
        }
        result.push_str(text.strip_suffix(newline).unwrap_or(text));
        // An empty file has no habit to keep: there the text stays as it was given.
        let ends = if original.is_empty() { text.ends_with('\n') } else { original.ends_with('\n') };
        if !after.is_empty() || ends {
            result.push_str(newline);
        }
    }
    result + &after
}

fn replace_text(original: &str, old: &str, new: &str, ending: LineEnding) -> Result<String, EditError> {
    if old == new {
        return Err(EditError::SameText);
    }
    if original.contains(old) {
        return replace_once(original, old, &ending.adapt(new));
    }
    // Also in a file of mixed ends the old text may stand where lines end in `\r\n`.
    let adapted = LineEnding::CrLf.adapt(old);
    if original.contains(&adapted) {
        return replace_once(original, &adapted, &LineEnding::CrLf.adapt(new));
    }
    Err(EditError::NotFound { similar: similar_lines::describe(original, old) })
}

fn replace_once(original: &str, old: &str, new: &str) -> Result<String, EditError> {
    // First and last place instead of a count alone: occurrences that overlap are two as well.
    if original.find(old) == original.rfind(old) {
        Ok(original.replacen(old, new, 1))
    } else {
        Err(EditError::Ambiguous { count: original.matches(old).count().max(2) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_overlaps_itself_is_ambiguous() {
        let edit = Edit::ReplaceText { old: "aa".into(), new: "b".into() };
        assert_eq!(apply(&edit, "aaa"), Err(EditError::Ambiguous { count: 2 }));
    }

    #[test]
    fn an_insertion_keeps_a_missing_final_newline() {
        let edit = Edit::Insert { after: Some(1), text: "c\n".into() };
        assert_eq!(apply(&edit, "a\nb").unwrap(), "a\nb\nc");
    }

    #[test]
    fn in_mixed_line_ends_the_old_text_is_found_in_either() {
        let edit = Edit::ReplaceText { old: "b\nc".into(), new: "x\ny".into() };
        assert_eq!(apply(&edit, "a\nb\r\nc\r\n").unwrap(), "a\nx\r\ny\r\n");
    }
}
