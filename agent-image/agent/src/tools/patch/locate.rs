//! Where in a file a hunk belongs: its old lines decide, line numbers and anchors only choose among several places.

use super::hunk::{Anchors, Hunk};

/// How far the lines of a file are from those of the hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Exact,
    TrailingSpace,
    /// Apart from their indentation; only where there is one such place.
    Indentation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) fit: Fit,
}

/// Why there is no place. Lines count from 0.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    Nowhere,
    /// The lines are there, but before the end of the hunk before this one.
    BeforePrevious(usize),
    NoAnchor(String),
    /// The lines are there, but not below the anchors.
    AboveAnchors(usize),
    Ambiguous(Vec<usize>),
}

/// What earlier hunks of the same file tell about this one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// The first line that is still free.
    pub(super) from: usize,
    /// How far the last hunk was from where the patch said.
    pub(super) drift: isize,
}

/// `lines` are those of the original file, without their ends.
pub(super) fn locate(hunk: &Hunk, lines: &[&str], progress: Progress) -> Result<Place, NoPlace> {
    let below = anchored(&hunk.anchors, lines)?;
    let old = hunk.old_lines();
    if old.is_empty() {
        return insertion(hunk, lines, progress, &below);
    }
    for fit in [Fit::Exact, Fit::TrailingSpace, Fit::Indentation] {
        let everywhere = places(&old, lines, fit);
        let candidates: Vec<usize> = everywhere.iter().copied().filter(|start| *start >= progress.from).collect();
        if let Some(start) = choose(hunk, &candidates, lines.len(), fit, progress, &below)? {
            return Ok(Place { start, fit });
        }
        if let Some(start) = everywhere.first().filter(|_| candidates.is_empty()) {
            return Err(NoPlace::BeforePrevious(*start));
        }
    }
    Err(NoPlace::Nowhere)
}

/// Whether two lines are the same to this fit.
pub(super) fn fits(fit: Fit, wanted: &str, line: &str) -> bool {
    match fit {
        Fit::Exact => wanted == line,
        Fit::TrailingSpace => wanted.trim_end() == line.trim_end(),
        Fit::Indentation => wanted.trim() == line.trim(),
    }
}

fn places(old: &[&str], lines: &[&str], fit: Fit) -> Vec<usize> {
    let windows = lines.windows(old.len()).enumerate();
    let fitting = windows.filter(|(_, window)| old.iter().zip(*window).all(|(wanted, line)| fits(fit, wanted, line)));
    fitting.map(|(start, _)| start).collect()
}

fn choose(
    hunk: &Hunk,
    candidates: &[usize],
    end: usize,
    fit: Fit,
    progress: Progress,
    below: &[usize],
) -> Result<Option<usize>, NoPlace> {
    let Some(&first) = candidates.first() else { return Ok(None) };
    if fit == Fit::Indentation && candidates.len() > 1 {
        return Err(NoPlace::Ambiguous(candidates.to_vec()));
    }
    if hunk.at_end
        && let Some(last) = candidates.iter().find(|start| **start + hunk.old_lines().len() == end)
    {
        return Ok(Some(*last));
    }
    if !below.is_empty() {
        // Between an anchor and its next namesake the first place counts; two such places are a question.
        let bounds = below.iter().copied().zip(below.iter().copied().skip(1).chain([usize::MAX]));
        let anchored: Vec<usize> = bounds
            .filter_map(|(anchor, next)| candidates.iter().copied().find(|start| (anchor..next).contains(start)))
            .collect();
        match (anchored.as_slice(), &hunk.anchors) {
            ([only], _) => return Ok(Some(*only)),
            ([], Anchors::Binding(_)) => return Err(NoPlace::AboveAnchors(first)),
            ([], Anchors::Helping(_)) => {}
            _ => return Err(NoPlace::Ambiguous(anchored)),
        }
    }
    match (candidates, hunk.hint) {
        ([only], _) => Ok(Some(*only)),
        (_, Some(hint)) => nearest(candidates, hint.saturating_add_signed(progress.drift)).map(Some),
        (_, None) => Err(NoPlace::Ambiguous(candidates.to_vec())),
    }
}

fn nearest(candidates: &[usize], expected: usize) -> Result<usize, NoPlace> {
    let distance = |start: &usize| start.abs_diff(expected);
    let least = candidates.iter().map(distance).min().unwrap_or_default();
    let near: Vec<usize> = candidates.iter().copied().filter(|start| distance(start) == least).collect();
    match near.as_slice() {
        [only] => Ok(*only),
        _ => Err(NoPlace::Ambiguous(near)),
    }
}

/// Nothing old to look for: below the anchors, at the line given, or at the end.
fn insertion(hunk: &Hunk, lines: &[&str], progress: Progress, below: &[usize]) -> Result<Place, NoPlace> {
    let start = match (below, hunk.hint) {
        ([anchor], _) => anchor + 1,
        ([_, _, ..], _) => return Err(NoPlace::Ambiguous(below.to_vec())),
        ([], Some(hint)) => hint.saturating_add_signed(progress.drift).min(lines.len()),
        ([], None) => lines.len(),
    };
    if start < progress.from { Err(NoPlace::BeforePrevious(start)) } else { Ok(Place { start, fit: Fit::Exact }) }
}

/// The lines on which the innermost anchor stands, once for every place of the outermost one.
fn anchored(anchors: &Anchors, lines: &[&str]) -> Result<Vec<usize>, NoPlace> {
    let Some((outermost, inner)) = anchors.texts().split_first() else { return Ok(Vec::new()) };
    let chains = occurrences(outermost, lines, 0).into_iter().filter_map(|mut line| {
        for anchor in inner {
            line = *occurrences(anchor, lines, line + 1).first()?;
        }
        Some(line)
    });
    let mut below: Vec<usize> = chains.collect();
    below.dedup();
    match (below.is_empty(), anchors) {
        (true, Anchors::Binding(texts)) => Err(NoPlace::NoAnchor(texts.join(" / "))),
        _ => Ok(below),
    }
}

/// The whole line, or at least its beginning: `class A` for `class A(Base):`.
fn occurrences(anchor: &str, lines: &[&str], from: usize) -> Vec<usize> {
    let anchor = anchor.trim();
    let find = |same: fn(&str, &str) -> bool| -> Vec<usize> {
        let rest = lines.iter().enumerate().skip(from);
        rest.filter(|(_, line)| same(line.trim(), anchor)).map(|(number, _)| number).collect()
    };
    let whole = find(|line, anchor| line == anchor);
    if whole.is_empty() { find(|line, anchor| line.starts_with(anchor)) } else { whole }
}
