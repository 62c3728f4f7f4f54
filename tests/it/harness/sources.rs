//! Sources to work on, and patches applied to them.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use zip::{ZipWriter, write::SimpleFileOptions};

/// A zip in the making.
pub(crate) struct Zip {
    writer: ZipWriter<std::io::Cursor<Vec<u8>>>,
}

impl Zip {
    pub(crate) fn new() -> Self {
        Self { writer: ZipWriter::new(std::io::Cursor::default()) }
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(name, content.as_bytes(), 0o644)
    }

    pub(crate) fn executable(self, name: &str, content: &str) -> Self {
        self.entry(name, content.as_bytes(), 0o755)
    }

    pub(crate) fn entry(mut self, name: &str, content: &[u8], mode: u32) -> Self {
        self.writer.start_file(name, SimpleFileOptions::default().unix_permissions(mode)).unwrap();
        self.writer.write_all(content).unwrap();
        self
    }

    pub(crate) fn link(mut self, name: &str, target: &str) -> Self {
        self.writer.add_symlink(name, target, SimpleFileOptions::default()).unwrap();
        self
    }

    /// Every file of a folder, under its relative name.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        for path in files_below(folder) {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
            self = self.entry(&name, &std::fs::read(&path).unwrap(), mode);
        }
        self
    }

    /// Unpacks it here, the way a person would.
    pub(crate) fn unpack(self, folder: &Path) {
        let zip = std::io::Cursor::new(self.bytes());
        zip::ZipArchive::new(zip).unwrap().extract(folder).unwrap();
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.writer.finish().unwrap().into_inner()
    }
}

/// The sample repository of the demo.
pub(crate) fn leap_year() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/leap-year")
}

/// Applies a patch the way people do.
pub(crate) fn apply_patch(folder: &Path, patch: &[u8]) {
    let mut git = Command::new("git")
        .args(["apply", "--whitespace=nowarn", "-"])
        .current_dir(folder)
        // Not the repository some parent folder may be in.
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(patch).unwrap();
    let output = git.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "git apply: {}\n{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(patch)
    );
}

/// Makes a folder a repository with one commit of everything in it.
pub(crate) fn commit_all(folder: &Path) {
    let git = "git -c user.name=T -c user.email=t@example.org";
    sh(folder, &format!("git init --quiet --initial-branch=main && git add -A && {git} commit --quiet -m start"));
}

/// Runs a shell line in a folder; it must succeed.
pub(crate) fn sh(folder: &Path, line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
