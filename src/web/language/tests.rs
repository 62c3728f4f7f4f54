//! The table and the texts in use agree: nothing missing, nothing left over, the same places to fill.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{Language, chinese, counted, filled, translated};
use crate::domain::task::{Mode, Stage, Status};

#[test]
fn every_text_of_the_pages_is_in_the_table() {
    let table: BTreeSet<&str> = chinese::TEXTS.iter().map(|(english, _)| *english).collect();
    let missing: Vec<_> = page_texts().into_iter().filter(|(text, _)| !table.contains(&**text)).collect();
    assert!(missing.is_empty(), "not in src/web/language/chinese.rs: {missing:#?}");
}

#[test]
fn every_text_of_the_scripts_is_in_the_table() {
    let table: BTreeSet<&str> = chinese::SCRIPTS.iter().map(|(english, _)| *english).collect();
    let missing: Vec<_> = script_texts().into_iter().filter(|(text, _)| !table.contains(&**text)).collect();
    assert!(missing.is_empty(), "not in src/web/language/chinese.rs: {missing:#?}");
}

#[test]
fn nothing_in_the_table_is_left_over() {
    let (pages, scripts) = (page_texts(), script_texts());
    let unused = |table: &[(&'static str, &str)], used: &BTreeMap<String, PathBuf>| -> Vec<&'static str> {
        table.iter().map(|(english, _)| *english).filter(|english| !used.contains_key(*english)).collect()
    };
    let unused = [unused(chinese::TEXTS, &pages), unused(chinese::SCRIPTS, &scripts)].concat();
    assert!(unused.is_empty(), "nobody says: {unused:#?}");
}

#[test]
fn the_table_is_in_order_and_fills_the_same_places() {
    for table in [chinese::TEXTS, chinese::SCRIPTS, chinese::WORDS] {
        for pair in table.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{:?} stands before {:?}", pair[0].0, pair[1].0);
        }
        for (english, chinese) in table {
            assert_eq!(places(english), places(chinese), "{english:?}");
            assert!(!chinese.is_empty() && english.trim() == *english, "{english:?}");
        }
    }
}

#[test]
fn the_words_of_the_domain_are_in_the_table() {
    let words: BTreeSet<&str> = chinese::WORDS.iter().map(|(english, _)| *english).collect();
    let statuses = [Status::Queued, Status::Running, Status::Completed, Status::Failed, Status::Cancelled];
    let modes = [Mode::Analyze, Mode::Modify, Mode::Pr];
    let named = statuses.map(Status::as_str).into_iter().chain(modes.map(Mode::as_str));
    let missing: Vec<_> = named.filter(|word| !words.contains(word)).collect();
    assert!(missing.is_empty() && !Stage::ALL.is_empty(), "{missing:?}");
}

/// What a reader sees in a template goes through `tr!`; names and signs need no translation.
#[test]
fn templates_hold_no_bare_words() {
    const NAMES: [&str; 14] = [
        "Atelier", "Ctrl", "Enter", "Esc", "setup", "log", "patch", "curl", "git", "apply", "AGENTS", "md", "sh",
        "Shift",
    ];
    let mut bare = Vec::new();
    for file in files(&["templates"], "html") {
        let text = fs::read_to_string(&file).unwrap();
        for run in visible_text(&text) {
            let words = run.split(|c: char| !c.is_alphabetic()).filter(|word| word.chars().count() > 1);
            let unknown: Vec<&str> = words.filter(|word| !NAMES.contains(word)).collect();
            if !unknown.is_empty() {
                bare.push(format!("{}: {}", file.display(), run.trim()));
            }
        }
    }
    assert!(bare.is_empty(), "wrap in tr!: {bare:#?}");
}

#[tokio::test]
async fn the_language_of_the_request_decides() {
    let told = async || (translated("Tasks"), counted(2, "{n} step", "{n} steps"), filled("{n} min ago", &[("n", &3)]));
    assert_eq!(told().await, ("Tasks", "2 steps".to_owned(), "3 min ago".to_owned()));
    let chinese = Language::Chinese.during(told()).await;
    assert_eq!(chinese, ("任务", "2 步".to_owned(), "3 分钟前".to_owned()));
}

fn page_texts() -> BTreeMap<String, PathBuf> {
    let mut texts = BTreeMap::new();
    for file in files(&["src/web"], "rs").into_iter().chain(files(&["templates"], "html")) {
        if file.components().any(|part| part.as_os_str() == "language") {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        // What follows the text of `tr!` are values.
        let single = calls(&source, "tr!(").filter_map(|call| literals(call).into_iter().next());
        let counted = calls(&source, "tr_count!(").flat_map(literals);
        texts.extend(single.chain(counted).map(|text| (text, file.clone())));
    }
    assert!(texts.len() > 20, "the search for texts is broken");
    texts
}

fn script_texts() -> BTreeMap<String, PathBuf> {
    let mut texts = BTreeMap::new();
    for file in files(&["static"], "js") {
        let source = fs::read_to_string(&file).unwrap();
        for call in calls(&source, "tr(") {
            texts.extend(literals(call).into_iter().take(1).map(|text| (text, file.clone())));
        }
    }
    texts
}

/// What stands between the brackets of each call.
fn calls<'a>(source: &'a str, opening: &'a str) -> impl Iterator<Item = &'a str> {
    source.match_indices(opening).filter_map(move |(at, _)| {
        let before = source[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let inner = &source[at + opening.len()..];
        let (mut depth, mut in_text, mut escaped) = (1, false, false);
        for (end, c) in inner.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if in_text => escaped = true,
                '"' => in_text = !in_text,
                '(' if !in_text => depth += 1,
                ')' if !in_text => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(&inner[..end]);
                    }
                }
                _ => {}
            }
        }
        None
    })
}

/// The texts in a call.
fn literals(call: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = call;
    while let Some((_, tail)) = rest.split_once('"') {
        let bytes = tail.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        texts.push(unescaped(&tail[..end]));
        rest = &tail[end + 1..];
    }
    texts
}

/// A Rust literal may go on in the next line after a backslash.
fn unescaped(literal: &str) -> String {
    let mut text = String::new();
    let mut characters = literal.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some('\n')) => while characters.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('u')) => {
                let code: String = characters.by_ref().skip(2).take_while(|c| *c != '}').collect();
                text.extend(char::from_u32(u32::from_str_radix(&code, 16).unwrap()));
            }
            ('\\', Some(_)) => text.extend(characters.next()),
            _ => text.push(c),
        }
    }
    text
}

fn places(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|tail| tail.split_once('}')).map(|(name, _)| name).collect()
}

/// The text of a template outside of tags and of what askama computes, and the texts of attributes that are read aloud.
fn visible_text(template: &str) -> Vec<String> {
    let mut text = template.to_owned();
    for (open, close) in [("{#", "#}"), ("{%", "%}"), ("{{", "}}")] {
        while let Some((before, tail)) = text.split_once(open) {
            let after = tail.split_once(close).map_or("", |(_, after)| after);
            text = format!("{before}\u{1}{after}");
        }
    }
    let mut runs = Vec::new();
    for attribute in ["aria-label=\"", "title=\"", "placeholder=\"", "alt=\""] {
        runs.extend(text.split(attribute).skip(1).filter_map(|tail| Some(tail.split_once('"')?.0.to_owned())));
    }
    // Entities such as &nbsp; are no words.
    runs.extend(text.split('>').skip(1).filter_map(|part| Some(part.split_once('<')?.0.to_owned())));
    for run in &mut runs {
        while let Some((before, tail)) = run.split_once('&') {
            let after = tail.split_once(';').map_or("", |(_, after)| after);
            *run = format!("{before} {after}");
        }
    }
    runs
}

fn files(folders: &[&str], extension: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files
}
