//! `/tasks/{id}/diff`: the patch, file by file. The page carries what is short and what comes first; the rest comes when
//! somebody looks at it, as pieces of `/tasks/{id}/diff/files/{n}`.

mod choice;
mod file;
pub(super) mod file_view;
mod image;
mod layout;
mod mailbox;
mod patch_file;
mod pointed;
mod result_zip;
mod tree;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use askama::Template;
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{checks, figures, links::TaskLinks, page, remarks::Said};
use crate::{
    blocking,
    diff::FileEntry,
    domain::{task::Task, task_id::TaskId},
    pipeline::delivery::Delivery,
    web::{
        AppState,
        error::WebError,
        extract::{BaseUrl, Query},
        reading::Reading,
    },
};

use choice::Choices;
pub(in crate::web) use choice::post as choose;
pub(in crate::web) use file::get as file;
pub(super) use file::parse_line;
use file_view::{FileView, PIECE_ROWS, Section, Slot};
use image::Images;
pub(in crate::web) use image::get as image;
use layout::Layout;
pub(in crate::web) use mailbox::get as mailbox;
pub(super) use patch_file::PatchFile;
use patch_file::patch_folder;
pub(in crate::web) use pointed::Pointed;
pub(in crate::web) use result_zip::get as result_zip;

/// Lines that come with the page, over all files.
const ROWS: usize = 2000;
/// More is a download.
const MAX_COPIED_BYTES: u64 = 1024 * 1024;
/// Files on one page.
const FILES: usize = 1000;
/// Files with more changed lines are folded away at first.
const LARGE_ABOVE_LINES: u64 = 400;
/// How long colours and changed words may take; what is not done then comes when it is looked at.
const PATIENCE: Duration = Duration::from_millis(1500);

#[derive(Debug, Deserialize)]
pub(in crate::web) struct DiffQuery {
    view: Option<String>,
    /// The first file of the page, counted from one.
    first: Option<usize>,
    /// Only what this turn changed.
    turn: Option<u32>,
}

#[derive(Template)]
#[template(path = "diff.html")]
struct DiffPage {
    id: TaskId,
    links: TaskLinks,
    title: String,
    /// What the server's own runs of the checks came to, for the whole patch.
    checks: Option<String>,
    layout: Layout,
    files: String,
    insertions: u64,
    deletions: u64,
    /// Brings the patch into a checkout.
    command: String,
    /// Brings the commit into a clone of the source; none when there is none to fetch.
    fetch_command: Option<String>,
    size: u64,
    has_mailbox: bool,
    has_result: bool,
    /// Whether files and hunks can be left out; what is.
    can_choose: bool,
    left_out: Vec<choice::LeftOutItem>,
    tree: Vec<tree::Entry>,
    sections: Vec<Section>,
    /// Where remarks on lines go, for who may make one.
    remarks: Option<String>,
    /// Those that wait to be sent.
    waiting: usize,
    earlier: Option<usize>,
    later: Option<usize>,
    turn: Option<u32>,
    /// For addresses of the same patch that have a query already.
    and_turn: String,
    /// Its name among the files of the task.
    name: String,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    Reading { id, links, .. }: Reading,
    Query(query): Query<DiffQuery>,
    headers: HeaderMap,
    base: BaseUrl,
) -> Result<Response, WebError> {
    let task = state.db.task(&id).await?;
    let layout = Layout::of(query.view.as_deref(), &headers);
    let reader = links.reader;
    let logs = patch_folder(state.data_dir.task_logs(&id), query.turn);
    let first = query.first.unwrap_or(1).max(1);
    let folder = state.data_dir.task(&id);
    let turn = query.turn;
    let read = blocking::run(move || -> std::io::Result<Option<(PatchFile, Vec<Content>, bool)>> {
        let Some(patch) = PatchFile::open(&logs, reader)? else { return Ok(None) };
        let contents = contents(&patch, first, turn.is_none().then(|| folder.source()).as_deref())?;
        // Nobody has looked through all files for secrets: they are not for visitors.
        let has_result = turn.is_none() && !reader.is_visitor() && result_zip::can_be_made(&folder);
        Ok(Some((patch, contents, has_result)))
    });
    let (patch, contents, has_result) = read.await??.ok_or(WebError::NotFound)?;
    let files = &patch.contents.files;
    let counted = |count: fn(&FileEntry) -> u64| files.iter().map(count).sum();
    let said = Said::all(&state, &id, &links, turn).await?;
    let mut choices = match turn {
        None if !reader.is_visitor() && patch.size <= choice::MAX_PATCH_BYTES => Choices::of(&state, &task).await?,
        _ => Choices::default(),
    };
    let can_choose = choices.can_be_made();
    let left_out = std::mem::take(&mut choices.left_out);
    let section = |((file, n), Content { slots, images })| {
        let (is_open, file) = (!is_large(file), FileView::of(file, n));
        let (said, choice) = (said_of(&said, &file.path), choices.of_file(&file.path));
        Section { file, is_open, slots, images, said, choice }
    };
    let sections: Vec<Section> = files.iter().zip(1..).skip(first - 1).zip(contents).map(section).collect();
    let whole = task.diff.filter(|_| turn.is_none());
    let name = turn.map_or_else(|| "diff.patch".to_owned(), |turn| format!("turns/{turn}/diff.patch"));
    let title = title(&state, &task, turn).await?;
    let answer = page(&DiffPage {
        title: reader.text(&title).into_owned(),
        checks: task.verification.as_ref().filter(|_| turn.is_none()).map(checks::verdict),
        layout,
        files: tr_count!(files.len() + patch.contents.left_out, "{n} changed file", "{n} changed files"),
        insertions: whole.map_or_else(|| counted(|file| file.insertions), |diff| diff.insertions),
        deletions: whole.map_or_else(|| counted(|file| file.deletions), |diff| diff.deletions),
        command: command(&base, &links, &name),
        can_choose,
        left_out,
        fetch_command: (turn.is_none()
            && !reader.is_visitor()
            && Delivery::is_likely(&task, &state.data_dir.task(&id)))
        .then(|| format!("git fetch {}/tasks/{id}.git && git merge FETCH_HEAD", base.0)),
        remarks: remarks_address(&links, turn),
        waiting: said.len(),
        turn,
        and_turn: and_turn(turn),
        name,
        size: patch.size,
        has_mailbox: turn.is_none() && !reader.is_visitor() && mailbox::can_be_made(patch.size),
        has_result,
        earlier: (first > 1).then(|| first.saturating_sub(FILES).max(1)),
        later: Some(first + FILES).filter(|next| *next <= files.len()),
        tree: tree::of(&sections),
        sections,
        links,
        id,
    })?;
    Ok((layout.remembered(query.view.as_deref()), answer).into_response())
}

impl DiffPage {
    fn can_be_copied(&self) -> bool {
        self.size <= MAX_COPIED_BYTES
    }
}

fn and_turn(turn: Option<u32>) -> String {
    turn.map(|turn| format!("&turn={turn}")).unwrap_or_default()
}

async fn title(state: &AppState, task: &Task, turn: Option<u32>) -> Result<String, WebError> {
    let Some(number) = turn else { return Ok(task.instruction.title().to_owned()) };
    let turns = state.db.turns(&task.id).await?;
    let turn = turns.iter().find(|turn| turn.number == number).ok_or(WebError::NotFound)?;
    Ok(tr!("Turn {number}: {title}", number = number, title = turn.instruction.title()))
}

fn command(base: &BaseUrl, links: &TaskLinks, name: &str) -> String {
    let login = if links.reader.is_visitor() { "" } else { "-H \"Authorization: Bearer $ATELIER_TOKEN\" " };
    format!("curl -fsS {login}{}{}/{name} | git apply", base.0, links.files)
}

/// The lines of the first files, and of those after them that still fit; for each file of the page. Images as they were and
/// are come from `source`, which has none of between two turns.
fn contents(patch: &PatchFile, first: usize, source: Option<&Path>) -> std::io::Result<Vec<Content>> {
    let (mut room, deadline) = (ROWS, Instant::now() + PATIENCE);
    let shown = patch.contents.files.iter().zip(1..).skip(first - 1).take(FILES);
    let of_file = |(file, n): (&FileEntry, usize)| {
        let now = !is_large(file) && file.rows <= room && Instant::now() < deadline;
        let images = source.and_then(|source| Images::of(source, file));
        if !now || file.rows == 0 {
            return Ok(Content { slots: Slot::later(file.rows, PIECE_ROWS), images });
        }
        room -= file.rows;
        Ok(Content { slots: vec![Slot::Lines(patch.piece(n, 0, file.rows, deadline)?)], images })
    };
    shown.map(of_file).collect()
}

/// What a section shows.
struct Content {
    slots: Vec<Slot>,
    images: Option<Images>,
}

/// Lines of one turn alone are not counted as in the whole patch, and it may have had its say: nobody remarks on them.
fn remarks_address(links: &TaskLinks, turn: Option<u32>) -> Option<String> {
    (turn.is_none() && !links.reader.is_visitor()).then(|| format!("{}/remarks", links.page))
}

fn said_of(all: &[Said], path: &str) -> Vec<Said> {
    all.iter().filter(|said| said.line.path == path).cloned().collect()
}

/// The first file of the page of the diff that has this one.
fn page_of(n: usize) -> usize {
    (n.max(1) - 1) / FILES * FILES + 1
}

/// Folded away at first.
fn is_large(file: &FileEntry) -> bool {
    file.insertions + file.deletions > LARGE_ABOVE_LINES
}
