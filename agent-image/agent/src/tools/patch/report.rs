//! What a patch really did, for the model that wrote it.

use std::fmt::Write;

use serde::Serialize;

use super::super::line_diff::{Version, cut_diff, line_diff};
use super::stage::Staged;

#[derive(Debug, Serialize)]
pub(in crate::tools) struct Report {
    message: String,
    /// Of all files.
    diff: String,
}

pub(super) fn report(files: &[Staged]) -> Report {
    let (mut messages, mut diffs) = (Vec::new(), String::new());
    let moved_away: Vec<usize> = files.iter().filter_map(|file| file.moved_from).collect();
    for (index, file) in files.iter().enumerate() {
        let source = file.moved_from.map(|index| &files[index]);
        let gone = file.before.is_none() && file.after.is_none();
        if gone || (file.after.is_none() && moved_away.contains(&index)) {
            continue;
        }
        let path = file.shown();
        let old_path = source.map_or_else(|| path.clone(), Staged::shown);
        let old = source.unwrap_or(file).before.as_deref().map(|text| Version { path: &old_path, text });
        let new = file.after.as_deref().map(|text| Version { path: &path, text });
        let diff = line_diff(old, new);
        let what = match (source, old, new) {
            (Some(_), _, _) => format!("moved {old_path} to {path}"),
            (None, None, _) => format!("created {path}"),
            (None, Some(_), None) => format!("deleted {path}"),
            (None, Some(_), Some(_)) if !file.is_changed() => {
                messages.push(format!("{path} has this content already"));
                continue;
            }
            (None, Some(_), Some(_)) => format!("edited {path}"),
        };
        if source.is_some() {
            // Writing into a string does not fail, here and below.
            let _ = writeln!(diffs, "diff --git a/{old_path} b/{path}\nrename from {old_path}\nrename to {path}");
        }
        diffs += &diff.text;
        let mut message = format!("{what}: {} lines added, {} removed", diff.added, diff.removed);
        if let Some(mode) = file.mode.filter(|_| file.mode_changed()) {
            let _ = write!(message, ", mode {:o}", mode.as_raw_mode());
        }
        for number in &file.reindented {
            let _ = write!(message, ", hunk {number} fitted only in the indentation of the file and got it");
        }
        messages.push(message);
    }
    Report { message: messages.join("; "), diff: cut_diff(&diffs) }
}
