//! The patch of a task on disk: its table of contents, and pieces of its files.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use super::file_view::FileView;
use crate::{
    data_dir::turn_folder,
    diff::{Contents, FileEntry, Piece},
    domain::patch::Side,
    web::reading::Reader,
};

pub(in crate::web::pages) struct PatchFile {
    file: File,
    pub(in crate::web::pages) size: u64,
    pub(in crate::web::pages) contents: Arc<Contents>,
}

/// Where the patch of a task lies, or of what one of its turns changed.
pub(super) fn patch_folder(logs: PathBuf, turn: Option<u32>) -> PathBuf {
    turn.map(|turn| turn_folder(&logs, turn)).unwrap_or(logs)
}

/// Which patch, and as it was when.
type Key = (PathBuf, u64, SystemTime);
type Kept = Vec<(Key, Arc<Contents>)>;

/// Who scrolls through a large patch asks for its pieces one after the other: the tables of contents of the last large ones
/// are kept, so that it is not read as a whole each time.
static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);
const MAX_KEPT: usize = 4;
const LARGE_BYTES: u64 = 256 * 1024;

impl PatchFile {
    /// None when the task has no patch. Blocks.
    pub(in crate::web::pages) fn open(logs: &Path, reader: Reader) -> io::Result<Option<Self>> {
        let Some(file) = reader.open(logs, "diff.patch")? else { return Ok(None) };
        let metadata = file.metadata()?;
        let size = metadata.len();
        // What a visitor sees is made anew each time.
        let contents = if size < LARGE_BYTES || reader.is_visitor() {
            Arc::new(Contents::read(BufReader::new(&file))?)
        } else {
            kept((logs.to_owned(), size, metadata.modified()?), &file)?
        };
        Ok(Some(Self { file, size, contents }))
    }

    /// The patch as it is. Blocks.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.file).seek(SeekFrom::Start(0))?;
        (&self.file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Lines of the file with this number, which counts from one. Blocks.
    pub(super) fn piece(&self, n: usize, from: usize, max_rows: usize, deadline: Instant) -> io::Result<Piece> {
        let Some(entry) = self.entry(n) else { return Ok(Piece::default()) };
        let mut piece = Piece::read(BufReader::new(&self.file), entry, from, max_rows)?;
        piece.dress(entry.header.path(), deadline);
        Ok(piece)
    }

    /// What a file with this number says that the patch makes; none of others. Blocks.
    pub(super) fn new_text(&self, n: usize) -> io::Result<Option<String>> {
        match self.entry(n).filter(|entry| FileView::is_new_text(entry)) {
            Some(entry) => Piece::new_text(BufReader::new(&self.file), entry),
            None => Ok(None),
        }
    }

    pub(super) fn rows_before(&self, n: usize, side: Side, number: u32) -> io::Result<Option<usize>> {
        let Some(entry) = self.entry(n) else { return Ok(None) };
        Piece::rows_before(BufReader::new(&self.file), entry, side, number)
    }

    pub(super) fn entry(&self, n: usize) -> Option<&FileEntry> {
        self.contents.files.get(n.checked_sub(1)?)
    }
}

fn kept(key: Key, file: &File) -> io::Result<Arc<Contents>> {
    let all = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, contents)) = all().iter().find(|(known, _)| *known == key) {
        return Ok(contents.clone());
    }
    let contents = Arc::new(Contents::read(BufReader::new(file))?);
    let mut all = all();
    if all.len() >= MAX_KEPT {
        all.remove(0);
    }
    all.push((key, contents.clone()));
    Ok(contents)
}
