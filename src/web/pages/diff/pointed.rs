//! The line of a patch that somebody points to, by the path of its file.

use std::time::Instant;

use super::{file_view::FileView, patch_file::PatchFile};
use crate::{
    blocking,
    domain::{patch::Side, remark::RemarkedLine, task_id::TaskId},
    web::{AppState, error::WebError, pages::links::TaskLinks, reading::Reader, submit::FieldError},
};

pub(in crate::web) struct Pointed {
    pub(in crate::web) line: RemarkedLine,
    /// The page of the diff that has the line, with its name there.
    pub(in crate::web) address: String,
}

impl Pointed {
    /// None when the line is not in the patch.
    pub(in crate::web) async fn find(
        state: &AppState,
        id: &TaskId,
        path: String,
        (side, number): (Side, u32),
    ) -> Result<Option<Self>, WebError> {
        let logs = state.data_dir.task_logs(id);
        let diff = format!("{}/diff", TaskLinks::of(id).page);
        let look = move || -> std::io::Result<Option<Self>> {
            let Some(opened) = PatchFile::open(&logs, Reader::Person)? else { return Ok(None) };
            // A file that becomes a link is in there twice: deleted and made anew.
            for (entry, n) in opened.contents.files.iter().zip(1..).filter(|(entry, _)| entry.header.path() == path) {
                let Some(before) = opened.rows_before(n, side, number)? else { continue };
                let piece = opened.piece(n, before, 1, Instant::now())?;
                let lines = piece.hunks.into_iter().flat_map(|hunk| hunk.lines);
                let text = lines.filter(|line| line.number(side) == Some(number)).map(|line| line.text).next();
                return Ok(text.map(|text| Self {
                    address: format!(
                        "{diff}?first={}#{}-{}{number}",
                        super::page_of(n),
                        FileView::of(entry, n).anchor,
                        side.letter()
                    ),
                    line: RemarkedLine { path, side, number, text },
                }));
            }
            Ok(None)
        };
        Ok(blocking::run(look).await??)
    }

    /// The same; that there is no such line is the mistake of who asks.
    pub(in crate::web) async fn require(
        state: &AppState,
        id: &TaskId,
        path: String,
        place: (Side, u32),
    ) -> Result<Self, WebError> {
        Self::find(state, id, path, place).await?.ok_or_else(|| WebError::Invalid {
            fields: vec![FieldError::new("line", tr!("this line is not in the diff"))],
        })
    }
}
