//! `GET /logs/{id}/{name}`: one artifact, as text or as a download. Whatever is in it, no browser runs it.

use std::{
    io::{Seek, SeekFrom},
    ops::Range,
};

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
            RANGE,
        },
    },
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{
    AppState,
    error::WebError,
    reading::{Reader, Reading},
    security_headers::ARTIFACT_POLICY,
    share::redacted,
};
use crate::{artifacts, blocking, domain::task_id::TaskId};

#[derive(Deserialize)]
pub(super) struct ArtifactPath {
    name: String,
}

/// One artifact of a task.
#[utoipa::path(
    get,
    path = "/logs/{id}/{name}",
    tag = "artifacts",
    params(
        ("id" = String, Path, description = "Id of the task"),
        ("name" = String, Path, description = "Name from `artifacts`; may hold slashes"),
        ("Range" = Option<String>, Header, description = "`bytes=N-` follows a growing log"),
    ),
    responses(
        (status = 200, description = "The file: `text/plain`, or `application/octet-stream` as an attachment"),
        (status = 206, description = "The part that was asked for"),
        (status = 404, description = "No such task or file"),
        (status = 416, description = "Nothing there (yet)"),
    )
)]
pub(super) async fn get(
    State(state): State<AppState>,
    reading: Reading,
    path: Result<Path<ArtifactPath>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let Path(ArtifactPath { name }) = path.map_err(|_| WebError::NotFound)?;
    reading.require_file(&name)?;
    send(&state, &reading.id, name, &headers, reading.links.reader).await
}

/// The same for whoever has a share link that shows it.
#[utoipa::path(
    get,
    path = "/s/{token}/logs/{name}",
    tag = "shares",
    params(
        ("token" = String, Path, description = "The secret of a share link"),
        ("name" = String, Path, description = "Name from `artifacts`; may hold slashes"),
        ("Range" = Option<String>, Header, description = "`bytes=N-` follows a growing log"),
    ),
    responses(
        (status = 200, description = "The file, with an `X` for every byte of what looks like a secret"),
        (status = 206, description = "The part that was asked for"),
        (status = 404, description = "The link opens nothing, or not this file"),
        (status = 410, description = "The link has expired"),
    )
)]
pub(super) async fn shared(
    state: State<AppState>,
    reading: Reading,
    path: Result<Path<ArtifactPath>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    get(state, reading, path, headers).await
}

async fn send(
    state: &AppState,
    id: &TaskId,
    name: String,
    headers: &HeaderMap,
    reader: Reader,
) -> Result<Response, WebError> {
    let (folder, kind) = (state.data_dir.task_logs(id), Kind::of(&name));
    let disposition = kind.disposition(&name);
    let opened = blocking::run(move || {
        let file = artifacts::open(&folder, &name)?;
        file.map(|file| Ok((file.metadata()?.len(), file))).transpose()
    });
    let (size, mut file) = opened.await?.map_err(|error: std::io::Error| error)?.ok_or(WebError::NotFound)?;

    let wanted = headers.get(RANGE).and_then(|range| range.to_str().ok()).and_then(|range| parse_range(range, size));
    let (status, range) = match wanted {
        None => (StatusCode::OK, 0..size),
        Some(range) if range.is_empty() => return Err(WebError::RangeNotSatisfiable { size }),
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
    };
    let length = range.end - range.start;
    let content = match reader {
        Reader::Visitor => Body::from_stream(redacted(file, range.clone())),
        Reader::Person => {
            file.seek(SeekFrom::Start(range.start))?;
            Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file).take(length)))
        }
    };

    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, kind.content_type());
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_SECURITY_POLICY, ARTIFACT_POLICY);
    if let Some(disposition) = disposition {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::from_str(&format!("bytes {}-{}/{size}", range.start, range.end - 1))
    {
        headers.insert(CONTENT_RANGE, value);
    }
    Ok((status, headers, content).into_response())
}

/// Whether a file is shown as text rather than downloaded, by its name.
pub(super) fn is_text(name: &str) -> bool {
    Kind::of(name) == Kind::Text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Download,
}

impl Kind {
    fn of(name: &str) -> Self {
        const TEXT: [&str; 12] =
            ["txt", "log", "md", "patch", "diff", "json", "jsonl", "csv", "tsv", "toml", "yaml", "yml"];
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        if TEXT.contains(&extension) { Self::Text } else { Self::Download }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Download => "application/octet-stream",
        })
    }

    fn disposition(self, name: &str) -> Option<HeaderValue> {
        let file_name = name.rsplit('/').next().unwrap_or_default();
        let is_safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let safe: String = file_name.chars().map(|c| if is_safe(&c) { c } else { '_' }).take(150).collect();
        match self {
            Self::Text => None,
            Self::Download => {
                HeaderValue::from_str(&format!("attachment; filename=\"{}\"", safe.trim_start_matches('.'))).ok()
            }
        }
    }
}

/// `bytes=N-`, `bytes=N-M` and `bytes=-N` over a file of `size`; an empty range is beyond its end. What is not one such
/// range is ignored, as RFC 9110 asks for.
fn parse_range(header: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.trim().split_once('-')?;
    match (first, last) {
        ("", last) => Some(size.saturating_sub(last.parse().ok()?)..size),
        (first, "") => Some(first.parse().ok()?..size),
        (first, last) => {
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then(|| first..size.min(last.saturating_add(1)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_a_growing_file() {
        assert_eq!(parse_range("bytes=3-", 10), Some(3..10));
        assert_eq!(parse_range("bytes=0-0", 10), Some(0..1));
        assert_eq!(parse_range("bytes=-4", 10), Some(6..10));
        assert!(parse_range("bytes=10-", 10).is_some_and(|range| range.is_empty()));
        for ignored in ["bytes=5-3", "bytes=a-", "lines=1-", "bytes=1-2,4-5"] {
            assert_eq!(parse_range(ignored, 10), None, "{ignored}");
        }
    }

    #[test]
    fn only_harmless_kinds_are_shown() {
        assert_eq!(Kind::of("output/setup.log"), Kind::Text);
        for active in ["x.html", "x.svg", "x.xml", "x.js", "x", "txt"] {
            assert_eq!(Kind::of(active), Kind::Download, "{active}");
        }
        let header = Kind::Download.disposition("output/a\"; filename=\"b\r\nX: y.html").unwrap();
        assert_eq!(header, "attachment; filename=\"a___filename__b__X__y.html\"");
    }
}
