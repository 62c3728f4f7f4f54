//! Hunks on a text: the lines they keep stay byte for byte, the lines they add look like the file around them.

use std::borrow::Cow;

use super::super::text_file::{LineEnding, lines};
use super::hunk::{Hunk, HunkLine, Side};
use super::locate::{Fit, NoPlace, Place, Progress, locate};

/// A text after its hunks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) text: String,
    /// Numbers, from 1, of hunks that fitted only without their indentation.
    pub(super) reindented: Vec<usize>,
}

/// The hunk, by its position, that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) position: usize,
    pub(super) reason: MisfitReason,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum MisfitReason {
    NoPlace(NoPlace),
    /// It stands at this line in another indentation, and nothing tells which one the new lines need.
    Indentation(usize),
}

pub(super) fn apply_hunks(hunks: &[Hunk], original: &str) -> Result<Applied, Misfit> {
    let raw = lines(original);
    let texts: Vec<&str> = raw.iter().map(|line| without_end(line)).collect();
    let ending = match hunks {
        [hunk, ..] if !original.contains('\n') => hunk.ending,
        _ => LineEnding::of(original),
    };
    let mut output = Output { lines: Vec::new(), ending: ending.as_str() };
    let mut progress = Progress::default();
    let mut reindented = Vec::new();
    let mut ends = original.is_empty() || original.ends_with('\n');
    for (position, hunk) in hunks.iter().enumerate() {
        let misfit = |reason| Misfit { position, reason };
        let place = locate(hunk, &texts, progress).map_err(|reason| misfit(MisfitReason::NoPlace(reason)))?;
        let indent = Reindent::of(hunk, place, &texts);
        // Context after the last change stays free: models repeat it at the top of the next hunk.
        let mut reached = place.start;
        for line in &hunk.lines {
            match line.side {
                Side::Context => {
                    reached += 1;
                    continue;
                }
                Side::Removed => {
                    output.keep(&raw[progress.from..reached]);
                    reached += 1;
                }
                Side::Added => {
                    output.keep(&raw[progress.from..reached]);
                    let text = indent.adapt(&line.text);
                    let text = text.ok_or_else(|| misfit(MisfitReason::Indentation(place.start)))?;
                    let above = reached.checked_sub(1).filter(|_| reached > place.start);
                    let near = raw.get(above.unwrap_or(reached)).or(raw.last()).copied().unwrap_or_default();
                    output.add(text, end_of(near));
                }
            }
            progress.from = reached;
        }
        if let Some(hint) = hunk.hint {
            progress.drift = place.start.cast_signed() - hint.cast_signed();
        }
        if place.fit == Fit::Indentation {
            reindented.push(position + 1);
        }
        if reached == raw.len() && hunk.old_unterminated != hunk.new_unterminated {
            ends = hunk.old_unterminated;
        }
    }
    output.keep(&raw[progress.from..]);
    Ok(Applied { text: output.into_text(ends), reindented })
}

struct Output<'a> {
    /// Text and line end.
    lines: Vec<(Cow<'a, str>, &'a str)>,
    ending: &'static str,
}

impl<'a> Output<'a> {
    fn keep(&mut self, raw: &[&'a str]) {
        self.lines.extend(raw.iter().map(|line| (Cow::Borrowed(without_end(line)), end_of(line))));
    }

    /// Where the ends are mixed, a new line ends as its neighbour does.
    fn add(&mut self, text: Cow<'a, str>, neighbour: &'a str) {
        self.lines.push((text, neighbour));
    }

    /// Every line ends but, without `ends`, the last.
    fn into_text(self, ends: bool) -> String {
        let count = self.lines.len();
        let mut text = String::new();
        for (number, (line, end)) in self.lines.into_iter().enumerate() {
            text.push_str(&line);
            if ends || number + 1 < count {
                text.push_str(if end.is_empty() { self.ending } else { end });
            }
        }
        text
    }
}

/// How the indentation of a hunk becomes that of the file.
enum Reindent<'a> {
    Same,
    /// Indentations of the hunk's lines and of the file's; what they have in common goes for other lines too.
    Known(Vec<(&'a str, &'a str)>),
}

impl<'a> Reindent<'a> {
    fn of(hunk: &'a Hunk, place: Place, texts: &[&'a str]) -> Self {
        if place.fit != Fit::Indentation {
            return Self::Same;
        }
        let old = hunk.lines.iter().filter(|line| line.side != Side::Added);
        let pairs = old.zip(&texts[place.start..]).filter(|(line, _)| !line.text.trim().is_empty());
        Self::Known(pairs.map(|(HunkLine { text, .. }, line)| (indent(text), indent(line))).collect())
    }

    fn adapt<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        let Self::Known(pairs) = self else { return Some(text.into()) };
        let (own, rest) = text.split_at(indent(text).len());
        if rest.is_empty() {
            return Some(text.into());
        }
        let mut known = pairs.iter().filter(|(hunk, _)| *hunk == own).map(|(_, file)| *file);
        if let Some(file) = known.next() {
            return known.all(|other| other == file).then(|| format!("{file}{rest}").into());
        }
        // One shift for all lines goes for this one too.
        let deeper = pairs.iter().map(|(hunk, file)| file.strip_suffix(hunk)).reduce(same).flatten();
        let shallower = pairs.iter().map(|(hunk, file)| hunk.strip_suffix(file)).reduce(same).flatten();
        match (deeper, shallower) {
            (Some(extra), _) => Some(format!("{extra}{text}").into()),
            (None, Some(surplus)) => text.strip_prefix(surplus).map(Into::into),
            (None, None) => None,
        }
    }
}

fn same<'a>(one: Option<&'a str>, other: Option<&'a str>) -> Option<&'a str> {
    one.filter(|_| one == other)
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn without_end(line: &str) -> &str {
    &line[..line.len() - end_of(line).len()]
}

fn end_of(line: &str) -> &str {
    let length = if line.ends_with("\r\n") { 2 } else { usize::from(line.ends_with('\n')) };
    &line[line.len() - length..]
}
