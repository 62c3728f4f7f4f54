//! `edit_file`: one file, changed in exactly one way, or whatever a patch names.

use rustix::fs::Mode;
use serde::{Deserialize, Serialize};

use super::line_diff::{Version, line_diff};
use super::patch::apply_patch;
use super::text_edit::{Edit, apply};
use super::text_file::{LARGEST_TEXT, decode, split_mark};
use super::{ToolError, object};
use crate::wire::Object;
use crate::workspace::{Problem, Workspace};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    file_path: Option<String>,
    new_content: Option<String>,
    diff_patch: Option<String>,
    insert_after_line: Option<i64>,
    replace_lines: Option<Vec<i64>>,
    old_text: Option<String>,
    new_text: Option<String>,
}

#[derive(Serialize)]
struct Edited {
    message: String,
    diff: String,
}

/// The one way that a call asks for.
enum Way {
    Text(Edit),
    Patch(String),
}

pub(super) fn edit_file(workspace: &Workspace, mut arguments: Arguments) -> Result<Object, ToolError> {
    let file_path = arguments.file_path.take();
    match (arguments.into_way()?, file_path) {
        (Way::Patch(patch), file_path) => {
            let file_path = file_path.filter(|path| !path.is_empty());
            object(&apply_patch(workspace, &patch, file_path.as_deref())?)
        }
        (Way::Text(edit), Some(file_path)) => edit_text(workspace, &file_path, &edit),
        (Way::Text(_), None) => Err(ToolError::Arguments("file_path is missing".to_owned())),
    }
}

fn edit_text(workspace: &Workspace, file_path: &str, edit: &Edit) -> Result<Object, ToolError> {
    let path = workspace.locate(file_path)?;
    let shown = path.as_path().display().to_string();
    let (old, mode) = match workspace.read(&path, LARGEST_TEXT) {
        Ok(found) => (Some(decode(&found.bytes)?.to_owned()), Some(found.mode)),
        Err(error) if matches!(error.problem, Problem::Missing) && edit.creates() => (None, None::<Mode>),
        Err(error) => return Err(error.into()),
    };
    let (mark, text) = split_mark(old.as_deref().unwrap_or_default());
    // The mark is the file's, not the model's: it stays, and comes back only once.
    let edited = apply(edit, text)?;
    let new = if mark.is_empty() { edited } else { format!("{mark}{}", split_mark(&edited).1) };
    if old.as_ref() == Some(&new) {
        return object(&Edited { message: format!("{shown} has this content already"), diff: String::new() });
    }
    workspace.write(&path, new.as_bytes(), mode)?;
    let version = |text| Version { path: &shown, text };
    let diff = line_diff(old.as_deref().map(version), Some(version(&new)));
    let verb = if old.is_some() { "edited" } else { "created" };
    object(&Edited {
        message: format!("{verb} {shown}: {} lines added, {} removed", diff.added, diff.removed),
        diff: diff.text,
    })
}

impl Arguments {
    /// The one way that the arguments ask for. Models fill arguments they do not use with the defaults: -1 and empty
    /// texts and lists then say nothing.
    fn into_way(self) -> Result<Way, ToolError> {
        let wrong = |message: &str| Err(ToolError::Arguments(message.to_owned()));
        let patch = self.diff_patch.filter(|patch| !patch.is_empty());
        let old_text = self.old_text.filter(|text| !text.is_empty());
        let new_text = self.new_text.filter(|text| old_text.is_some() || !text.is_empty());
        let range = self.replace_lines.filter(|range| !range.is_empty());
        let line = self.insert_after_line;
        let new_content = match self.new_content {
            Some(text) if text.is_empty() && (patch.is_some() || old_text.is_some()) => None,
            given => given,
        };
        if let Some(line) = line.filter(|line| *line < -1) {
            return wrong(&format!("insert_after_line is {line}; lines count from 0, -1 is the top"));
        }
        let positioned = range.is_some() || line.is_some_and(|line| line >= 0);
        match (new_content, patch, old_text, new_text) {
            (Some(text), None, None, None) => match (range.as_deref(), line) {
                (None, None) => Ok(Way::Text(Edit::Whole(text))),
                (None, Some(line)) => Ok(Way::Text(Edit::Insert { after: usize::try_from(line).ok(), text })),
                (Some(_), Some(0..)) => wrong("give either insert_after_line or replace_lines"),
                (Some(&[first, last]), _) => match (usize::try_from(first), usize::try_from(last)) {
                    (Ok(first), Ok(last)) => Ok(Way::Text(Edit::ReplaceLines { first, last, text })),
                    _ => wrong("replace_lines counts from 0"),
                },
                (Some(_), _) => wrong("replace_lines is [first, last]"),
            },
            (None, Some(patch), None, None) if !positioned => Ok(Way::Patch(patch)),
            (None, None, Some(old), Some(new)) if !positioned => Ok(Way::Text(Edit::ReplaceText { old, new })),
            (None, None, Some(_), None) => wrong("old_text needs new_text (an empty one deletes it)"),
            (None, None, None, Some(_)) => wrong("new_text needs old_text"),
            (None, None, None, None) => wrong(
                "nothing to do: give new_content (alone, with insert_after_line or with replace_lines), or old_text with new_text, or diff_patch",
            ),
            _ => wrong(
                "give exactly one way: new_content (alone, with insert_after_line or with replace_lines), or old_text with new_text, or diff_patch",
            ),
        }
    }
}

impl Edit {
    /// Whether the edit makes sense for a file that is not there.
    fn creates(&self) -> bool {
        matches!(self, Self::Whole(_) | Self::Insert { after: None, .. })
    }
}
