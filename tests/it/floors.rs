//! The rooms of the server lie on floors: a room imports itself and lower floors, never a neighbour or upwards.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// From the ground up; `ARCHITECTURE.md` says what each room is for.
const FLOORS: &[&[&str]] = &[
    &[
        "domain",
        "config",
        "data_dir",
        "blocking",
        "redact",
        "remove_tree",
        "host",
        "metrics",
        "dial",
        "forward_proxy",
        "wall_clock",
    ],
    &["db", "git", "archive", "sandbox", "llm", "forge", "sign_in", "artifacts", "diff"],
    &["brain"],
    &["pipeline", "export"],
    &["web"],
    &["main", "cli", "app", "telemetry"],
];

/// Rooms of the ground floor and the entrance know each other: words and settings there, wiring here.
const OPEN_FLOORS: [usize; 2] = [0, 5];

#[test]
fn rooms_import_only_lower_floors() {
    let floors = floor_of_each_room();
    let mut wrong = Vec::new();
    for file in rust_files(&source()) {
        let room = room_of(&file);
        let floor = *floors.get(&room).unwrap_or_else(|| panic!("{room} stands on no floor: add it to FLOORS"));
        for (line, used) in rooms_used_in(&file) {
            let Some(&other) = floors.get(&used) else { continue };
            let neighbours = other == floor && used != room && !OPEN_FLOORS.contains(&floor);
            if other > floor || neighbours {
                wrong.push(format!("{}:{line} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_library_is_known_to_one_room() {
    for (library, owner) in [
        ("bollard", "sandbox"),
        ("rusqlite", "db"),
        ("axum", "web"),
        ("argon2", "web"),
        ("openidconnect", "sign_in"),
        ("oauth2", "sign_in"),
        ("genai", "llm"),
        ("askama", "web"),
        ("memchr", "web"),
        ("hmac", "forge"),
        ("zip", "archive"),
        ("tar", "archive"),
        ("aho_corasick", "redact"),
        ("regex", "redact"),
        ("prometheus_client", "metrics"),
        ("similar", "diff"),
        ("syntect", "diff"),
        ("two_face", "diff"),
        ("flate2", "diff"),
    ] {
        for file in rust_files(&source()) {
            let names_it = code_lines(&file).any(|(_, line)| {
                line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                    .any(|word| word.starts_with(&format!("{library}::")))
            });
            assert!(!names_it || room_of(&file) == owner, "{} uses {library}", file.display());
        }
    }
}

#[test]
fn only_the_configuration_reads_the_environment() {
    for file in rust_files(&source()) {
        for (line, text) in code_lines(&file) {
            let reads = ["env::var", "env::vars", "env::home_dir", "option_env!"].iter().any(|way| text.contains(way));
            assert!(!reads || room_of(&file) == "config", "{}:{line} reads the environment", file.display());
        }
    }
}

/// The archive calls of Docker run programs, and follow links, that the container put there (CVE-2026-41567 and others).
#[test]
fn r35_nothing_is_copied_into_or_out_of_a_container() {
    for file in rust_files(&source()) {
        for (line, text) in code_lines(&file) {
            let copies = ["upload_to_container", "download_from_container", "container_archive", "export_container"];
            assert!(!copies.iter().any(|call| text.contains(call)), "{}:{line} copies", file.display());
        }
    }
}

#[test]
fn the_agent_imports_nothing_of_the_server() {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("agent-image/agent/Cargo.toml");
    assert!(!std::fs::read_to_string(agent).unwrap().contains("path = \"../..\""));
}

#[test]
fn every_test_that_the_page_on_security_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/SECURITY.md")).unwrap();
    let folders = ["src", "tests", "agent-image/agent"].map(|folder| root.join(folder));
    let sources: String = folders
        .iter()
        .flat_map(|folder| all_rust_files(folder))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let is_test =
        |word: &&str| word.contains('_') && word.starts_with(['r', 'f']) && word.as_bytes()[1].is_ascii_digit();
    let named: Vec<&str> = page.split('`').filter(is_test).collect();
    let missing: Vec<_> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(named.len() > 30 && missing.is_empty(), "{missing:?}");
}

fn floor_of_each_room() -> BTreeMap<String, usize> {
    let rooms = FLOORS.iter().enumerate();
    rooms.flat_map(|(floor, rooms)| rooms.iter().map(move |room| ((*room).to_owned(), floor))).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The first name beneath `src`.
fn room_of(file: &Path) -> String {
    let below = file.strip_prefix(source()).unwrap();
    below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Rooms named after `crate::`, also in a braced list.
fn rooms_used_in(file: &Path) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    let mut list_opened_at = None;
    for (number, line) in code_lines(file) {
        let mut rest = line.as_str();
        if list_opened_at.is_none() {
            while let Some(at) = rest.find("crate::") {
                rest = &rest[at + "crate::".len()..];
                match rest.strip_prefix('{') {
                    Some(_) => list_opened_at = Some(0),
                    None => used.push((number, first_word(rest))),
                }
                if list_opened_at.is_some() {
                    break;
                }
            }
        }
        // A list: its rooms stand at depth one.
        if let Some(depth) = list_opened_at.as_mut() {
            let mut at_start = *depth == 1;
            for (index, c) in rest.char_indices() {
                match c {
                    '{' => *depth += 1,
                    '}' => *depth -= 1,
                    _ => {}
                }
                if at_start && c.is_alphabetic() {
                    used.push((number, first_word(&rest[index..])));
                    at_start = false;
                }
                if *depth == 1 && matches!(c, '{' | ',') {
                    at_start = true;
                }
                if *depth == 0 {
                    list_opened_at = None;
                    break;
                }
            }
        }
    }
    used
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Numbered lines that are neither comments nor in the tests of the file.
fn code_lines(file: &Path) -> impl Iterator<Item = (usize, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let numbered = (1..).zip(lines).take_while(|(_, line)| line.trim() != "mod tests {");
    numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn all_rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// What ships: tests may bring together what the rooms keep apart.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name == "tests" || name.ends_with("_tests") || name.ends_with("_fixture") {
            continue;
        }
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
