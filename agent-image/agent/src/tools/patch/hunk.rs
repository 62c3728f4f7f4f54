//! One place of a file that a patch changes.

use super::super::text_file::LineEnding;

/// Lines to find and what they become.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hunk {
    /// Where the patch says that the old lines begin, counted from 0. Models guess it: it only helps to choose.
    pub(super) hint: Option<usize>,
    /// Lines that stand above the place, from the outside in: `@@ class A`, `@@ def f`.
    pub(super) anchors: Anchors,
    pub(super) lines: Vec<HunkLine>,
    /// `*** End of File`, or a file that ends without a newline here.
    pub(super) at_end: bool,
    /// The last old line has no newline.
    pub(super) old_unterminated: bool,
    /// The last new line has no newline.
    pub(super) new_unterminated: bool,
    /// How the added lines end in the patch. Only a file without line ends of its own takes it over.
    pub(super) ending: LineEnding,
}

/// Whether a hunk may stand where its anchors do not lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Anchors {
    Binding(Vec<String>),
    /// What a unified diff has after `@@`: as often decoration as help.
    Helping(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HunkLine {
    pub(super) side: Side,
    /// Without its line end.
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Context,
    Removed,
    Added,
}

impl Hunk {
    pub(super) fn old_lines(&self) -> Vec<&str> {
        self.texts(Side::Removed)
    }

    pub(super) fn new_lines(&self) -> Vec<&str> {
        self.texts(Side::Added)
    }

    fn texts(&self, side: Side) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.side == Side::Context || line.side == side);
        lines.map(|line| line.text.as_str()).collect()
    }
}

impl Anchors {
    pub(super) fn texts(&self) -> &[String] {
        let (Self::Binding(texts) | Self::Helping(texts)) = self;
        texts
    }
}

impl From<Anchors> for Vec<String> {
    fn from(anchors: Anchors) -> Self {
        let (Anchors::Binding(texts) | Anchors::Helping(texts)) = anchors;
        texts
    }
}

impl Default for Anchors {
    fn default() -> Self {
        Self::Helping(Vec::new())
    }
}
