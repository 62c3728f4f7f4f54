//! Names that git itself refuses in a tree: a patch with one of them would be refused as a whole.

/// Whether git takes no entry of this name: a spelling of `.git` on some file system, or a link named `.gitmodules`.
/// The rules are those of `is_ntfs_dotgit` and `verify_dotfile` in git's sources.
pub(super) fn is_reserved(name: &[u8], is_link: bool) -> bool {
    // NTFS drops what comes after these, and ignores dots and spaces at the end.
    let name = name.split(|byte| matches!(byte, b':' | b'\\')).next().unwrap_or(name);
    let end = name.iter().rposition(|byte| !matches!(byte, b'.' | b' ')).map_or(0, |last| last + 1);
    let name = name[..end].to_ascii_lowercase();
    matches!(name.as_slice(), b".git" | b"git~1")
        || is_link && (name == b".gitmodules" || name.starts_with(b"gitmod~") || name.starts_with(b"gi7eba~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_dot_git_are_reserved() {
        for name in [".git", ".GIT", ".git ", ".git. .", "git~1", "GIT~1", ".git:x", ".git\\x"] {
            assert!(is_reserved(name.as_bytes(), false), "{name}");
        }
        for name in [".gitignore", ".github", "git", "git~10", "x.git", ".gitmodules", "...", " "] {
            assert!(!is_reserved(name.as_bytes(), false), "{name}");
        }
        assert!(is_reserved(b".GitModules", true));
    }
}
