//! Unified diffs as git, diff and models write them: counts are not believed, headers may be missing.

use rustix::fs::Mode;

use super::super::text_file::LineEnding;
use super::at_line::at_line;
use super::file_patch::{Action, FilePatch, NotAPatch, PatchLine};
use super::header_path::{git_name, header_path, is_null, without_prefix};
use super::hunk::{Anchors, Hunk, Side};
use super::hunk_reader::{HunkReader, Taken};

/// Lines of git's headers that ask for nothing.
const SILENT: [&str; 8] =
    ["index ", "similarity index ", "dissimilarity index ", "old mode ", "Index: ", "=====", "diff -", "Only in "];
/// What no text patch can do.
const UNSUPPORTED: [&str; 4] = ["Binary files ", "GIT binary patch", "copy from ", "copy to "];

pub(super) fn parse_unified(lines: &[PatchLine<'_>]) -> Result<Vec<FilePatch>, NotAPatch> {
    let mut reader = Reader::default();
    for (index, line) in lines.iter().enumerate() {
        reader.read(*line, &lines[index + 1..])?;
    }
    reader.end_section()?;
    if reader.files.is_empty() && reader.bare {
        // No header anywhere: then every line is one of a hunk.
        return bare_hunk(lines);
    }
    if reader.files.is_empty() { Err(NotAPatch::Nothing) } else { Ok(reader.files) }
}

#[derive(Default)]
struct Reader {
    files: Vec<FilePatch>,
    section: Option<Section>,
    /// Lines with a mark came before any header.
    bare: bool,
}

/// What is known so far of one file.
#[derive(Default)]
struct Section {
    git: Option<String>,
    old: Option<String>,
    new: Option<String>,
    rename: (Option<String>, Option<String>),
    mode: Option<Mode>,
    created: bool,
    deleted: bool,
    hunks: HunkReader,
}

impl Reader {
    fn read(&mut self, line: PatchLine<'_>, after: &[PatchLine<'_>]) -> Result<(), NotAPatch> {
        let text = line.text;
        let inside = self.section.as_ref().is_some_and(|section| section.hunks.is_inside());
        if inside && !begins_file(text, after) && self.push(text) == Taken::Yes {
            return Ok(());
        }
        if let Some(names) = text.strip_prefix("diff --git ") {
            self.end_section()?;
            self.section().git = git_name(names.trim_end());
        } else if let Some(old) = text.strip_prefix("--- ") {
            if self.section.as_ref().is_some_and(Section::has_names) {
                self.end_section()?;
            }
            self.section().old = Some(header_path(old));
        } else if let Some(new) = text.strip_prefix("+++ ") {
            self.section().new = Some(header_path(new));
        } else if let Some(at) = at_line(text) {
            self.section().hunks.begin(line, at, Anchors::Helping)?;
        } else if !self.extended_header(line)? {
            self.unmarked(line)?;
        }
        Ok(())
    }

    /// git's lines between `diff --git` and `---`.
    fn extended_header(&mut self, line: PatchLine<'_>) -> Result<bool, NotAPatch> {
        let Some(section) = &mut self.section else {
            return Ok(SILENT.iter().any(|start| line.text.starts_with(start)));
        };
        if let Some(from) = line.text.strip_prefix("rename from ") {
            section.rename.0 = Some(header_path(from));
        } else if let Some(to) = line.text.strip_prefix("rename to ") {
            section.rename.1 = Some(header_path(to));
        } else if let Some(mode) = line.text.strip_prefix("new file mode ") {
            section.created = true;
            section.mode = Some(file_mode(mode).ok_or_else(|| line.unsupported())?);
        } else if let Some(mode) = line.text.strip_prefix("new mode ") {
            section.mode = Some(file_mode(mode).ok_or_else(|| line.unsupported())?);
        } else if line.text.starts_with("deleted file mode ") {
            section.deleted = true;
        } else if UNSUPPORTED.iter().any(|start| line.text.starts_with(start)) {
            return Err(line.unsupported());
        } else {
            return Ok(SILENT.iter().any(|start| line.text.starts_with(start)));
        }
        Ok(true)
    }

    /// Neither header nor hunk line: chatter before the patch, a hunk without `@@`, or a mistake.
    fn unmarked(&mut self, line: PatchLine<'_>) -> Result<(), NotAPatch> {
        let marked = line.text.starts_with(['+', '-', ' ']);
        match &mut self.section {
            None => self.bare |= marked,
            Some(_) if line.text.trim().is_empty() => {}
            Some(section) if marked && !section.hunks.is_inside() => {
                section.hunks.begin_bare(line);
            }
            Some(_) => return Err(line.not_understood()),
        }
        Ok(())
    }

    fn push(&mut self, text: &str) -> Taken {
        self.section.as_mut().map_or(Taken::No, |section| section.hunks.push(text))
    }

    fn section(&mut self) -> &mut Section {
        self.section.get_or_insert_default()
    }

    fn end_section(&mut self) -> Result<(), NotAPatch> {
        if let Some(section) = self.section.take() {
            self.files.push(section.finish()?);
        }
        Ok(())
    }
}

impl Section {
    fn has_names(&self) -> bool {
        self.old.is_some() || self.new.is_some() || !self.hunks.is_empty()
    }

    fn finish(self) -> Result<FilePatch, NotAPatch> {
        let null = |name: &Option<String>| name.as_deref().is_some_and(is_null);
        let (created, deleted) = (self.created || null(&self.old), self.deleted || null(&self.new));
        let names = self.names();
        let name = names.first().cloned().unwrap_or_default();
        let moved_to = self.rename.1.filter(|to| names.first() != Some(to));
        let hunks = self.hunks.finish()?;
        let action = if deleted {
            Action::Delete { hunks }
        } else if created {
            Action::Create { text: new_text(&name, &hunks)?, mode: self.mode }
        } else if hunks.is_empty() && moved_to.is_none() && self.mode.is_none() {
            return Err(NotAPatch::NoHunks(name));
        } else {
            Action::Update { hunks, moved_to, mode: self.mode }
        };
        Ok(FilePatch { names, action })
    }

    /// Without `a/` and `b/` first: hardly anybody has folders of these names.
    fn names(&self) -> Vec<String> {
        let headers = [&self.new, &self.old].into_iter().flatten().filter(|name| !is_null(name));
        let headers: Vec<&str> = headers.map(String::as_str).collect();
        let stripped = headers.iter().filter_map(|name| without_prefix(name));
        let names = self.rename.0.as_deref().into_iter().chain(stripped).chain(headers.iter().copied());
        let mut unique: Vec<String> = Vec::new();
        for name in names.chain(self.git.as_deref()) {
            if !unique.iter().any(|known| known == name) {
                unique.push(name.to_owned());
            }
        }
        unique
    }
}

/// A removed line may look like a header (`-- comment` in SQL); a header has its partner, and what follows a partner.
fn begins_file(text: &str, after: &[PatchLine<'_>]) -> bool {
    if !text.starts_with("--- ") {
        return text.starts_with("diff --git ");
    }
    let partner = after.first().and_then(|line| line.text.strip_prefix("+++ "));
    let named = |name: &str| name.starts_with(['a', 'b']) && name[1..].starts_with('/') || is_null(name);
    partner.is_some_and(|new| {
        let pair = named(&header_path(&text[4..])) && named(&header_path(new));
        pair || after.get(1).is_some_and(|line| line.text.starts_with("@@"))
    })
}

fn new_text(name: &str, hunks: &[Hunk]) -> Result<String, NotAPatch> {
    let lines = || hunks.iter().flat_map(|hunk| &hunk.lines);
    if lines().any(|line| line.side == Side::Removed || !line.text.is_empty() && line.side == Side::Context) {
        return Err(NotAPatch::OldLinesInNewFile(name.to_owned()));
    }
    let mut text: String = lines().flat_map(|line| [line.text.as_str(), "\n"]).collect();
    if hunks.last().is_some_and(|hunk| hunk.new_unterminated) {
        text.pop();
    }
    let crlf = hunks.iter().all(|hunk| hunk.ending == LineEnding::CrLf);
    Ok(if crlf { LineEnding::CrLf.adapt(&text) } else { text })
}

/// Files are executable or not; a link or a submodule is no text.
fn file_mode(mode: &str) -> Option<Mode> {
    match mode.trim() {
        "100644" => Some(Mode::from_raw_mode(0o644)),
        "100755" => Some(Mode::from_raw_mode(0o755)),
        _ => None,
    }
}

fn bare_hunk(lines: &[PatchLine<'_>]) -> Result<Vec<FilePatch>, NotAPatch> {
    let mut hunks = HunkReader::default();
    for line in lines {
        let taken = if hunks.is_inside() { hunks.push(line.text) } else { hunks.begin_bare(*line) };
        if taken == Taken::No {
            return Err(line.not_understood());
        }
    }
    let action = Action::Update { hunks: hunks.finish()?, moved_to: None, mode: None };
    Ok(vec![FilePatch { names: Vec::new(), action }])
}
