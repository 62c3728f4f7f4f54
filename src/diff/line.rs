//! A line of a diff, and how it is shown: which parts of it changed, and which colour they have.

use std::ops::Range;

use super::looks::Look;
use crate::{
    domain::{patch::Side, remark::RemarkedLine},
    redact,
};

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) kind: LineKind,
    pub(crate) old: Option<u32>,
    pub(crate) new: Option<u32>,
    /// Without its line end, and cut where it is too long to be shown.
    pub(crate) text: String,
    /// The file ends with this line and without a line feed.
    pub(crate) is_unfinished: bool,
    pub(super) is_cut: bool,
    /// What of it is not in the line that it takes the place of, or that takes its place; in order.
    pub(super) changed: Vec<Range<usize>>,
    /// In order; the rest has no colour.
    pub(super) looks: Vec<(Range<usize>, Look)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineKind {
    Added,
    Removed,
    Context,
}

/// A piece of a line that is shown in one way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) text: &'a str,
    look: Option<Look>,
    mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    Changed,
    /// White space that changed, or that a new line ends with: else nobody sees it.
    Blank,
}

const MAX_CHARACTERS: usize = 600;

impl Line {
    /// `raw` is the line without its sign.
    pub(super) fn new(kind: LineKind, old: Option<u32>, new: Option<u32>, raw: &[u8]) -> Self {
        let whole = String::from_utf8_lossy(raw);
        let masked = redact::mask(&whole);
        let end = masked.char_indices().nth(MAX_CHARACTERS).map(|(end, _)| end);
        let text = masked[..end.unwrap_or(masked.len())].to_owned();
        Self { kind, old, new, text, is_unfinished: false, is_cut: end.is_some(), changed: vec![], looks: vec![] }
    }

    pub(crate) fn is_added(&self) -> bool {
        self.kind == LineKind::Added
    }

    pub(crate) fn is_removed(&self) -> bool {
        self.kind == LineKind::Removed
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether somebody meant this line, as it reads now.
    pub(crate) fn is_at(&self, place: &RemarkedLine) -> bool {
        self.number(place.side) == Some(place.number) && self.text == place.text
    }

    pub(crate) fn number(&self, side: Side) -> Option<u32> {
        match side {
            Side::Old => self.old,
            Side::New => self.new,
        }
    }

    /// The text in pieces.
    pub(crate) fn parts(&self) -> Vec<Part<'_>> {
        let ends = |range: &Range<usize>| [range.start, range.end];
        let trailing = self.trailing_blanks();
        let mut bounds: Vec<usize> = self.changed.iter().flat_map(ends).chain([0, trailing, self.text.len()]).collect();
        bounds.extend(self.looks.iter().flat_map(|(range, _)| ends(range)));
        bounds.sort_unstable();
        bounds.dedup();
        let (mut looks, mut changed) = (self.looks.iter().peekable(), self.changed.iter().peekable());
        let mut parts: Vec<Part<'_>> = Vec::new();
        for bound in bounds.windows(2) {
            let (start, end) = (bound[0], bound[1]);
            while looks.next_if(|(range, _)| range.end <= start).is_some() {}
            while changed.next_if(|range| range.end <= start).is_some() {}
            let look = looks.peek().filter(|(range, _)| range.start <= start).map(|(_, look)| *look);
            let is_changed = changed.peek().is_some_and(|range| range.start <= start);
            let Some(text) = self.text.get(start..end) else { continue };
            let is_blank = text.chars().all(char::is_whitespace);
            let mark = match (is_changed, is_blank) {
                (true, true) => Mark::Blank,
                (true, false) => Mark::Changed,
                (false, _) if start >= trailing && self.kind == LineKind::Added => Mark::Blank,
                (false, _) => Mark::None,
            };
            parts.push(Part { text, look, mark });
        }
        parts
    }

    fn trailing_blanks(&self) -> usize {
        if self.is_cut { self.text.len() } else { self.text.trim_end_matches([' ', '\t', '\r']).len() }
    }
}

impl Part<'_> {
    pub(crate) fn is_marked(&self) -> bool {
        self.mark != Mark::None
    }

    /// The class of its colour; empty when it has none.
    pub(crate) fn class(&self) -> &'static str {
        match self.mark {
            Mark::Blank => "blank",
            Mark::None | Mark::Changed => self.look.map_or("", Look::class),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_changes_cross_each_other() {
        let mut line = Line::new(LineKind::Added, None, Some(1), b"let a = \"b c\";  ");
        line.looks = vec![(0..3, Look::Keyword), (8..13, Look::Text)];
        line.changed = vec![4..5, 11..12];
        let parts: Vec<String> =
            line.parts().iter().map(|part| format!("{}|{}|{:?}", part.text, part.class(), part.mark)).collect();
        insta::assert_snapshot!(parts.join("\n"), @r#"
        let|k|None
         ||None
        a||Changed
         = ||None
        "b |s|None
        c|s|Changed
        "|s|None
        ;||None
          |blank|Blank
        "#);
    }

    #[test]
    fn a_long_line_is_cut() {
        let line = Line::new(LineKind::Context, None, None, "ä".repeat(700).as_bytes());
        assert_eq!((line.text.chars().count(), line.is_cut), (600, true));
    }
}
