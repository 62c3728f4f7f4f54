//! Text as files hold it: bytes with a byte order mark or without, with the line endings they came with.

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The largest file that the text tools take, in bytes.
pub(super) const LARGEST_TEXT: u64 = 10 << 20;

/// Why bytes are no text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotText {
    #[error("the file is binary (a NUL byte at offset {0}); use run_command for it")]
    Binary(usize),
    #[error("the file is not UTF-8 (a wrong byte at offset {0}); use run_command for it")]
    NotUtf8(usize),
}

/// How the lines of a text end. A text with both ends counts as `Lf`: it is taken as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum LineEnding {
    #[default]
    Lf,
    CrLf,
}

pub(super) fn decode(bytes: &[u8]) -> Result<&str, NotText> {
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        return Err(NotText::Binary(offset));
    }
    std::str::from_utf8(bytes).map_err(|error| NotText::NotUtf8(error.valid_up_to()))
}

/// The byte order mark, or nothing, and the text after it.
pub(super) fn split_mark(text: &str) -> (&str, &str) {
    let start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    text.split_at(start)
}

/// Lines with their ends. Only `\n` ends one: that is how git and every line number count.
pub(super) fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

impl LineEnding {
    pub(super) fn of(text: &str) -> Self {
        let crlf = text.matches("\r\n").count();
        if crlf > 0 && crlf == text.matches('\n').count() { Self::CrLf } else { Self::Lf }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
        }
    }

    /// A model writes `\n`; in a file of `\r\n` its text gets the ends of the file.
    pub(super) fn adapt(self, text: &str) -> String {
        match self {
            Self::CrLf if !text.contains("\r\n") => text.replace('\n', "\r\n"),
            Self::Lf | Self::CrLf => text.to_owned(),
        }
    }
}
