//! From the name of an entry to a path that stays inside.

use super::error::{ArchiveError, printable};

/// The components of a path beneath the root; never empty ones, `.` or `..`.
pub(super) type Components = Vec<Vec<u8>>;

const MAX_DEPTH: usize = 64;
const MAX_PATH_BYTES: usize = 4096;
const MAX_COMPONENT_BYTES: usize = 255;

/// Takes a name apart. Names are bytes: what is no UTF-8 is kept as it is.
pub(super) fn components(name: &[u8]) -> Result<Components, ArchiveError> {
    let refused = |reason| ArchiveError::UnsafePath { name: printable(name), reason };
    if name.contains(&0) {
        return Err(refused("it holds a NUL byte"));
    }
    if name.len() > MAX_PATH_BYTES {
        return Err(refused("it is longer than 4096 bytes"));
    }
    // A backslash is a fine character here and a separator on Windows: it must be harmless in both readings.
    if name.starts_with(b"/") || name.starts_with(b"\\") {
        return Err(refused("it is absolute"));
    }
    if matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err(refused("it begins with a drive"));
    }
    if name.split(|byte| matches!(byte, b'/' | b'\\')).any(|component| component == b"..") {
        return Err(refused("it climbs out with \"..\""));
    }
    let components: Components = name
        .split(|&byte| byte == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
        .map(<[u8]>::to_vec)
        .collect();
    if components.iter().any(|component| component.len() > MAX_COMPONENT_BYTES) {
        return Err(refused("a part of it is longer than 255 bytes"));
    }
    if components.len() > MAX_DEPTH {
        return Err(refused("it is more than 64 folders deep"));
    }
    Ok(components)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_root_in_any_reading_are_refused() {
        for bad in [
            "..",
            "../evil",
            "a/../../evil",
            "a/..",
            "/etc/x",
            "\\x",
            "..\\evil",
            "a\\..\\..\\evil",
            "C:\\x",
            "c:x",
            "a\0b",
        ] {
            let error = components(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), "zip_unsafe_path", "{bad}");
        }
        assert!(components("d/".repeat(65).as_bytes()).is_err());
        assert!(components(&[b'x'; 256]).is_err());
        for (name, joined) in [("./a//b/", "a|b"), ("a..b/..c", "a..b|..c"), ("by\\x2duuid", "by\\x2duuid"), ("./", "")]
        {
            assert_eq!(components(name.as_bytes()).unwrap().join(&b'|'), joined.as_bytes());
        }
        assert_eq!(components(b"\xff\xfe").unwrap(), [b"\xff\xfe"]);
    }
}
