//! Which new files do not belong into a patch.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The `.gitignore` files from the root down to one folder. They are those of the task's source, not those on disk: the
/// agent cannot hide a file by them.
#[derive(Debug, Clone, Default)]
pub(super) struct IgnoreRules(Option<Rc<Level>>);

#[derive(Debug)]
struct Level {
    /// The length of the folder's path, with the slash.
    prefix: usize,
    matcher: Gitignore,
    above: IgnoreRules,
}

/// What tools leave behind by merely being run. A repository that wants such a file has it in its source, and then it
/// is not new.
const BUILD_FOLDERS: &[&[u8]] =
    &[b"__pycache__", b".pytest_cache", b".mypy_cache", b".ruff_cache", b".tox", b".venv", b"venv", b"node_modules"];

impl IgnoreRules {
    /// These rules and those of the `.gitignore` in `folder`, a path that ends with a slash or is empty.
    pub(super) fn with(&self, folder: &[u8], gitignore: &[u8]) -> Self {
        let mut builder = GitignoreBuilder::new("");
        for line in String::from_utf8_lossy(gitignore).lines() {
            // A line that git could not read either ignores nothing.
            let _ = builder.add_line(None, line);
        }
        match builder.build() {
            Ok(matcher) => Self(Some(Rc::new(Level { prefix: folder.len(), matcher, above: self.clone() }))),
            Err(_) => self.clone(),
        }
    }

    /// Whether a new file or folder is left out. The folder it lies in is not ignored itself.
    pub(super) fn ignores(&self, path: &[u8], is_folder: bool) -> bool {
        is_build_result(path, is_folder) || self.excludes(path, is_folder)
    }

    /// The innermost rule decides.
    fn excludes(&self, path: &[u8], is_folder: bool) -> bool {
        let mut rules = self;
        while let Some(level) = &rules.0 {
            let name = Path::new(OsStr::from_bytes(&path[level.prefix..]));
            match level.matcher.matched(name, is_folder) {
                Match::None => rules = &level.above,
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}

fn is_build_result(path: &[u8], is_folder: bool) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    if is_folder { BUILD_FOLDERS.contains(&name) } else { name.ends_with(b".pyc") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_rule_decides() {
        let root = IgnoreRules::default().with(b"", b"*.log\n/dist/\n!keep.log\n# comment\n");
        let nested = root.with(b"a/b/", b"!*.log\nsecret\n/only-here\n");
        for (rules, path, is_folder, is_ignored) in [
            (&root, "x.log", false, true),
            (&root, "a/x.log", false, true),
            (&root, "a/keep.log", false, false),
            (&root, "dist", true, true),
            (&root, "dist", false, false),
            (&root, "a/dist", true, false),
            (&nested, "a/b/x.log", false, false),
            (&nested, "a/b/c/secret", false, true),
            (&nested, "a/b/only-here", false, true),
            (&nested, "a/b/c/only-here", false, false),
            (&root, "a/node_modules", true, true),
            (&root, "a/b.pyc", false, true),
            (&root, "a/venv", false, false),
        ] {
            assert_eq!(rules.ignores(path.as_bytes(), is_folder), is_ignored, "{path}");
        }
    }
}
