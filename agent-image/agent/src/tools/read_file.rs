//! `read_file`: a part of a text file, counted in characters.

use serde::{Deserialize, Serialize};

use super::text_file::{LARGEST_TEXT, decode};
use super::{ToolError, object};
use crate::wire::Object;
use crate::workspace::Workspace;

/// Characters that one call gives at most.
const MOST_AT_ONCE: usize = 100_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    file_path: String,
    #[serde(default)]
    start: usize,
    #[serde(default = "default_end")]
    end: usize,
}

#[derive(Serialize)]
struct Part<'a> {
    content: &'a str,
    start: usize,
    end: usize,
    total_length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

const fn default_end() -> usize {
    4000
}

pub(super) fn read_file(workspace: &Workspace, arguments: &Arguments) -> Result<Object, ToolError> {
    let Arguments { ref file_path, start, end } = *arguments;
    if start > end {
        return Err(ToolError::Arguments(format!("start {start} is after end {end}")));
    }
    let found = workspace.read(&workspace.locate(file_path)?, LARGEST_TEXT)?;
    let text = decode(&found.bytes)?;
    let total_length = text.chars().count();
    let start = start.min(total_length);
    let end = end.min(start.saturating_add(MOST_AT_ONCE)).min(total_length).max(start);
    let content = match text.char_indices().nth(start) {
        Some((from, _)) => {
            let rest = &text[from..];
            rest.char_indices().nth(end - start).map_or(rest, |(to, _)| &rest[..to])
        }
        None => "",
    };
    let cut = end < total_length;
    let message = cut.then(|| format!("characters {start}..{end} of {total_length}; go on with start={end}"));
    object(&Part { content, start, end, total_length, message })
}
