//! Where secrets stand in a text.

use std::{fmt, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::{forms::forms, view::View};

/// All forms of all known secrets.
#[derive(Default)]
pub(super) struct Patterns {
    /// Sorted.
    forms: Vec<Vec<u8>>,
    automaton: Option<AhoCorasick>,
}

impl fmt::Debug for Patterns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Patterns").field("forms", &self.forms.len()).finish_non_exhaustive()
    }
}

/// This much of a secret may stand at the end of a finished line before the line is held back for what follows.
const HARMLESS: usize = 3;

impl Patterns {
    /// These and the forms of one more secret.
    pub(super) fn with(&self, secret: &str) -> Self {
        let mut all = self.forms.clone();
        all.extend(forms(secret));
        all.sort();
        all.dedup();
        // It fails for more patterns than memory holds; a secret that cannot be looked for is one that is not masked, so
        // the old automaton would be no better.
        let automaton = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(&all).ok();
        Self { forms: all, automaton }
    }

    pub(super) fn knows(&self, secret: &str) -> bool {
        forms(secret).iter().all(|form| self.forms.binary_search(form).is_ok())
    }

    /// The ranges that secrets cover, in order and not overlapping.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        let mut found: Vec<Range<usize>> = automaton.find_overlapping_iter(text).map(|hit| hit.range()).collect();
        if let Some(view) = View::of(text) {
            let in_text = |hit: aho_corasick::Match| view.places[hit.start()]..view.places[hit.end() - 1] + 1;
            found.extend(automaton.find_overlapping_iter(&view.bytes).map(in_text));
        }
        merged(found)
    }

    /// From where on the end of the text may be the beginning of a secret.
    pub(super) fn begun(&self, text: &[u8]) -> usize {
        let plain = text.len() - self.begun_bytes(text);
        let Some(view) = View::of(text) else { return plain };
        let begun = self.begun_bytes(&view.bytes);
        let is_line = text.last() == Some(&b'\n');
        if begun == 0 || (is_line && begun <= HARMLESS && plain == text.len()) {
            return plain;
        }
        plain.min(view.places[view.bytes.len() - begun])
    }

    /// How many bytes at the end are the beginning of a form.
    fn begun_bytes(&self, text: &[u8]) -> usize {
        let longest = self.forms.iter().map(Vec::len).max().unwrap_or(0).saturating_sub(1);
        let begins = |start: &[u8]| {
            let at = self.forms.partition_point(|form| form.as_slice() < start);
            self.forms.get(at).is_some_and(|form| form.starts_with(start))
        };
        (1..=longest.min(text.len())).rev().find(|length| begins(&text[text.len() - length..])).unwrap_or(0)
    }
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
