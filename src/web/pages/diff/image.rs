//! `/tasks/{id}/diff/files/{n}/before` and `…/after`: an image that changed. Its bytes say what it is, and only kinds of
//! images that run nothing are shown.

use std::path::Path as FilePath;

use axum::{
    extract::{Path, State},
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::patch_file::PatchFile;
use crate::{
    blocking,
    diff::{Change, FileEntry},
    domain::patch::is_image,
    git::{Moment, kept_beginning, kept_bytes},
    web::{AppState, error::WebError, pages::figures, reading::Reading, security_headers::ARTIFACT_POLICY},
};

/// An image as it was and as it is.
#[derive(Debug, Default)]
pub(super) struct Images {
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct ImagePath {
    n: usize,
    moment: Wanted,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Before,
    After,
}

pub(in crate::web) async fn get(
    State(state): State<AppState>,
    Reading { id, links, .. }: Reading,
    path: Result<Path<ImagePath>, axum::extract::rejection::PathRejection>,
) -> Result<Response, WebError> {
    let Path(ImagePath { n, moment }) = path.map_err(|_| WebError::NotFound)?;
    let (logs, source) = (state.data_dir.task_logs(&id), state.data_dir.task(&id).source());
    let image = blocking::run(move || -> std::io::Result<Option<(&'static str, Vec<u8>)>> {
        let Some(opened) = PatchFile::open(&logs, links.reader)? else { return Ok(None) };
        Ok(opened.entry(n).and_then(|entry| image(&source, entry, moment)))
    });
    let (kind, bytes) = image.await??.ok_or(WebError::NotFound)?;
    Ok(([(CONTENT_TYPE, kind)], [(CONTENT_SECURITY_POLICY, ARTIFACT_POLICY)], bytes).into_response())
}

impl Images {
    /// The sizes of those that are kept; none when there is nothing to show. Blocks.
    pub(super) fn of(source: &FilePath, entry: &FileEntry) -> Option<Self> {
        let size = |wanted| {
            let (moment, path) = of_image(entry, wanted)?;
            let (beginning, size) = kept_beginning(source, moment, path).ok()??;
            kind(&beginning).map(|_| figures::bytes(size))
        };
        let images = Self { before: size(Wanted::Before), after: size(Wanted::After) };
        (images.before.is_some() || images.after.is_some()).then_some(images)
    }
}

/// A file whose content cannot be read shows no image; the page says what else there is to say of it.
fn image(source: &FilePath, entry: &FileEntry, wanted: Wanted) -> Option<(&'static str, Vec<u8>)> {
    let (moment, path) = of_image(entry, wanted)?;
    let bytes = kept_bytes(source, moment, path).ok()??;
    Some((kind(&bytes)?, bytes))
}

/// Where it is, if the file was one by its name.
fn of_image(entry: &FileEntry, wanted: Wanted) -> Option<(Moment, &str)> {
    let header = &entry.header;
    let (moment, path) = match wanted {
        Wanted::Before if header.change == Change::Added => return None,
        Wanted::Before => (Moment::Before, header.old_path_if_moved().unwrap_or(header.path())),
        Wanted::After if header.change == Change::Deleted => return None,
        Wanted::After => (Moment::End, header.path()),
    };
    (header.binary.is_some() && is_image(path)).then_some((moment, path))
}

fn kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_of_an_image_are_one() {
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
        assert_eq!(kind(b"RIFF....WEBPVP8 "), Some("image/webp"));
        for other in [&b"<svg onload=alert(1)>"[..], b"\x89PNG", b"", b"<!doctype html>"] {
            assert_eq!(kind(other), None);
        }
    }
}
