//! The files of a patch in memory: nothing is written before everything fits.

use rustix::fs::Mode;

use super::super::text_file::{LARGEST_TEXT, decode, split_mark};
use super::PatchError;
use super::apply_hunks::apply_hunks;
use super::hunk::Hunk;
use super::misfit::explain;
use super::report::{Report, report};
use crate::workspace::{FileChange, FoundFile, NewContent, Problem, RelativePath, Workspace};

/// The files that a patch has touched so far.
pub(super) struct Stage<'a> {
    workspace: &'a Workspace,
    files: Vec<Staged>,
}

/// One file as it was and as it will be.
pub(super) struct Staged {
    pub(super) path: RelativePath,
    pub(super) found: Option<FoundFile>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) mode: Option<Mode>,
    /// Which of the staged files it was before.
    pub(super) moved_from: Option<usize>,
    /// Numbers of the hunks that got another indentation.
    pub(super) reindented: Vec<usize>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(workspace: &'a Workspace) -> Self {
        Self { workspace, files: Vec::new() }
    }

    pub(super) fn workspace(&self) -> &'a Workspace {
        self.workspace
    }

    pub(super) fn exists(&mut self, path: &RelativePath) -> Result<bool, PatchError> {
        let index = self.load(path)?;
        Ok(self.files[index].after.is_some())
    }

    pub(super) fn create(&mut self, path: &RelativePath, text: String, mode: Option<Mode>) -> Result<(), PatchError> {
        let index = self.load(path)?;
        let file = &mut self.files[index];
        if file.after.is_some() {
            return Err(PatchError::Exists(shown(path)));
        }
        file.after = Some(text);
        file.mode = mode.or(file.mode);
        Ok(())
    }

    pub(super) fn delete(&mut self, path: &RelativePath, hunks: &[Hunk]) -> Result<(), PatchError> {
        if !hunks.is_empty() {
            self.update(path, hunks, None)?;
        }
        let index = self.load(path)?;
        match self.files[index].after.take() {
            None => Err(PatchError::Missing(shown(path))),
            Some(rest) if !hunks.is_empty() && !rest.is_empty() => Err(PatchError::NotAllRemoved(shown(path))),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn update(&mut self, path: &RelativePath, hunks: &[Hunk], mode: Option<Mode>) -> Result<(), PatchError> {
        let index = self.load(path)?;
        let file = &mut self.files[index];
        // Models leave `/dev/null` out; a hunk without old lines says as much.
        let creates = !hunks.is_empty() && hunks.iter().all(|hunk| hunk.old_lines().is_empty());
        let old = match &file.after {
            Some(old) => old.as_str(),
            None if creates => "",
            None => return Err(PatchError::Missing(shown(path))),
        };
        let (mark, text) = split_mark(old);
        let applied = apply_hunks(hunks, text).map_err(|misfit| PatchError::Misfit {
            path: shown(path),
            number: misfit.position + 1,
            count: hunks.len(),
            explanation: explain(&misfit, &hunks[misfit.position], text),
        })?;
        file.after = Some(if applied.text.is_empty() { applied.text } else { format!("{mark}{}", applied.text) });
        file.reindented.extend(applied.reindented);
        file.mode = mode.or(file.mode);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &RelativePath, to: &RelativePath) -> Result<(), PatchError> {
        if from == to {
            return Ok(());
        }
        let (source, target) = (self.load(from)?, self.load(to)?);
        if self.files[target].after.is_some() {
            return Err(PatchError::Exists(shown(to)));
        }
        self.files[target].after = self.files[source].after.take();
        self.files[target].mode = self.files[source].mode;
        self.files[target].reindented = std::mem::take(&mut self.files[source].reindented);
        self.files[target].moved_from = Some(source);
        Ok(())
    }

    pub(super) fn commit(self) -> Result<Report, PatchError> {
        let changes: Vec<FileChange<'_>> = self.files.iter().filter(|file| file.is_changed()).map(change).collect();
        self.workspace.change_all(&changes)?;
        Ok(report(&self.files))
    }

    fn load(&mut self, path: &RelativePath) -> Result<usize, PatchError> {
        if let Some(index) = self.files.iter().position(|file| file.path == *path) {
            return Ok(index);
        }
        let found = match self.workspace.read(path, LARGEST_TEXT) {
            Ok(found) => Some(found),
            Err(error) if matches!(error.problem, Problem::Missing) => None,
            Err(error) => return Err(error.into()),
        };
        let (mut text, mut mode) = (None, None);
        if let Some(found) = &found {
            let same = |file: &&Staged| file.found.as_ref().is_some_and(|other| other.identity == found.identity);
            if let Some(other) = self.files.iter().find(same) {
                return Err(PatchError::SameFile(shown(&other.path), shown(path)));
            }
            let decoded = decode(&found.bytes);
            let decoded = decoded.map_err(|problem| PatchError::NotText { path: shown(path), problem })?;
            (text, mode) = (Some(decoded.to_owned()), Some(found.mode));
        }
        let (before, after) = (text.clone(), text);
        let path = path.clone();
        self.files.push(Staged { path, found, before, after, mode, moved_from: None, reindented: Vec::new() });
        Ok(self.files.len() - 1)
    }
}

impl Staged {
    pub(super) fn shown(&self) -> String {
        shown(&self.path)
    }

    pub(super) fn is_changed(&self) -> bool {
        self.before != self.after || self.mode_changed()
    }

    pub(super) fn mode_changed(&self) -> bool {
        self.found.as_ref().is_some_and(|found| self.after.is_some() && self.mode != Some(found.mode))
    }
}

fn change(file: &Staged) -> FileChange<'_> {
    FileChange {
        path: &file.path,
        before: file.found.as_ref(),
        after: file.after.as_ref().map(|text| NewContent { bytes: text.as_bytes(), mode: file.mode }),
    }
}

fn shown(path: &RelativePath) -> String {
    path.as_path().display().to_string()
}
