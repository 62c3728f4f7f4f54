//! Why an archive is refused: a kind for programs, a sentence that says what to change.

use std::io;

use zip::result::ZipError;

use crate::domain::failure::{Failure, FailureKind};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("the file is no complete zip archive ({0}); make it again and upload it once more")]
    Invalid(String),
    #[error("the archive has no files; zip the folder with the code")]
    Empty,
    #[error("the entry {name} has an unsafe name: {reason}; rename it or leave it out")]
    UnsafePath { name: String, reason: &'static str },
    #[error("the link {name} leads out of the archive; replace it with what it points at or leave it out")]
    UnsafeLink { name: String },
    #[error("the entry {name} is no file, folder or link; leave it out")]
    SpecialFile { name: String },
    #[error("the entry {name} stands in the archive twice, or both as a file and as a folder; make the archive again")]
    Ambiguous { name: String },
    #[error("encrypted archives are not supported; make it again without a password")]
    Encrypted,
    #[error("the entry {name} is compressed in a way that is not supported; make the archive again with deflate")]
    Compression { name: String },
    #[error(
        "the archive has more than {limit} files and folders; leave out dependencies and build results, or raise [source] max_files"
    )]
    TooManyFiles { limit: usize },
    #[error(
        "the archive unpacks to more than {limit} bytes; leave out dependencies and build results, or raise [source] max_unpacked_bytes"
    )]
    TooLarge { limit: u64 },
    #[error("the disk of the server is full; free some space and try again")]
    DiskFull,
    #[error("the archive cannot be read or written: {0}")]
    Io(io::Error),
}

impl ArchiveError {
    /// The name of the cause on the wire.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::Empty => "zip_invalid",
            Self::UnsafePath { .. } => "zip_unsafe_path",
            Self::UnsafeLink { .. } => "zip_unsafe_link",
            Self::SpecialFile { .. } => "zip_special_file",
            Self::Ambiguous { .. } => "zip_ambiguous",
            Self::Encrypted => "zip_encrypted",
            Self::Compression { .. } => "zip_unsupported",
            Self::TooManyFiles { .. } => "zip_too_many_files",
            Self::TooLarge { .. } => "zip_too_large",
            Self::DiskFull => "disk_full",
            Self::Io(_) => "internal",
        }
    }

    /// The end of a task whose archive was refused only when it was unpacked.
    pub(crate) fn failure(&self) -> Failure {
        let kind = match self {
            Self::TooManyFiles { .. } | Self::TooLarge { .. } => FailureKind::TooLarge,
            Self::DiskFull => FailureKind::DiskFull,
            Self::Io(_) => FailureKind::Internal,
            _ => FailureKind::ZipInvalid,
        };
        Failure::new(kind, self.to_string())
    }
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            // The decoders report broken data so; a disk never does.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
                Self::Invalid(error.to_string())
            }
            _ => Self::Io(error),
        }
    }
}

impl From<ZipError> for ArchiveError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => error.into(),
            other => Self::Invalid(printable(other.to_string().as_bytes())),
        }
    }
}

/// A name from an archive as it can be shown anywhere: escaped and not too long.
pub(super) fn printable(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let shown: String = name.chars().take(200).flat_map(char::escape_debug).collect();
    if name.chars().nth(200).is_some() { format!("{shown}…") } else { shown }
}
