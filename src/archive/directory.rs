//! Judges an archive by its directory, before a byte is written.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use zip::read::ZipFileEntry;
use zip::{CompressionMethod, ZipArchive};

use super::error::{ArchiveError, printable};
use super::links::{Node, stays_inside};
use super::names::{Components, components};
use super::unpack::UnpackLimits;

/// An archive that may be unpacked.
pub(super) struct Directory {
    pub(super) archive: ZipArchive<Reader>,
    /// In the order they are made: a folder stands before what it holds, links stand last.
    pub(super) entries: Vec<Entry>,
    /// What the files hold together, as declared.
    pub(super) bytes: u64,
}

pub(super) struct Entry {
    pub(super) path: Components,
    pub(super) kind: EntryKind,
}

pub(super) enum EntryKind {
    Folder,
    File { index: usize, size: u64, mode: u32 },
    Link { target: Vec<u8> },
}

const FILE_TYPE: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// The longest target that Linux takes.
const MAX_TARGET_BYTES: u64 = 4095;

/// The directory is read into memory as a whole; an entry takes about this much of it, seldom more.
const DIRECTORY_BYTES_PER_ENTRY: u64 = 300;
const DIRECTORY_BYTES: u64 = 256 * 1024;

impl Directory {
    pub(super) fn read(zip: &Path, limits: &UnpackLimits) -> Result<Self, ArchiveError> {
        let too_many = ArchiveError::TooManyFiles { limit: limits.max_files };
        let allowance = limits.max_files as u64 * DIRECTORY_BYTES_PER_ENTRY + DIRECTORY_BYTES;
        let left = Rc::new(Cell::new(Some(allowance)));
        let reader = BufReader::new(Allowance { file: File::open(zip)?, left: Rc::clone(&left) });
        let archive = ZipArchive::new(reader);
        if left.replace(None) == Some(0) {
            return Err(too_many);
        }
        let mut archive = archive?;
        if archive.len() > limits.max_files {
            return Err(too_many);
        }
        let mut tree = Tree::default();
        for index in 0..archive.len() {
            tree.add(&archive.by_index_data(index)?, index, limits)?;
        }
        // Names twice, a local header that says otherwise, entries that overlap (the zip bombs without a nested zip).
        archive.validate_header_consistency()?;
        tree.read_targets(&mut archive)?;
        tree.strip_top_folder();
        let (entries, bytes) = tree.into_entries(limits)?;
        Ok(Self { archive, entries, bytes })
    }
}

/// Every path of the archive, the folders that are only implied among them.
#[derive(Default)]
struct Tree {
    nodes: HashMap<Components, Node>,
    /// Folders that have an entry of their own, and files and links, with their place in the archive.
    listed: Vec<(Components, Listed)>,
}

#[derive(Clone, Copy)]
struct Listed {
    index: usize,
    size: u64,
    mode: u32,
}

impl Tree {
    fn add(&mut self, entry: &ZipFileEntry<'_>, index: usize, limits: &UnpackLimits) -> Result<(), ArchiveError> {
        let name = entry.name_raw();
        let shown = || printable(name);
        if entry.encrypted() {
            return Err(ArchiveError::Encrypted);
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(ArchiveError::Compression { name: shown() });
        }
        let path = components(name)?;
        if path.is_empty() {
            // "./", which some tools write for the folder itself.
            return Ok(());
        }
        let mode = entry.unix_mode().unwrap_or(0o644);
        let node = match (mode & FILE_TYPE, name.ends_with(b"/")) {
            (0 | FOLDER, true) | (FOLDER, false) => Node::Folder,
            (0 | REGULAR, false) => Node::File,
            (LINK, false) => Node::Link { target: Vec::new() },
            (REGULAR | LINK, true) => return Err(ArchiveError::Ambiguous { name: shown() }),
            _ => return Err(ArchiveError::SpecialFile { name: shown() }),
        };
        for depth in 1..path.len() {
            let parent = self.nodes.entry(path[..depth].to_vec()).or_insert(Node::Folder);
            if *parent != Node::Folder {
                return Err(ArchiveError::Ambiguous { name: shown() });
            }
        }
        let is_folder = node == Node::Folder;
        match self.nodes.insert(path.clone(), node) {
            None => {}
            // Implied by an earlier entry; a second entry of its own is found by the check for names that stand twice.
            Some(Node::Folder) if is_folder => {}
            Some(_) => return Err(ArchiveError::Ambiguous { name: shown() }),
        }
        if self.nodes.len() > limits.max_files {
            return Err(ArchiveError::TooManyFiles { limit: limits.max_files });
        }
        self.listed.push((path, Listed { index, size: entry.size(), mode }));
        Ok(())
    }

    fn read_targets(&mut self, archive: &mut ZipArchive<Reader>) -> Result<(), ArchiveError> {
        for (path, listed) in &self.listed {
            let Some(Node::Link { target }) = self.nodes.get_mut(path) else { continue };
            let broken = || ArchiveError::UnsafeLink { name: printable(&path.join(&b'/')) };
            if listed.size == 0 || listed.size > MAX_TARGET_BYTES {
                return Err(broken());
            }
            archive.by_index(listed.index)?.take(MAX_TARGET_BYTES + 1).read_to_end(target)?;
            if target.len() as u64 != listed.size || target.contains(&0) {
                return Err(broken());
            }
        }
        Ok(())
    }

    fn strip_top_folder(&mut self) {
        let is_macos = |path: &Components| path[0] == b"__MACOSX";
        self.nodes.retain(|path, _| !is_macos(path));
        self.listed.retain(|(path, _)| !is_macos(path));
        let mut tops = self.nodes.iter().filter(|(path, _)| path.len() == 1);
        let is_wrapped = matches!((tops.next(), tops.next()), (Some((_, Node::Folder)), None));
        if is_wrapped && self.nodes.values().any(|node| *node != Node::Folder) {
            let nodes = std::mem::take(&mut self.nodes);
            self.nodes = nodes.into_iter().map(|(path, node)| (path[1..].to_vec(), node)).collect();
            self.nodes.remove(&Vec::new());
            for (path, _) in &mut self.listed {
                path.remove(0);
            }
            self.listed.retain(|(path, _)| !path.is_empty());
        }
    }

    fn into_entries(self, limits: &UnpackLimits) -> Result<(Vec<Entry>, u64), ArchiveError> {
        let listed: HashMap<&Components, Listed> = self.listed.iter().map(|(path, listed)| (path, *listed)).collect();
        let mut entries = Vec::with_capacity(self.nodes.len());
        let mut bytes = 0_u64;
        for (path, node) in &self.nodes {
            let kind = match (node, listed.get(path)) {
                (Node::File, Some(listed)) => {
                    bytes = bytes.saturating_add(listed.size);
                    EntryKind::File { index: listed.index, size: listed.size, mode: listed.mode }
                }
                (Node::Link { target }, _) if stays_inside(path, &self.nodes) => {
                    EntryKind::Link { target: target.clone() }
                }
                (Node::Link { .. }, _) => {
                    return Err(ArchiveError::UnsafeLink { name: printable(&path.join(&b'/')) });
                }
                (Node::Folder, _) | (Node::File, None) => EntryKind::Folder,
            };
            entries.push(Entry { path: path.clone(), kind });
        }
        if bytes > limits.max_bytes {
            return Err(ArchiveError::TooLarge { limit: limits.max_bytes });
        }
        if entries.iter().all(|entry| matches!(entry.kind, EntryKind::Folder)) {
            return Err(ArchiveError::Empty);
        }
        // Parents before children, files in the order they lie in the archive, links when nothing is written any more.
        entries.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        Ok((entries, bytes))
    }
}

impl Entry {
    fn order(&self) -> (u8, usize, &Components) {
        match self.kind {
            EntryKind::Folder => (0, 0, &self.path),
            EntryKind::File { index, .. } => (1, index, &self.path),
            EntryKind::Link { .. } => (2, 0, &self.path),
        }
    }
}

pub(super) type Reader = BufReader<Allowance>;

/// The file, of which only so much may be read while the directory is built up in memory.
pub(super) struct Allowance {
    file: File,
    left: Rc<Cell<Option<u64>>>,
}

impl Read for Allowance {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(left) = self.left.get() {
            let left = left.saturating_sub(read as u64);
            self.left.set(Some(left));
            if left == 0 {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
        }
        Ok(read)
    }
}

impl Seek for Allowance {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}
