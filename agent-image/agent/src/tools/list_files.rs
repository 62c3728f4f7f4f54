//! `list_files`: the names of what is there.

use serde::{Deserialize, Serialize};

use super::walk::{Found, Walk};
use super::{ToolError, object};
use crate::wire::Object;
use crate::workspace::Workspace;

const MOST_FILES: usize = 5000;
/// Of all names together.
const MOST_BYTES: usize = 100_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    path: Option<String>,
    depth: Option<usize>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Listed {
    files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

pub(super) fn list_files(workspace: &Workspace, arguments: &Arguments) -> Result<Object, ToolError> {
    let start = workspace.locate(arguments.path.as_deref().unwrap_or("."))?;
    let depth = arguments.depth.unwrap_or(usize::MAX);
    let limit = arguments.limit.unwrap_or(500).min(MOST_FILES);
    if depth == 0 || limit == 0 {
        return Err(ToolError::Arguments("depth and limit count from 1".to_owned()));
    }
    let mut walk = Walk::new(workspace, start, depth)?;
    let (mut files, mut bytes, mut messages) = (Vec::new(), 0, Vec::new());
    for found in walk.by_ref() {
        let name = match found {
            Found::File(path) => path.as_path().display().to_string(),
            Found::Link(path) => format!("{} (link)", path.as_path().display()),
            Found::Folder(path) => format!("{}/", path.as_path().display()),
        };
        if files.len() == limit || bytes + name.len() > MOST_BYTES {
            messages.push(format!(
                "cut after {} paths, there are more: list a folder beneath, or give depth or limit",
                files.len()
            ));
            break;
        }
        bytes += name.len();
        files.push(name);
    }
    if walk.unreadable > 0 {
        messages.push(format!("{} folders could not be read", walk.unreadable));
    }
    let message = (!messages.is_empty()).then(|| messages.join("; "));
    object(&Listed { files, message })
}
