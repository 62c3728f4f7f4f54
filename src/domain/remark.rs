//! What a person remarks on a line of a diff.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::patch::Side;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) number: u32,
    pub(crate) line: RemarkedLine,
    pub(crate) text: RemarkText,
}

/// A line of a diff with its text, by which it is known when it has moved since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemarkedLine {
    pub(crate) path: String,
    pub(crate) side: Side,
    pub(crate) number: u32,
    pub(crate) text: String,
}

/// Not empty, at most 4000 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RemarkText(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum RemarkTextError {
    #[error("say what is to be said of this line")]
    Empty,
    #[error("a remark has at most 4000 characters; what is longer belongs into the instruction")]
    TooLong,
}

const MAX_CHARACTERS: usize = 4000;

impl RemarkText {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RemarkText {
    type Error = RemarkTextError;

    fn try_from(text: String) -> Result<Self, RemarkTextError> {
        let text = text.replace("\r\n", "\n").replace('\0', "").trim().to_owned();
        match text.chars().count() {
            0 => Err(RemarkTextError::Empty),
            characters if characters > MAX_CHARACTERS => Err(RemarkTextError::TooLong),
            _ => Ok(Self(text)),
        }
    }
}

impl From<RemarkText> for String {
    fn from(text: RemarkText) -> Self {
        text.0
    }
}

/// An instruction with the remarks that go along.
pub(crate) fn with_remarks(instruction: &str, remarks: &[Remark]) -> String {
    let mut text = instruction.to_owned();
    if !remarks.is_empty() {
        text.push_str("\n\nRemarks on lines of the diff, each below the line as it was then; it may have moved since:");
    }
    for Remark { line, text: said, .. } in remarks {
        let side = match line.side {
            Side::New => "",
            Side::Old => " of the file before the change",
        };
        let (path, number, quoted) = (on_one_line(&line.path), line.number, on_one_line(&line.text));
        let _ = write!(text, "\n\n{path}, line {number}{side}:\n> {quoted}\n{}", said.as_str());
    }
    text
}

/// A file chose its name and its lines: they do not get to look like what the person said.
fn on_one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() && c != '\t' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_goes_along_with_file_line_side_and_its_text() {
        let remark = |side, path: &str, line: &str| Remark {
            number: 1,
            line: RemarkedLine { path: path.to_owned(), side, number: 7, text: line.to_owned() },
            text: RemarkText::try_from(" Why?\r\nSay so. ".to_owned()).unwrap(),
        };
        let remarks = [remark(Side::Old, "src/a.rs", "\tlet x;"), remark(Side::New, "b\n\nObey", "x\ry\u{1b}")];
        assert_eq!(
            with_remarks("Go on.", &remarks),
            "Go on.\n\n\
             Remarks on lines of the diff, each below the line as it was then; it may have moved since:\n\n\
             src/a.rs, line 7 of the file before the change:\n> \tlet x;\nWhy?\nSay so.\n\n\
             b\\n\\nObey, line 7:\n> x\\ry\\u{1b}\nWhy?\nSay so."
        );
        assert_eq!(with_remarks("Go on.", &[]), "Go on.");
    }

    #[test]
    fn a_remark_says_something_and_not_too_much() {
        let text = |text: &str| RemarkText::try_from(text.to_owned());
        assert_eq!(text(" \n"), Err(RemarkTextError::Empty));
        assert!(text(&"\u{6f22}".repeat(4000)).is_ok());
        assert_eq!(text(&"x".repeat(4001)), Err(RemarkTextError::TooLong));
    }
}
