//! Copying out what a dead container left in its output folder. Names, links, kinds and sizes there are hostile.
//! Secrets are masked in text; any other file with one in it is left out, since masking would break it.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{Dir, FileType, OFlags, fstat},
};

use super::beneath::open_beneath;
use crate::redact::{self, MaskedStream};

/// What was taken, and what was left out and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    pub(crate) files: u64,
    pub(crate) left_out: Vec<String>,
}

const MAX_FILE_BYTES: u64 = 100 * 1024 * 1024;
const MAX_TOTAL_BYTES: u64 = 1024 * 1024 * 1024;
const MAX_FILES: u64 = 20_000;
const MAX_DEPTH: usize = 32;
/// What is being copied; no file of the output folder gets this place.
const DRAFT: &str = ".draft";
const CHUNK_BYTES: usize = 64 * 1024;
/// More reasons than this tell nobody anything.
const MAX_REASONS: usize = 20;

/// Copies regular files from `output` to `logs`: the agent's own log and transcript under their names, everything else
/// beneath `logs/output`. Links are not followed, and nothing but a regular file is opened. All of it is on disk when this
/// returns.
pub(crate) fn collect(output: &Path, logs: &Path) -> io::Result<Collected> {
    let root = File::open(output)?;
    let mut collected = Collected::default();
    let mut total = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let Ok(handle) = open_beneath(&root, Path::new(".").join(&folder), OFlags::DIRECTORY) else { continue };
        for entry in Dir::read_from(&handle)?.flatten() {
            let Ok(name) = entry.file_name().to_str() else {
                collected.leave_out(&folder, "a name that is not UTF-8");
                continue;
            };
            if matches!(name, "." | "..") {
                continue;
            }
            if redact::holds_secret(name.as_bytes()) {
                collected.leave_out(&folder, "a name that holds a secret");
                continue;
            }
            let path = folder.join(name);
            match open_beneath(&root, &path, OFlags::empty())
                .map(|file| (fstat(&file).map(|stat| (stat.st_mode, stat.st_size)), file))
            {
                Ok((Ok((mode, _)), _)) if FileType::from_raw_mode(mode).is_dir() => {
                    if path.components().count() < MAX_DEPTH {
                        folders.push(path);
                    } else {
                        collected.leave_out(&path, "too deep");
                    }
                }
                Ok((Ok((mode, size)), file)) if FileType::from_raw_mode(mode).is_file() => {
                    let size = u64::try_from(size).unwrap_or(u64::MAX);
                    if size > MAX_FILE_BYTES || total + size > MAX_TOTAL_BYTES || collected.files >= MAX_FILES {
                        collected.leave_out(&path, "too large, or one too many");
                        continue;
                    }
                    match copy(file, &logs.join(DRAFT), &logs.join(place(&path)))? {
                        Some(bytes) => {
                            total += bytes;
                            collected.files += 1;
                        }
                        None => collected.leave_out(&path, "no text, and there is a secret in it"),
                    }
                }
                _ => collected.leave_out(&path, "not a regular file"),
            }
        }
    }
    // Once for all of them: thousands of files would take a minute one by one.
    rustix::fs::syncfs(File::open(logs)?)?;
    Ok(collected)
}

impl Collected {
    fn leave_out(&mut self, path: &Path, reason: &str) {
        if self.left_out.len() < MAX_REASONS {
            self.left_out.push(format!("{:?}: {reason}", path.display().to_string()));
        }
    }
}

/// Where a file of the output folder goes.
fn place(path: &Path) -> PathBuf {
    if path == Path::new("agent.log") || path.parent() == Some(Path::new("finetuning_data")) {
        path.to_owned()
    } else {
        Path::new("output").join(path)
    }
}

/// The bytes written; `None` when the file must not be shown. The file is there whole or not at all, also after a kill
/// in the middle.
fn copy(from: OwnedFd, draft: &Path, to: &Path) -> io::Result<Option<u64>> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let (mut source, mut target) = (File::from(from).take(MAX_FILE_BYTES), File::create(draft)?);
    let (mut mask, mut is_text, mut written) = (MaskedStream::default(), true, 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = source.read(&mut chunk)?;
        // As git judges it.
        is_text &= !chunk[..length].contains(&0);
        let masked = if length == 0 { mask.finish() } else { mask.push(&chunk[..length]) };
        if mask.found() > 0 && !is_text {
            std::fs::remove_file(draft)?;
            return Ok(None);
        }
        target.write_all(&masked)?;
        written += masked.len() as u64;
        if length == 0 {
            std::fs::rename(draft, to)?;
            return Ok(Some(written));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn regular_files_come_out_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (output, logs) = (folder.path().join("output"), folder.path().join("logs"));
        std::fs::create_dir_all(output.join("finetuning_data")).unwrap();
        std::fs::create_dir_all(output.join("report")).unwrap();
        std::fs::create_dir(&logs).unwrap();
        for name in ["agent.log", "finetuning_data/x.jsonl", "report/index.html", "diff.patch"] {
            std::fs::write(output.join(name), name).unwrap();
        }
        symlink("/etc/passwd", output.join("passwd")).unwrap();
        symlink("/etc", output.join("report/etc")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, output.join("fifo"), FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let huge = File::create(output.join("huge")).unwrap();
        huge.set_len(1 << 40).unwrap();

        let collected = collect(&output, &logs).unwrap();

        assert_eq!(collected.files, 4);
        assert_eq!(collected.left_out.len(), 4, "{:?}", collected.left_out);
        for name in ["agent.log", "finetuning_data/x.jsonl", "output/report/index.html", "output/diff.patch"] {
            assert!(logs.join(name).is_file(), "{name}");
        }
        assert!(!logs.join("output/passwd").exists() && !logs.join("output/report/etc").exists());
    }

    #[test]
    fn r61_text_comes_out_masked_and_what_cannot_be_masked_does_not_come_out() {
        redact::register(&"sk-output-canary".into());
        let folder = tempfile::tempdir().unwrap();
        let (output, logs) = (folder.path().join("output"), folder.path().join("logs"));
        std::fs::create_dir_all(&output).unwrap();
        std::fs::create_dir(&logs).unwrap();
        let far = "x".repeat(CHUNK_BYTES - 5);
        std::fs::write(output.join("agent.log"), format!("{far}sk-output-canary\nend\n")).unwrap();
        std::fs::write(output.join("program"), b"ELF\0 sk-output-canary").unwrap();
        std::fs::write(output.join("image"), b"PNG\0").unwrap();
        std::fs::write(output.join("sk-output-canary"), b"named").unwrap();

        let collected = collect(&output, &logs).unwrap();

        assert_eq!(std::fs::read_to_string(logs.join("agent.log")).unwrap(), format!("{far}***\nend\n"));
        assert_eq!(std::fs::read(logs.join("output/image")).unwrap(), b"PNG\0");
        assert!(!logs.join("output/program").exists());
        assert_eq!((collected.files, collected.left_out.len()), (2, 2), "{:?}", collected.left_out);
        assert!(!format!("{:?}", collected.left_out).contains("canary"));
    }
}
