//! The end of `setup.log`, and from which byte on the script has to follow it.

use std::{
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use super::terminal;
use crate::{artifacts, blocking, web::error::WebError};

#[derive(Debug, Default)]
pub(super) struct SetupLog {
    pub(super) exists: bool,
    pub(super) text: String,
    /// Bytes before what is shown.
    pub(super) skipped: u64,
    /// Where the text ends in the file.
    pub(super) offset: u64,
}

const MAX_SHOWN_BYTES: u64 = 32 * 1024;

pub(super) async fn read(folder: PathBuf) -> Result<SetupLog, WebError> {
    let read = blocking::run(move || {
        let Some(mut file) = artifacts::open(&folder, "setup.log")? else { return Ok(SetupLog::default()) };
        let skipped = file.metadata()?.len().saturating_sub(MAX_SHOWN_BYTES);
        file.seek(SeekFrom::Start(skipped))?;
        let mut bytes = Vec::new();
        file.take(MAX_SHOWN_BYTES).read_to_end(&mut bytes)?;
        // A character may be half written; the script reads it once it is whole.
        let whole = bytes.len() - bytes.utf8_chunks().last().map_or(0, |chunk| unfinished(chunk.invalid()));
        bytes.truncate(whole);
        let text = terminal::plain(&String::from_utf8_lossy(&bytes));
        Ok::<_, std::io::Error>(SetupLog { exists: true, text, skipped, offset: skipped + whole as u64 })
    });
    Ok(read.await??)
}

/// How many bytes at the end begin a character that is not complete.
fn unfinished(invalid: &[u8]) -> usize {
    let expected = match invalid.first() {
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        _ => 0,
    };
    if invalid.len() < expected { invalid.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_character_that_is_cut_waits_for_its_rest() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("setup.log"), b"\x1b[32mok\x1b[0m \xe6\xbc").unwrap();
        let log = read(dir.path().to_owned()).await.unwrap();
        assert_eq!((log.text.as_str(), log.offset), ("ok ", 12));
        assert!(!read(dir.path().join("none")).await.unwrap().exists);
    }
}
