//! The table of contents of a patch: its files, with counts and where their lines begin.

use std::io::{self, BufRead};

use super::{
    file_header::FileHeader,
    line::LineKind,
    raw_lines::RawLines,
    reading::{Item, Reading},
};

#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) files: Vec<FileEntry>,
    /// Files beyond those that are listed.
    pub(crate) left_out: usize,
}

#[derive(Debug, Default)]
pub(crate) struct FileEntry {
    pub(crate) header: FileHeader,
    pub(crate) insertions: u64,
    pub(crate) deletions: u64,
    /// Lines of its hunks, context too.
    pub(crate) rows: usize,
    /// All of them end with CR LF.
    pub(crate) has_crlf: bool,
    /// Where its first hunk begins, in bytes.
    pub(super) offset: u64,
}

const MAX_FILES: usize = 50_000;

impl Contents {
    /// Reads the whole patch and keeps a few words of each file.
    pub(crate) fn read(patch: impl BufRead) -> io::Result<Self> {
        let (mut contents, mut lines, mut reading) = (Self::default(), RawLines::from(patch, 0), Reading::default());
        while let Some(line) = lines.next()? {
            let item = reading.take(line.bytes);
            if item == Item::File || (item == Item::Hunk && contents.files.is_empty()) {
                if contents.files.len() == MAX_FILES {
                    contents.left_out += 1;
                } else {
                    contents.files.push(FileEntry { has_crlf: true, ..FileEntry::default() });
                }
            }
            let Some(file) = contents.files.last_mut().filter(|_| contents.left_out == 0) else { continue };
            match item {
                Item::File | Item::Header => file.header.read(line.bytes),
                Item::Hunk if file.offset == 0 => file.offset = line.offset,
                Item::Line { kind, .. } => {
                    file.rows += 1;
                    file.insertions += u64::from(kind == LineKind::Added);
                    file.deletions += u64::from(kind == LineKind::Removed);
                    file.has_crlf &= line.bytes.last() == Some(&b'\r');
                }
                Item::Hunk | Item::NoNewline => {}
            }
        }
        for file in &mut contents.files {
            file.has_crlf &= file.rows > 0;
        }
        Ok(contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_diffs_of_every_kind_are_read() {
        let text = "diff --git a/src/a.py b/src/a.py\nindex 1..2 100644\n--- a/src/a.py\n+++ b/src/a.py\n\
                    @@ -1,3 +1,3 @@ def f():\n x\n--- looks like a header\n+++ so does this\n y\n\\ No newline at end of file\n\
                    diff --git a/old name.txt b/new name.txt\nsimilarity index 100%\nrename from old name.txt\nrename to new name.txt\n\
                    diff --git a/logo.png b/logo.png\nnew file mode 100644\nindex 0..1\nGIT binary patch\nliteral 70\nzc$xx\n\nliteral 0\nHcmV?d00001\n\n\
                    diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n\
                    diff --git a/link b/link\nnew file mode 120000\nindex 0..1\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+target\n\\ No newline at end of file\n\
                    diff --git a/dos.txt b/dos.txt\nindex 1..2 100644\n--- a/dos.txt\n+++ b/dos.txt\n@@ -1 +1 @@\n-a\r\n+b\r\n\
                    diff --git \"a/f\\303\\244.txt\" \"b/f\\303\\244.txt\"\ndeleted file mode 100644\n--- \"a/f\\303\\244.txt\"\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n";
        let contents = Contents::read(text.as_bytes()).unwrap();
        let files: Vec<String> = contents
            .files
            .iter()
            .map(|file| {
                let FileEntry { header, insertions, deletions, .. } = file;
                let old = header.old_path_if_moved().unwrap_or_default();
                let sizes = header.binary.as_ref().map(super::super::binary::BinaryChange::sizes);
                format!(
                    "{old}>{} +{insertions} -{deletions} {:?} {:?} {:?} {sizes:?} {}",
                    header.path(),
                    header.change,
                    header.kind(),
                    header.modes(),
                    file.has_crlf
                )
            })
            .collect();
        insta::assert_snapshot!(files.join("\n"), @r#"
        >src/a.py +1 -1 Modified File None None false
        old name.txt>new name.txt +0 -0 Renamed File None None false
        >logo.png +0 -0 Added File None Some(Sizes { before: Some(0), after: Some(70) }) false
        >run.sh +0 -0 Modified File Some(("100644", "100755")) None false
        >link +1 -0 Added Symlink None None false
        >dos.txt +1 -1 Modified File None None true
        >fä.txt +0 -1 Deleted File None None false
        "#);
    }

    #[test]
    fn plain_diffs_and_other_texts_are_read_too() {
        let text = "--- a\t2026-01-01\n+++ b\n@@ -1 +1 @@\n-x\n+y\n--- c\n+++ c\n@@ -0,0 +1 @@\n+z\n";
        let files = Contents::read(text.as_bytes()).unwrap().files;
        assert_eq!(files.iter().map(|file| file.header.path()).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(Contents::read(&b"no diff\nat all"[..]).unwrap().files.len(), 0);
        assert_eq!(Contents::read(&b"@@ -1 +1 @@\n-x\n+y\n"[..]).unwrap().files[0].rows, 2);
    }
}
