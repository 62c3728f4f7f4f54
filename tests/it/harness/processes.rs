//! Processes that a test has to end because nobody else does.

use std::path::Path;

/// The ids of all whose arguments name the folder.
pub(super) fn processes_that_name(folder: &Path) -> Vec<String> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let names_it = |process: &std::fs::DirEntry| {
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        arguments.windows(folder.len()).any(|part| part == folder)
    };
    processes.filter(names_it).filter_map(|process| process.file_name().into_string().ok()).collect()
}
