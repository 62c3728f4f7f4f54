//! `/tasks/{id}/logs/{name}`: a log in parts, with the numbers of its lines and a search.

mod part;
mod search;

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use serde::Deserialize;

use super::{figures, links::TaskLinks, page};
use crate::{
    blocking,
    domain::task_id::TaskId,
    web::{
        AppState,
        error::WebError,
        extract::Query,
        reading::{Reader, Reading},
    },
};
pub(super) use part::LogPart;
use part::{Place, Room};

#[derive(Debug, Deserialize)]
pub(in crate::web) struct LogQuery {
    /// Show from this byte on; a search goes on there.
    at: Option<u64>,
    /// Show what comes before this byte, or the end with `end`.
    before: Option<String>,
    /// Show this line.
    line: Option<u64>,
    /// Show the lines that hold this text.
    find: Option<String>,
    /// `rows`: the lines alone, as the page of the task asks for them that follows the log; `lines`: as the page of the log itself
    /// does.
    only: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct LogPath {
    name: String,
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    id: TaskId,
    links: TaskLinks,
    title: String,
    name: String,
    find: String,
    size: u64,
    content: Content,
    task_is_over: bool,
}

enum Content {
    Binary,
    Part(LogPart),
    Found(search::Found),
}

impl LogPage {
    fn is_searchable(&self) -> bool {
        !matches!(self.content, Content::Binary)
    }

    /// More may come after the last line that is shown.
    fn grows(&self) -> bool {
        !self.task_is_over && matches!(&self.content, Content::Part(part) if !part.goes_on())
    }

    fn lines(&self) -> Option<String> {
        let Content::Part(part) = &self.content else { return None };
        let (first, last) = part.numbers()?;
        Some(tr!("lines {first} to {last}", first = figures::count(first), last = figures::count(last)))
    }
}

/// Lines on their own, for a page that follows a log.
#[derive(Template)]
#[template(path = "log_rows.html")]
struct Rows {
    part: LogPart,
    grows: bool,
    /// Where the links of lines lead, up to the number of the line: to the page of the log.
    to: String,
}

/// What is looked at to tell text from the rest.
const PEEK_BYTES: usize = 4096;
const MAX_FIND_CHARS: usize = 200;

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    reading: Reading,
    path: Result<Path<LogPath>, axum::extract::rejection::PathRejection>,
    Query(query): Query<LogQuery>,
) -> Result<Response, WebError> {
    let Path(LogPath { name }) = path.map_err(|_| WebError::NotFound)?;
    reading.require_file(&name)?;
    let Reading { id, links, .. } = reading;
    let reader = links.reader;
    let task = state.db.task(&id).await?;
    let (folder, wanted) = (state.data_dir.task_logs(&id), name.clone());
    // From before the file is read: once it is over, nothing comes any more.
    let task_is_over = task.status.is_final();
    let only = query.only.as_deref().and_then(|only| match only {
        "rows" => Some(links.log_line(&name)),
        "lines" => Some(String::new()),
        _ => None,
    });
    let only_rows = only.is_some();
    let find: String = query.find.clone().unwrap_or_default().chars().take(MAX_FIND_CHARS).collect();
    let text = find.clone();
    let read = blocking::run(move || {
        let Some(mut file) = reader.open(&folder, &wanted)? else { return Ok(None) };
        let size = file.metadata()?.len();
        let content = read(&mut file, &query, &text)?;
        Ok::<_, io::Error>(Some((size, content)))
    });
    let (size, content) = match read.await?? {
        Some(read) => read,
        // Who follows a log may be there before its first line.
        None if only_rows => (0, Content::Part(LogPart::default())),
        None => return Err(WebError::NotFound),
    };
    match content {
        Content::Part(part) if only_rows => page(&Rows { part, grows: !task_is_over, to: only.unwrap_or_default() }),
        content => {
            let title = reader.text(task.instruction.title()).into_owned();
            page(&LogPage { id, links, title, name, find, size, content, task_is_over })
        }
    }
}

/// The end of `setup.log`, as the page of the task shows it; none as long as there is none.
pub(super) async fn setup_log(folder: PathBuf, reader: Reader) -> Result<Option<LogPart>, WebError> {
    const ROOM: Room = Room { bytes: 32 * 1024, lines: 500 };
    let read = blocking::run(move || {
        let file = reader.open(&folder, "setup.log")?;
        file.map(|mut file| LogPart::read(&mut file, Place::End, ROOM)).transpose()
    });
    Ok(read.await??)
}

fn read(file: &mut File, query: &LogQuery, find: &str) -> io::Result<Content> {
    if is_binary(file)? {
        return Ok(Content::Binary);
    }
    if !find.is_empty() {
        return Ok(Content::Found(search::search(file, find, query.at.unwrap_or(0))?));
    }
    let place = match (query.line, query.before.as_deref(), query.at) {
        (Some(line), ..) => Place::Line(line),
        (None, Some(before), _) => before.parse().map_or(Place::End, Place::Before),
        (None, None, at) => Place::From(at.unwrap_or(0)),
    };
    Ok(Content::Part(LogPart::read(file, place, part::PAGE)?))
}

fn is_binary(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(PEEK_BYTES as u64).read_to_end(&mut start)?;
    // A stray zero byte makes no text binary.
    Ok(memchr::memchr_iter(0, &start).count() > start.len() / 64)
}
