//! `diff_patch`: a patch in either form, read leniently, applied for real, all of it or nothing.

mod apply_hunks;
mod at_line;
mod file_patch;
#[cfg(test)]
mod fuzz_tests;
mod header_path;
mod hunk;
mod hunk_reader;
mod locate;
mod misfit;
mod parse_envelope;
mod parse_unified;
#[cfg(test)]
mod properties;
mod report;
mod stage;
mod unwrap;

use crate::workspace::{ChangeError, RelativePath, Workspace, WorkspaceError};

use super::text_file::NotText;
pub(super) use file_patch::NotAPatch;
use file_patch::{Action, FilePatch};
pub(super) use report::Report;
use stage::Stage;

/// Why a patch was not applied; every file is as it was.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatchError {
    #[error("the patch cannot be read: {0}")]
    NotAPatch(#[from] NotAPatch),
    #[error("the patch names no file; give file_path")]
    NoFile,
    #[error("file_path is {given}, but the patch is for {expected}; make them agree or leave file_path out")]
    OtherFile { given: String, expected: String },
    #[error("the patch changes {0} files; leave file_path out, or give one patch a call")]
    SeveralFiles(usize),
    #[error("{0} does not exist, nothing was changed; a new file needs --- /dev/null or *** Add File")]
    Missing(String),
    #[error("{0} exists already, nothing was changed; change it with hunks, or delete it in the same patch before")]
    Exists(String),
    #[error("{path}: {problem}; nothing was changed")]
    NotText { path: String, problem: NotText },
    #[error("{0} and {1} are one file; nothing was changed, patch it under one name")]
    SameFile(String, String),
    #[error("{0} has more lines than the patch removes, nothing was changed; use *** Delete File to delete it anyway")]
    NotAllRemoved(String),
    #[error("{path}, hunk {number} of {count} does not fit, nothing was changed: {explanation}")]
    Misfit { path: String, number: usize, count: usize, explanation: String },
    #[error("{0}; nothing was changed")]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// Applies the patch to the files it names, or to `file_path` when it names none.
pub(super) fn apply_patch(workspace: &Workspace, text: &str, file_path: Option<&str>) -> Result<Report, PatchError> {
    let lines = unwrap::unwrap(text);
    let files = if parse_envelope::is_envelope(&lines) {
        parse_envelope::parse_envelope(&lines)?
    } else {
        parse_unified::parse_unified(&lines)?
    };
    let given = file_path.map(|path| workspace.locate(path)).transpose()?;
    if given.is_some() && files.len() > 1 {
        return Err(PatchError::SeveralFiles(files.len()));
    }
    let mut stage = Stage::new(workspace);
    for file in files {
        let path = target(&mut stage, &file, given.as_ref())?;
        match file.action {
            Action::Create { text, mode } => stage.create(&path, text, mode)?,
            Action::Delete { hunks } => stage.delete(&path, &hunks)?,
            Action::Update { hunks, moved_to, mode } => {
                stage.update(&path, &hunks, mode)?;
                if let Some(to) = moved_to {
                    stage.rename(&path, &workspace.locate(&to)?)?;
                }
            }
        }
    }
    stage.commit()
}

/// Which file a part of the patch is about: of the names that it may mean, the one that agrees or exists.
fn target(stage: &mut Stage<'_>, file: &FilePatch, given: Option<&RelativePath>) -> Result<RelativePath, PatchError> {
    let names = file.names.iter().map(|name| stage.workspace().locate(name)).collect::<Result<Vec<_>, _>>()?;
    let moved_to = match &file.action {
        Action::Update { moved_to: Some(to), .. } => Some(stage.workspace().locate(to)?),
        _ => None,
    };
    match (given, names.split_first()) {
        (None, None) => Err(PatchError::NoFile),
        (Some(given), None) => Ok(given.clone()),
        (Some(given), Some((first, _))) if names.contains(given) || moved_to.as_ref() == Some(given) => {
            Ok(if moved_to.is_some() { first.clone() } else { given.clone() })
        }
        (Some(given), Some((first, _))) => {
            let [given, expected] = [given, first].map(|path| path.as_path().display().to_string());
            Err(PatchError::OtherFile { given, expected })
        }
        (None, Some((first, others))) => {
            if !matches!(file.action, Action::Create { .. }) && !stage.exists(first)? {
                for other in others {
                    if stage.exists(other)? {
                        return Ok(other.clone());
                    }
                }
            }
            Ok(first.clone())
        }
    }
}
