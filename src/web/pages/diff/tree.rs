//! The files of a page as a tree of folders; a folder with nothing but one folder in it is one with it.

use std::collections::HashMap;

use super::file_view::Section;

/// The tree, written down in the order it is shown: what comes between a folder and its end lies in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Folder(String),
    End,
    /// A file by its place on the page.
    File(usize),
}

#[derive(Default)]
struct Folder<'a> {
    name: &'a str,
    folders: Vec<usize>,
    files: Vec<usize>,
}

pub(super) fn of(sections: &[Section]) -> Vec<Entry> {
    let paths: Vec<&str> = sections.iter().map(|section| section.file.path.as_str()).collect();
    entries(&paths)
}

fn entries(paths: &[&str]) -> Vec<Entry> {
    let mut folders = vec![Folder::default()];
    let mut known: HashMap<(usize, &str), usize> = HashMap::new();
    for (file, path) in paths.iter().enumerate() {
        let mut at = 0;
        let (above, _) = path.rsplit_once('/').unwrap_or_default();
        for name in above.split('/').filter(|name| !name.is_empty()) {
            let next = folders.len();
            let folder = *known.entry((at, name)).or_insert(next);
            if folder == next {
                folders.push(Folder { name, ..Folder::default() });
                folders[at].folders.push(folder);
            }
            at = folder;
        }
        folders[at].files.push(file);
    }
    let mut entries = Vec::new();
    let mut open = vec![Step::Into(0)];
    while let Some(step) = open.pop() {
        let mut at = match step {
            Step::Into(folder) => folder,
            Step::Out => {
                entries.push(Entry::End);
                continue;
            }
            Step::File(file) => {
                entries.push(Entry::File(file));
                continue;
            }
        };
        if at > 0 {
            let mut name = folders[at].name.to_owned();
            while let ([only], []) = (&folders[at].folders[..], &folders[at].files[..]) {
                at = *only;
                name = format!("{name}/{}", folders[at].name);
            }
            entries.push(Entry::Folder(name));
            open.push(Step::Out);
        }
        let folder = &folders[at];
        // Folders first, as in every tree of files; the files of this one wait until they are closed.
        open.extend(folder.files.iter().rev().map(|file| Step::File(*file)));
        open.extend(folder.folders.iter().rev().map(|folder| Step::Into(*folder)));
    }
    entries
}

enum Step {
    Into(usize),
    Out,
    File(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_with_one_folder_are_one() {
        let paths = ["README.md", "src/web/pages/a.rs", "src/web/pages/b.rs", "src/web/pages/diff/c.rs", "x/y/z.txt"];
        let shown: Vec<String> = entries(&paths)
            .iter()
            .map(|entry| match entry {
                Entry::Folder(name) => format!("{name}("),
                Entry::End => ")".to_owned(),
                Entry::File(at) => paths[*at].rsplit('/').next().unwrap().to_owned(),
            })
            .collect();
        assert_eq!(shown.join(" "), "src/web/pages( diff( c.rs ) a.rs b.rs ) x/y( z.txt ) README.md");
    }

    #[test]
    fn odd_names_are_files_too() {
        assert_eq!(entries(&["", "/", "a//b"]).iter().filter(|entry| matches!(entry, Entry::File(_))).count(), 3);
    }
}
