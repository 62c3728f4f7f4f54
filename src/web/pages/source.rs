//! `/tasks/{id}/source/{path}`: a file that the explanation points to, as it was when the task ended.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use serde::Deserialize;

use super::{links::TaskLinks, page};
use crate::{
    blocking,
    domain::task_id::TaskId,
    git::{KeptFile, kept_file},
    redact,
    web::{AppState, error::WebError, extract::Query, reading::Reading},
};

/// Lines on one page.
const PAGE: usize = 4000;
/// Lines above those that were asked for, when not all fit.
const ABOVE: usize = 1000;

#[derive(Debug, Deserialize)]
pub(in crate::web) struct SourceQuery {
    /// `12-20`: these are marked.
    lines: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct SourcePath {
    path: String,
}

#[derive(Template)]
#[template(path = "source.html")]
struct SourcePage {
    id: TaskId,
    links: TaskLinks,
    title: String,
    path: String,
    /// None for a binary file.
    view: Option<View>,
}

/// A part of a text.
#[derive(Debug, PartialEq)]
struct View {
    lines: Vec<Line>,
    /// Lines of the whole file.
    count: String,
    /// A line to ask for to see the part before, and the part after.
    before: Option<usize>,
    after: Option<usize>,
}

#[derive(Debug, PartialEq)]
struct Line {
    number: usize,
    text: String,
    is_marked: bool,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    Reading { id, links, .. }: Reading,
    path: Result<Path<SourcePath>, axum::extract::rejection::PathRejection>,
    Query(query): Query<SourceQuery>,
) -> Result<Response, WebError> {
    let Path(SourcePath { path }) = path.map_err(|_| WebError::NotFound)?;
    let task = state.db.task(&id).await?;
    let (folder, wanted) = (state.data_dir.task(&id).source(), path.clone());
    let file = blocking::run(move || kept_file(&folder, &wanted)).await?.map_err(WebError::internal)?;
    let view = match file.ok_or(WebError::NotFound)? {
        KeptFile::Binary => None,
        KeptFile::Text(text) => {
            Some(View::of(&links.reader.text(&redact::mask(&text)), query.lines.as_deref().and_then(parse_lines)))
        }
    };
    page(&SourcePage { title: links.reader.text(task.instruction.title()).into_owned(), id, links, path, view })
}

/// First and last line.
fn parse_lines(text: &str) -> Option<(usize, usize)> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let (start, end) = (start.parse().ok()?, end.parse().ok()?);
    (1 <= start && start <= end).then_some((start, end))
}

impl View {
    fn is_whole(&self) -> bool {
        self.before.is_none() && self.after.is_none()
    }

    fn of(text: &str, marked: Option<(usize, usize)>) -> Self {
        let all = text.lines().count();
        let wanted = marked.map_or(1, |(start, _)| start);
        let first = if all <= PAGE { 1 } else { wanted.saturating_sub(ABOVE).clamp(1, all - PAGE + 1) };
        let last = all.min(first + PAGE - 1);
        let line = |(number, text): (usize, &str)| Line {
            number,
            text: text.to_owned(),
            is_marked: marked.is_some_and(|(start, end)| (start..=end).contains(&number)),
        };
        Self {
            lines: (1..).zip(text.lines()).skip(first - 1).take(PAGE).map(line).collect(),
            count: tr_count!(all as u64, "{n} line", "{n} lines"),
            before: (first > 1).then(|| first.saturating_sub(PAGE - ABOVE).max(1)),
            after: (last < all).then_some(last + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: usize, marked: Option<&str>) -> (usize, usize, usize, Option<usize>, Option<usize>) {
        let text: String = (1..=lines).flat_map(|number| [number.to_string(), "\n".to_owned()]).collect();
        let view = View::of(&text, marked.and_then(parse_lines));
        let ends = |line: Option<&Line>| line.map_or(0, |line| line.number);
        let marked = view.lines.iter().filter(|line| line.is_marked).count();
        (ends(view.lines.first()), ends(view.lines.last()), marked, view.before, view.after)
    }

    #[test]
    fn a_long_file_is_shown_around_the_lines_that_are_meant() {
        assert_eq!(shown(0, None), (0, 0, 0, None, None));
        assert_eq!(shown(30, Some("12-20")), (1, 30, 9, None, None));
        assert_eq!(shown(10_000, None), (1, 4000, 0, None, Some(4001)));
        assert_eq!(shown(10_000, Some("5000")), (4000, 7999, 1, Some(1000), Some(8000)));
        assert_eq!(shown(10_000, Some("9999-10000")), (6001, 10_000, 2, Some(3001), None));
        for odd in ["0", "9-3", "x", "-", "99999999999999999999999"] {
            assert_eq!(parse_lines(odd), None, "{odd}");
        }
    }
}
