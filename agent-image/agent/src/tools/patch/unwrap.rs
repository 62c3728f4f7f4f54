//! Takes away what models put around a patch: code fences, here-documents, transport line ends, mail signatures.

use super::file_patch::PatchLine;

/// The lines that are left, without `\n`.
pub(super) fn unwrap(text: &str) -> Vec<PatchLine<'_>> {
    let mut lines: Vec<PatchLine<'_>> =
        text.split('\n').enumerate().map(|(index, text)| PatchLine { number: index + 1, text }).collect();
    // Headers end in \r too only when the way here made all ends so; otherwise it belongs to the file.
    let written = || lines.iter().filter(|line| !line.text.is_empty());
    if written().count() > 0 && written().all(|line| line.text.ends_with('\r')) {
        for line in &mut lines {
            line.text = line.text.strip_suffix('\r').unwrap_or(line.text);
        }
    }
    // A fence that belongs to the file has a mark of the hunk before it.
    lines.retain(|line| !line.text.starts_with("```"));
    while lines.last().is_some_and(|line| line.text.trim().is_empty()) {
        lines.pop();
    }
    cut_here_document(&mut lines);
    cut_signature(&mut lines);
    lines
}

/// `apply_patch <<'EOF'` and the `EOF` that ends it.
fn cut_here_document(lines: &mut Vec<PatchLine<'_>>) {
    let Some(first) = lines.iter().position(|line| !line.text.trim().is_empty()) else { return };
    let Some((_, word)) = lines[first].text.split_once("<<") else { return };
    let word: String = word
        .trim_start_matches(['-', ' ', '\'', '"', '\\'])
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect();
    let ends = |line: &PatchLine<'_>| line.text.trim_end_matches([')', '"', '\'', ' ', '\r']) == word;
    if let Some(end) = lines.iter().rposition(ends).filter(|_| !word.is_empty()) {
        lines.truncate(end);
        lines.drain(..=first);
    }
}

/// What `git format-patch` writes at the end: `-- ` and its version.
fn cut_signature(lines: &mut Vec<PatchLine<'_>>) {
    if let [.., dashes, version] = lines.as_slice()
        && dashes.text == "-- "
        && version.text.starts_with(|character: char| character.is_ascii_digit())
    {
        lines.truncate(lines.len() - 2);
    }
}
