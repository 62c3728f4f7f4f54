//! Why a hunk does not fit, in words that let its author mend it. Lines count from 1 here, as in `@@`.

use std::fmt::Write;

use super::super::text_file::lines;
use super::apply_hunks::{Misfit, MisfitReason};
use super::hunk::{Hunk, Side};
use super::locate::{Fit, NoPlace, fits};

/// Lines of the hunk, and of the file, that are shown.
const MOST_SHOWN: usize = 20;
const LONGEST_LINE: usize = 200;
/// Lines of the file that are compared with the hunk; the comparison costs lines times lines.
const MOST_COMPARED: usize = 20_000;
const MOST_PLACES: usize = 5;

pub(super) fn explain(misfit: &Misfit, hunk: &Hunk, text: &str) -> String {
    let lines: Vec<&str> = lines(text).iter().map(|line| line.trim_end_matches(['\n', '\r'])).collect();
    let old = hunk.old_lines();
    let mut message = match &misfit.reason {
        MisfitReason::NoPlace(NoPlace::Nowhere) => "its lines are not in the file in this order.".to_owned(),
        MisfitReason::NoPlace(NoPlace::BeforePrevious(line)) => {
            format!("its place is line {}, above the hunk before it; give the hunks from top to bottom.", line + 1)
        }
        MisfitReason::NoPlace(NoPlace::NoAnchor(anchor)) => {
            format!("no line of the file begins with the text after @@: {anchor:?}.")
        }
        MisfitReason::NoPlace(NoPlace::AboveAnchors(line)) => {
            format!("its lines stand at line {}, not below the line after @@.", line + 1)
        }
        MisfitReason::NoPlace(NoPlace::Ambiguous(places)) => {
            let shown: Vec<String> = places.iter().take(MOST_PLACES).map(|line| (line + 1).to_string()).collect();
            let more = if places.len() > MOST_PLACES { ", …" } else { "" };
            let shown = shown.join(", ");
            format!("it fits at {} places (lines {shown}{more}); give more lines around it.", places.len())
        }
        MisfitReason::Indentation(line) => format!(
            "it stands at line {}, but in another indentation, and its new lines cannot be indented by the same rule.",
            line + 1
        ),
    };
    let new = hunk.new_lines();
    if let Some(line) = find(&new, &lines).filter(|_| new != old) {
        let _ = write!(message, " Its new lines are in the file already, at line {}.", line + 1);
    }
    let _ = write!(message, "\nThe hunk:{}", shown_hunk(hunk));
    let place = match misfit.reason {
        MisfitReason::Indentation(line)
        | MisfitReason::NoPlace(NoPlace::BeforePrevious(line) | NoPlace::AboveAnchors(line)) => Some(line),
        MisfitReason::NoPlace(NoPlace::Ambiguous(ref places)) => places.first().copied(),
        MisfitReason::NoPlace(NoPlace::Nowhere | NoPlace::NoAnchor(_)) => closest(&old, &lines, hunk.hint),
    };
    match place {
        Some(start) => {
            let count = old.len().max(1);
            let _ = write!(message, "\nThe closest lines of the file:{}", shown_lines(&lines, start, count));
        }
        None if lines.is_empty() => message += "\nThe file is empty.",
        None => message += "\nNo line of the file is like any line of the hunk; read the file again.",
    }
    message
}

fn find(wanted: &[&str], lines: &[&str]) -> Option<usize> {
    let telling = wanted.iter().any(|line| line.chars().any(char::is_alphanumeric));
    lines.windows(wanted.len().max(1)).position(|window| telling && window == wanted)
}

/// Where most lines of the hunk are as they should be; those without letters count for nothing.
fn closest(old: &[&str], lines: &[&str], hint: Option<usize>) -> Option<usize> {
    let telling: Vec<usize> = (0..old.len()).filter(|&at| old[at].chars().any(char::is_alphanumeric)).collect();
    let telling = &telling[..telling.len().min(MOST_SHOWN)];
    let score = |start: usize| {
        let fitting = |at: &&usize| lines.get(start + **at).is_some_and(|line| fits(Fit::Indentation, old[**at], line));
        telling.iter().filter(fitting).count()
    };
    let starts = 0..lines.len().min(MOST_COMPARED);
    let best = starts.map(|start| (score(start), start)).filter(|(score, _)| *score > 0);
    let far = |start: usize| hint.map_or(start, |hint| start.abs_diff(hint));
    best.max_by(|(one, at), (other, there)| one.cmp(other).then(far(*there).cmp(&far(*at))))
        .map(|(_, start)| start)
        .or_else(|| similar_line(old, telling, lines))
}

/// When no line is the same: where the most telling line of the hunk has its nearest relative.
fn similar_line(old: &[&str], telling: &[usize], lines: &[&str]) -> Option<usize> {
    let at = *telling.iter().max_by_key(|at| old[**at].trim().len().min(LONGEST_LINE))?;
    let trimmed: Vec<&str> = lines.iter().take(MOST_COMPARED / 4).map(|line| cut(line.trim())).collect();
    let close = similar::get_close_matches(cut(old[at].trim()), &trimmed, 1, 0.6);
    let line = trimmed.iter().position(|line| Some(line) == close.first())?;
    Some(line.saturating_sub(at))
}

fn shown_hunk(hunk: &Hunk) -> String {
    let mut text = String::new();
    for line in hunk.lines.iter().take(MOST_SHOWN) {
        let mark = match line.side {
            Side::Context => ' ',
            Side::Removed => '-',
            Side::Added => '+',
        };
        let _ = write!(text, "\n{mark}{}", cut(&line.text));
    }
    more(&mut text, hunk.lines.len());
    text
}

fn shown_lines(lines: &[&str], start: usize, count: usize) -> String {
    let first = start.saturating_sub(1);
    let count = count + 2;
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate().skip(first).take(count.min(MOST_SHOWN)) {
        let _ = write!(text, "\n{}: {}", number + 1, cut(line));
    }
    more(&mut text, count.min(lines.len().saturating_sub(first)));
    text
}

fn more(text: &mut String, count: usize) {
    if count > MOST_SHOWN {
        let _ = write!(text, "\n… ({} more lines)", count - MOST_SHOWN);
    }
}

fn cut(line: &str) -> &str {
    line.char_indices().nth(LONGEST_LINE).map_or(line, |(end, _)| &line[..end])
}
