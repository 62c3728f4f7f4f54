//! Where an explanation points: looked up in a snapshot, before the answer is taken and at the end.

use std::sync::Arc;

use futures_util::FutureExt;

use super::Pipeline;
use crate::{
    blocking,
    brain::ReferenceCheck,
    domain::{
        explanation,
        reference::{CheckedReference, Reference},
        task::{Mode, Task},
    },
    git::{FileLines, Snapshot, SnapshotError, Snapshots},
};

/// For an answer about code, which the agent cannot change: what setup left is what it sees.
pub(super) fn check_before_the_end(pipeline: &Pipeline, task: &Task, after_setup: &Snapshot) -> Option<ReferenceCheck> {
    if task.mode != Mode::Analyze {
        return None;
    }
    let (git, snapshot) = (pipeline.data_dir.task(&task.id).git(), Arc::new(after_setup.clone()));
    Some(ReferenceCheck(Arc::new(move |text| {
        let (git, snapshot) = (git.clone(), snapshot.clone());
        let work = move || checked(&Snapshots::open(&git)?, &snapshot, &text);
        async move { blocking::run(work).await.map_err(|error| error.to_string())?.map_err(|error| error.to_string()) }
            .boxed()
    })))
}

/// Every reference of the text with what became of it. Blocks.
pub(super) fn checked(
    snapshots: &Snapshots,
    snapshot: &Snapshot,
    text: &str,
) -> Result<Vec<CheckedReference>, SnapshotError> {
    let is_there = |path: &str| !matches!(snapshots.lines(snapshot, path), Ok(FileLines::None) | Err(_));
    let check = |reference: Reference| {
        let problem = problem(snapshots, snapshot, &reference)?;
        Ok(CheckedReference { reference, problem })
    };
    explanation::references(text, &is_there).into_iter().map(check).collect()
}

fn problem(snapshots: &Snapshots, snapshot: &Snapshot, reference: &Reference) -> Result<Option<String>, SnapshotError> {
    let Reference { path, start, end } = reference;
    Ok(match snapshots.lines(snapshot, path)? {
        FileLines::None => Some(match &snapshots.longer_paths(snapshot, path)?[..] {
            [only] => format!("there is no such file; maybe {only} is meant"),
            _ => "there is no such file".to_owned(),
        }),
        FileLines::Binary => Some("the file is binary and has no lines".to_owned()),
        FileLines::TooLarge => Some("the file is too large to be shown".to_owned()),
        FileLines::Lines(_) if *start == 0 => Some("lines count from 1".to_owned()),
        FileLines::Lines(_) if end < start => Some("the range ends before it begins".to_owned()),
        FileLines::Lines(0) => Some("the file is empty".to_owned()),
        FileLines::Lines(1) if *end > 1 => Some("the file has one line".to_owned()),
        FileLines::Lines(lines) if u64::from(*end) > lines => Some(format!("the file has {lines} lines")),
        FileLines::Lines(_) => None,
    })
}
