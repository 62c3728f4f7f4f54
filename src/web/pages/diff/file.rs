//! `/tasks/{id}/diff/files/{n}`: one file of the patch, a piece at a time; as a page, or as the piece that a script asks for.

use std::time::{Duration, Instant};

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, header::CONTENT_SECURITY_POLICY},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    and_turn,
    file_view::{FileView, PIECE_ROWS, Section, Slot},
    image::Images,
    layout::Layout,
    patch_file::{PatchFile, patch_folder},
    remarks_address, said_of,
};
use crate::{
    blocking,
    diff::Piece,
    domain::{patch::Side, task_id::TaskId},
    web::{
        AppState,
        error::WebError,
        extract::Query,
        pages::{links::TaskLinks, page, remarks::Said},
        reading::Reading,
        security_headers::ARTIFACT_POLICY,
    },
};

/// How long colours and changed words of one piece may take.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
pub(in crate::web) struct FilePath {
    n: usize,
}

#[derive(Debug, Deserialize)]
pub(in crate::web) struct FileQuery {
    view: Option<String>,
    /// Lines before the piece.
    from: Option<usize>,
    /// `L12` or `R12`: the piece with this line.
    line: Option<String>,
    /// `piece`: no page around it; `text`: what a new file says.
    only: Option<String>,
    /// Only what this turn changed.
    turn: Option<u32>,
}

#[derive(Template)]
#[template(path = "diff/file_page.html")]
struct FilePage {
    id: TaskId,
    links: TaskLinks,
    title: String,
    layout: Layout,
    section: Section,
    earlier: Option<usize>,
    later: Option<usize>,
    /// Which lines these are, when not all fit.
    lines: Option<String>,
    and_turn: String,
    remarks: Option<String>,
}

#[derive(Template)]
#[template(path = "diff/piece.html")]
struct PieceAlone {
    piece: Piece,
    anchor: String,
    layout: Layout,
    said: Vec<Said>,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    Reading { id, links, .. }: Reading,
    path: Result<Path<FilePath>, axum::extract::rejection::PathRejection>,
    Query(query): Query<FileQuery>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let Path(FilePath { n }) = path.map_err(|_| WebError::NotFound)?;
    let task = state.db.task(&id).await?;
    let layout = Layout::of(query.view.as_deref(), &headers);
    let reader = links.reader;
    let logs = patch_folder(state.data_dir.task_logs(&id), query.turn);
    let source = state.data_dir.task(&id).source();
    if query.only.as_deref() == Some("text") {
        let text = blocking::run(move || -> std::io::Result<Option<String>> {
            let opened = PatchFile::open(&logs, reader)?;
            Ok(opened.map(|patch| patch.new_text(n)).transpose()?.flatten())
        });
        let text = text.await??.ok_or(WebError::NotFound)?;
        return Ok(([(CONTENT_SECURITY_POLICY, ARTIFACT_POLICY)], text).into_response());
    }
    let line = query.line.as_deref().and_then(parse_line);
    let read = blocking::run(move || -> std::io::Result<Option<(PatchFile, Piece, Option<Images>)>> {
        let Some(opened) = PatchFile::open(&logs, reader)? else { return Ok(None) };
        let Some(entry) = opened.entry(n) else { return Ok(None) };
        let wanted = match line {
            Some((side, number)) => opened.rows_before(n, side, number)?.unwrap_or(0),
            None => query.from.unwrap_or(0),
        };
        let from = wanted.min(entry.rows.saturating_sub(1)) / PIECE_ROWS * PIECE_ROWS;
        let piece = opened.piece(n, from, PIECE_ROWS, Instant::now() + PATIENCE)?;
        let images = query.turn.is_none().then(|| Images::of(&source, entry)).flatten();
        Ok(Some((opened, piece, images)))
    });
    let (opened, piece, images) = read.await??.ok_or(WebError::NotFound)?;
    let file = FileView::of(opened.entry(n).ok_or(WebError::NotFound)?, n);
    let said = said_of(&Said::all(&state, &id, &links, query.turn).await?, &file.path);
    if query.only.as_deref() == Some("piece") {
        return page(&PieceAlone { piece, anchor: file.anchor, layout, said });
    }
    let last = piece.from + piece.rows;
    page(&FilePage {
        and_turn: and_turn(query.turn),
        remarks: remarks_address(&links, query.turn),
        links,
        title: reader.text(task.instruction.title()).into_owned(),
        layout,
        earlier: piece.from.checked_sub(PIECE_ROWS),
        later: Some(last).filter(|last| *last < file.rows),
        lines: (piece.rows < file.rows).then(|| file.lines(piece.from, piece.rows)),
        section: Section { is_open: true, slots: vec![Slot::Lines(piece)], images, file, said, choice: None },
        id,
    })
}

/// `L12` or `R12`.
pub(in crate::web::pages) fn parse_line(text: &str) -> Option<(Side, u32)> {
    let side = match text.chars().next()? {
        'L' => Side::Old,
        'R' => Side::New,
        _ => return None,
    };
    Some((side, text[1..].parse().ok()?))
}
