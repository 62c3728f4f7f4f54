//! The lines of a patch before a file's hunks: its name, and what happened to it besides changed lines.

#[derive(Debug, Default)]
pub(in crate::web::pages) struct FileHeader {
    old_name: Option<String>,
    new_name: Option<String>,
    old_mode: Option<String>,
    new_mode: Option<String>,
    change: Change,
    is_binary: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Change {
    #[default]
    Modified,
    Added,
    Deleted,
    Renamed,
    Copied,
}

pub(super) fn starts_file(line: &str) -> bool {
    line.starts_with("diff --git ")
}

impl FileHeader {
    /// The name to show; of a renamed file both.
    pub(in crate::web::pages) fn name(&self) -> String {
        match (&self.old_name, &self.new_name, self.change) {
            (Some(old), Some(new), Change::Renamed | Change::Copied) => format!("{old} → {new}"),
            (_, Some(new), _) => new.clone(),
            (Some(old), None, _) => old.clone(),
            (None, None, _) => "(unnamed)".to_owned(),
        }
    }

    /// What the lines do not say.
    pub(in crate::web::pages) fn remarks(&self) -> Vec<String> {
        let change = match self.change {
            Change::Modified => None,
            Change::Added => Some("new file".to_owned()),
            Change::Deleted => Some("deleted".to_owned()),
            Change::Renamed => Some("renamed".to_owned()),
            Change::Copied => Some("copied".to_owned()),
        };
        let mode = self.old_mode.as_ref().zip(self.new_mode.as_ref()).map(|(old, new)| format!("mode {old} → {new}"));
        let binary = self.is_binary.then(|| "binary".to_owned());
        change.into_iter().chain(mode).chain(binary).collect()
    }

    pub(super) fn read(&mut self, line: &str) {
        let value = |prefix: &str| line.strip_prefix(prefix).map(str::to_owned);
        if let Some(names) = line.strip_prefix("diff --git ") {
            self.new_name = name_of_both(names);
        } else if let Some(name) = line.strip_prefix("--- ") {
            set_name(&mut self.old_name, name, "a/");
        } else if let Some(name) = line.strip_prefix("+++ ") {
            set_name(&mut self.new_name, name, "b/");
        } else if let Some(name) = value("rename from ") {
            (self.old_name, self.change) = (Some(unquoted(&name)), Change::Renamed);
        } else if let Some(name) = value("copy from ") {
            (self.old_name, self.change) = (Some(unquoted(&name)), Change::Copied);
        } else if let Some(name) = value("rename to ").or_else(|| value("copy to ")) {
            self.new_name = Some(unquoted(&name));
        } else if line.starts_with("new file mode ") {
            self.change = Change::Added;
        } else if line.starts_with("deleted file mode ") {
            self.change = Change::Deleted;
        } else if let Some(mode) = value("old mode ") {
            self.old_mode = Some(mode);
        } else if let Some(mode) = value("new mode ") {
            self.new_mode = Some(mode);
        } else if line.starts_with("Binary files ") || line == "GIT binary patch" {
            self.is_binary = true;
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
