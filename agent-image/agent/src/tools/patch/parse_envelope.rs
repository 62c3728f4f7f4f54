//! The `*** Begin Patch` form of `OpenAI`'s Codex.
//!
//! Its grammar is in the header of `codex-rs/apply-patch/src/parser.rs` of openai/codex. Beyond it, a hunk may give
//! line numbers as a unified diff does, and several patches may follow each other.

use super::at_line::at_line;
use super::file_patch::{Action, FilePatch, NotAPatch, PatchLine};
use super::hunk::Anchors;
use super::hunk_reader::{HunkReader, Taken};

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";

/// Whether the patch is in this form: the marker stands before anything that begins a unified diff.
pub(super) fn is_envelope(lines: &[PatchLine<'_>]) -> bool {
    let telling = lines.iter().map(|line| line.text).find(|line| {
        is_section(line.trim()) || ["--- ", "+++ ", "@@", "diff --git "].iter().any(|start| line.starts_with(start))
    });
    telling.is_some_and(|line| is_section(line.trim()))
}

pub(super) fn parse_envelope(lines: &[PatchLine<'_>]) -> Result<Vec<FilePatch>, NotAPatch> {
    let begin = lines.iter().position(|line| is_section(line.text.trim())).unwrap_or_default();
    let end = lines.iter().rposition(|line| line.text.trim() == END).ok_or(NotAPatch::NoEnd)?;
    let mut rest = lines.get(begin..end).unwrap_or_default();
    let mut files = Vec::new();
    while let Some((line, after)) = rest.split_first() {
        rest = after;
        let marker = line.text.trim();
        if marker.is_empty() || marker == BEGIN || marker == END {
            continue;
        }
        let (name, action) = if let Some(name) = marker.strip_prefix("*** Add File:") {
            (name, Action::Create { text: added_text(&mut rest)?, mode: None })
        } else if let Some(name) = marker.strip_prefix("*** Delete File:") {
            (name, Action::Delete { hunks: Vec::new() })
        } else if let Some(name) = marker.strip_prefix("*** Update File:") {
            (name, update(name, &mut rest)?)
        } else {
            return Err(NotAPatch::Section { number: line.number, text: line.text.to_owned() });
        };
        files.push(FilePatch { names: vec![name.trim().to_owned()], action });
    }
    if files.is_empty() { Err(NotAPatch::Nothing) } else { Ok(files) }
}

fn is_section(marker: &str) -> bool {
    [BEGIN, END, "*** Add File:", "*** Delete File:", "*** Update File:"].iter().any(|start| marker.starts_with(start))
}

fn added_text(rest: &mut &[PatchLine<'_>]) -> Result<String, NotAPatch> {
    let mut text = String::new();
    let mut blanks = 0;
    while let Some((line, after)) = rest.split_first().filter(|(line, _)| !is_section(line.text.trim())) {
        *rest = after;
        match line.text.strip_prefix('+') {
            Some(added) => {
                // Only those between two lines of the file belong to it.
                text.push_str(&"\n".repeat(blanks));
                blanks = 0;
                text.push_str(added);
                text.push('\n');
            }
            None if line.text.trim().is_empty() => blanks += 1,
            None => return Err(line.not_understood()),
        }
    }
    Ok(text)
}

fn update(name: &str, rest: &mut &[PatchLine<'_>]) -> Result<Action, NotAPatch> {
    let mut moved_to = None;
    if let Some((line, after)) = rest.split_first()
        && let Some(to) = line.text.trim().strip_prefix("*** Move to:")
    {
        moved_to = Some(to.trim().to_owned());
        *rest = after;
    }
    let mut hunks = HunkReader::default();
    while let Some((line, after)) = rest.split_first() {
        let end_of_file = line.text.trim_end() == "*** End of File";
        if line.text.starts_with("***") && !end_of_file {
            break;
        }
        *rest = after;
        if let Some(at) = at_line(line.text) {
            hunks.begin(*line, at, Anchors::Binding)?;
        } else if end_of_file {
            hunks.end_of_file()?;
        } else if hunks.is_inside() {
            taken(hunks.push(line.text), *line)?;
        } else if !line.text.trim().is_empty() {
            taken(hunks.begin_bare(*line), *line)?;
        }
    }
    if hunks.is_empty() && moved_to.is_none() {
        return Err(NotAPatch::NoHunks(name.trim().to_owned()));
    }
    Ok(Action::Update { hunks: hunks.finish()?, moved_to, mode: None })
}

fn taken(taken: Taken, line: PatchLine<'_>) -> Result<(), NotAPatch> {
    match taken {
        Taken::Yes => Ok(()),
        Taken::No => Err(line.not_understood()),
    }
}
