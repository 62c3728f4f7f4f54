//! What a share link would show that looks like a secret: counted, and named by kind, never repeated.

use std::{io::Read, path::Path};

use crate::{
    artifacts, blocking,
    domain::{event::Event, task_id::TaskId},
    redact::{self, Covered},
    web::{AppState, error::WebError},
};

/// What was found in one place.
#[derive(Debug)]
pub(in crate::web) struct Finding {
    /// A file's name; none: the steps.
    pub(in crate::web) file: Option<String>,
    /// How many secrets of which kind visitors see covered.
    pub(in crate::web) covered: Covered,
    /// What looks like one all the same and is not covered.
    pub(in crate::web) suspicion: Option<&'static str>,
}

#[derive(Debug)]
pub(in crate::web) struct Scan {
    pub(in crate::web) findings: Vec<Finding>,
    /// Files that were too large to look through, which visitors see covered as well.
    pub(in crate::web) left_out: u64,
}

/// Of one file, and of all together.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
const MAX_BYTES: u64 = 32 * 1024 * 1024;
const MAX_EVENTS: u32 = 2000;

/// Looks through the files and the steps of a task.
pub(in crate::web) async fn scan(state: &AppState, id: &TaskId) -> Result<Scan, WebError> {
    let events = state.db.events_after(id, 0, MAX_EVENTS).await?;
    let folder = state.data_dir.task_logs(id);
    Ok(blocking::run(move || look(&folder, &events)).await??)
}

fn look(folder: &Path, events: &[Event]) -> std::io::Result<Scan> {
    let mut scan = Scan { findings: Vec::new(), left_out: 0 };
    let texts = events.iter().filter_map(|event| serde_json::to_vec(event).ok());
    scan.note(None, texts.collect::<Vec<_>>().join(&b'\n'));
    let mut room = MAX_BYTES;
    for artifact in artifacts::list(folder)? {
        if artifact.size > MAX_FILE_BYTES.min(room) {
            scan.left_out += 1;
            continue;
        }
        let Some(file) = artifacts::open(folder, &artifact.name)? else { continue };
        let mut bytes = Vec::new();
        // It may have grown since it was listed.
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
        room = room.saturating_sub(artifact.size);
        scan.note(Some(artifact.name), bytes);
    }
    Ok(scan)
}

impl Scan {
    fn note(&mut self, file: Option<String>, mut bytes: Vec<u8>) {
        let covered = redact::cover_bytes(&mut bytes);
        let suspicion = redact::suspicion(&String::from_utf8_lossy(&bytes));
        if !covered.is_empty() || suspicion.is_some() {
            self.findings.push(Finding { file, covered, suspicion });
        }
    }
}
