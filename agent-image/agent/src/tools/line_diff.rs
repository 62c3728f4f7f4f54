//! The unified diff of an edit, as git would write it.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::cut_output::CutOutput;
use super::text_file::lines;

/// After this the diff stays right but gets coarser.
const PATIENCE: Duration = Duration::from_millis(500);
/// More than that tells a model nothing; the tree has the rest.
const LONGEST_DIFF: usize = 100_000;

#[derive(Debug)]
pub(super) struct LineDiff {
    pub(super) text: String,
    pub(super) added: usize,
    pub(super) removed: usize,
}

/// One state of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
}

/// Compares two states of a file; `None` is one in which it does not exist.
pub(super) fn line_diff(old: Option<Version<'_>>, new: Option<Version<'_>>) -> LineDiff {
    let name = |version: Option<Version<'_>>, prefix| {
        version.map_or_else(|| "/dev/null".to_owned(), |version| format!("{prefix}/{}", version.path))
    };
    let [old_lines, new_lines] = [old, new].map(|version| lines(version.map_or("", |version| version.text)));
    let diff = TextDiff::configure().timeout(PATIENCE).newline_terminated(true).diff_slices(&old_lines, &new_lines);
    let text = diff.unified_diff().header(&name(old, 'a'), &name(new, 'b')).to_string();
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    let (added, removed) = (count(ChangeTag::Insert), count(ChangeTag::Delete));
    LineDiff { text: cut_diff(&text), added, removed }
}

/// A diff of bearable length.
pub(super) fn cut_diff(text: &str) -> String {
    CutOutput::of(text.as_bytes(), LONGEST_DIFF).into_text()
}
