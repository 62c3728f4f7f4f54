//! The lines of a patch before a file's hunks: its name, and what happened to it besides changed lines.

use super::binary::BinaryChange;
use crate::redact;

#[derive(Debug, Default)]
pub(crate) struct FileHeader {
    old_path: Option<String>,
    new_path: Option<String>,
    old_mode: Option<String>,
    new_mode: Option<String>,
    pub(crate) change: Change,
    /// None for a text.
    pub(crate) binary: Option<BinaryChange>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    #[default]
    Modified,
    Added,
    Deleted,
    Renamed,
    Copied,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Symlink,
    Submodule,
}

impl FileHeader {
    /// The path as it is now; of a deleted file, as it was.
    pub(crate) fn path(&self) -> &str {
        self.new_path.as_deref().or(self.old_path.as_deref()).unwrap_or("(unnamed)")
    }

    /// The path before a rename, or of what it is a copy.
    pub(crate) fn old_path_if_moved(&self) -> Option<&str> {
        self.old_path.as_deref().filter(|_| matches!(self.change, Change::Renamed | Change::Copied))
    }

    /// Before and after, when it changed.
    pub(crate) fn modes(&self) -> Option<(&str, &str)> {
        self.old_mode.as_deref().zip(self.new_mode.as_deref()).filter(|(old, new)| old != new)
    }

    pub(crate) fn kind(&self) -> FileKind {
        match self.new_mode.as_deref().or(self.old_mode.as_deref()) {
            Some("120000") => FileKind::Symlink,
            Some("160000") => FileKind::Submodule,
            _ => FileKind::File,
        }
    }

    pub(super) fn read(&mut self, line: &[u8]) {
        if let Some(binary) = &mut self.binary {
            binary.read(line);
            return;
        }
        let text = String::from_utf8_lossy(line);
        let line = redact::mask(&text);
        let value = |prefix: &str| line.strip_prefix(prefix).map(str::to_owned);
        if let Some(names) = line.strip_prefix("diff --git ") {
            self.new_path = name_of_both(names);
        } else if let Some(name) = line.strip_prefix("--- ") {
            set_name(&mut self.old_path, name, "a/");
        } else if let Some(name) = line.strip_prefix("+++ ") {
            set_name(&mut self.new_path, name, "b/");
        } else if let Some(name) = value("rename from ") {
            (self.old_path, self.change) = (Some(unquoted(&name)), Change::Renamed);
        } else if let Some(name) = value("copy from ") {
            (self.old_path, self.change) = (Some(unquoted(&name)), Change::Copied);
        } else if let Some(name) = value("rename to ").or_else(|| value("copy to ")) {
            self.new_path = Some(unquoted(&name));
        } else if let Some(mode) = value("new file mode ") {
            (self.new_mode, self.change) = (Some(mode), Change::Added);
        } else if let Some(mode) = value("deleted file mode ") {
            (self.old_mode, self.change) = (Some(mode), Change::Deleted);
        } else if let Some(mode) = value("old mode ") {
            self.old_mode = Some(mode);
        } else if let Some(mode) = value("new mode ") {
            self.new_mode = Some(mode);
        } else if let Some((_, mode)) = line.strip_prefix("index ").and_then(|ids| ids.split_once(' ')) {
            self.new_mode = Some(mode.to_owned());
        } else if line.starts_with("Binary files ") || line == "GIT binary patch" {
            self.binary = Some(BinaryChange::default());
        }
    }
}

/// `/dev/null` stands for no file; the name of the other side is kept then.
fn set_name(place: &mut Option<String>, written: &str, prefix: &str) {
    // `diff -u` writes a tab and the time after the name.
    let name = unquoted(written.split('\t').next().unwrap_or(written));
    if name != "/dev/null" {
        *place = Some(name.strip_prefix(prefix).unwrap_or(&name).to_owned());
    }
}

/// `a/x b/x`: with the same name on both sides it can be told where one ends, even if it holds blanks.
fn name_of_both(names: &str) -> Option<String> {
    let half = names.len().checked_sub(1)? / 2;
    let (old, new) = (names.get(..half)?, names.get(half + 1..)?);
    let (old, new) = (unquoted(old), unquoted(new));
    let (old, new) = (old.strip_prefix("a/")?, new.strip_prefix("b/")?);
    (old == new).then(|| new.to_owned())
}

/// Git quotes names with unusual bytes as C does.
fn unquoted(name: &str) -> String {
    let Some(quoted) = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) else { return name.to_owned() };
    let mut bytes = Vec::new();
    let mut rest = quoted.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'r') => bytes.push(b'\r'),
            Some(digit @ b'0'..=b'3') => {
                let digits = [digit, rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let value = digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit & 7));
                bytes.push(value);
            }
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
