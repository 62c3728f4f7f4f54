//! Copying out what a dead container left in its output folder. Names, links, kinds and sizes there are hostile.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{Dir, FileType, OFlags, fstat},
};

use super::beneath::open_beneath;

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
/// More reasons than this tell nobody anything.
const MAX_REASONS: usize = 20;

/// Copies regular files from `output` to `logs`: the agent's own log and transcript under their names, everything else
/// beneath `logs/output`. Links are not followed, and nothing but a regular file is opened.
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
                    total += copy(file, &logs.join(place(&path)))?;
                    collected.files += 1;
                }
                _ => collected.leave_out(&path, "not a regular file"),
            }
        }
    }
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

fn copy(from: OwnedFd, to: &Path) -> io::Result<u64> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut target = File::create(to)?;
    io::copy(&mut File::from(from).take(MAX_FILE_BYTES), &mut target)
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
}
