//! A run of lines of a file, for one column or for two.

use std::time::Instant;

use super::{
    changed_words,
    line::{Line, LineKind},
};
use crate::domain::remark::RemarkedLine;

#[derive(Debug)]
pub(crate) struct Hunk {
    /// `@@ -1,2 +1,3 @@ fn main()`; none when the run begins in the middle of a hunk.
    pub(crate) heading: Option<String>,
    pub(crate) lines: Vec<Line>,
    /// Places of a removed line and of the added one that took its place; in order.
    pairs: Vec<(usize, usize)>,
}

/// What stands side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) left: Option<&'a Line>,
    pub(crate) right: Option<&'a Line>,
}

/// Removed lines and the added ones after them: places in the hunk.
pub(super) struct Block {
    pub(super) removed: std::ops::Range<usize>,
    pub(super) added: std::ops::Range<usize>,
}

impl Row<'_> {
    pub(crate) fn is_at(&self, place: &RemarkedLine) -> bool {
        [self.left, self.right].into_iter().flatten().any(|line| line.is_at(place))
    }
}

impl Hunk {
    pub(super) fn new(heading: Option<String>) -> Self {
        Self { heading, lines: Vec::new(), pairs: Vec::new() }
    }

    /// Finds out what changed within lines, as long as there is time.
    pub(super) fn find_changed_words(&mut self, deadline: Instant) {
        for block in self.blocks() {
            let text = |lines: &[Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
            let (removed, added) = (text(&self.lines[block.removed.clone()]), text(&self.lines[block.added.clone()]));
            for pair in changed_words::pairs(&removed, &added, deadline) {
                let (old, new) = (block.removed.start + pair.removed, block.added.start + pair.added);
                self.lines[old].changed = pair.changed_in_removed;
                self.lines[new].changed = pair.changed_in_added;
                self.pairs.push((old, new));
            }
        }
    }

    /// The lines in two columns: pairs beside each other, and between them what was removed beside what was added.
    pub(crate) fn rows(&self) -> Vec<Row<'_>> {
        let (mut rows, mut next) = (Vec::with_capacity(self.lines.len()), 0);
        let mut pairs = self.pairs.iter().copied().peekable();
        for Block { removed, added } in self.blocks() {
            let same = |line| Row { left: Some(line), right: Some(line) };
            rows.extend(self.lines[next..removed.start].iter().map(same));
            next = added.end;
            let (mut old, mut new) = (removed.start, added.start);
            // Up to the next pair, the pair, and what is left after the last one.
            let mut ends = Vec::new();
            while let Some((left, right)) = pairs.next_if(|(left, _)| *left < removed.end) {
                ends.extend([(left, right), (left + 1, right + 1)]);
            }
            ends.push((removed.end, added.end));
            for (old_end, new_end) in ends {
                let (left, right) = (&self.lines[old..old_end], &self.lines[new..new_end]);
                let length = left.len().max(right.len());
                rows.extend((0..length).map(|at| Row { left: left.get(at), right: right.get(at) }));
                (old, new) = (old_end, new_end);
            }
        }
        rows.extend(self.lines[next..].iter().map(|line| Row { left: Some(line), right: Some(line) }));
        rows
    }

    /// Every run of changed lines.
    fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut at) = (Vec::new(), 0);
        let run = |kind: LineKind, start: usize| {
            start + self.lines[start..].iter().take_while(|line| line.kind == kind).count()
        };
        while at < self.lines.len() {
            let removed = at..run(LineKind::Removed, at);
            let added = removed.end..run(LineKind::Added, removed.end);
            if added.end == at {
                at += 1;
                continue;
            }
            at = added.end;
            blocks.push(Block { removed, added });
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diff::{self, looks::Look};

    fn hunk(text: &str) -> Hunk {
        let header = format!("--- a/x.rs\n+++ b/x.rs\n@@ -1,{0} +1,{0} @@\n", 99);
        let mut diff = diff::parse(&format!("{header}{text}"), 100, Duration::from_mins(1));
        diff.files.remove(0).piece.hunks.remove(0)
    }

    #[test]
    fn lines_that_belong_together_stand_side_by_side() {
        let hunk = hunk(
            " fn f() {\n-    gone\n-    let a = 1;\n+    let a = 2;\n+    let new = true;\n+    more()\n }\n-end\n",
        );
        let text = |line: Option<&Line>| line.map_or("", |line| line.text.trim()).to_owned();
        let rows: Vec<String> =
            hunk.rows().iter().map(|row| format!("{} | {}", text(row.left), text(row.right))).collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        fn f() { | fn f() {
        gone | 
        let a = 1; | let a = 2;
         | let new = true;
         | more()
        } | }
        end | 
        ");
    }

    #[test]
    fn what_was_removed_does_not_colour_what_follows() {
        let hunk = hunk(" let a = 1;\n-/* never closed\n+// a remark\n let b = \"text\";\n");
        let looks = |at: usize| hunk.lines[at].looks.iter().map(|(_, look)| *look).collect::<Vec<_>>();
        assert_eq!((looks(1), looks(2)), (vec![Look::Comment], vec![Look::Comment]));
        assert_eq!(looks(3), [Look::Keyword, Look::Text]);
    }
    #[test]
    fn a_comment_that_began_above_is_one() {
        let looks = |text: &str| {
            let hunk = hunk(text);
            hunk.lines.iter().map(|line| line.looks.first().map(|(_, look)| *look)).collect::<Vec<_>>()
        };
        let comment = Some(Look::Comment);
        assert_eq!(looks(" let it be\n+ * as it is */\n let a = 1;\n"), [comment, comment, Some(Look::Keyword)]);
        assert_eq!(looks(" let a = \"**/*.rs\";\n+use b;\n"), [Some(Look::Keyword); 2]);
        assert_eq!(looks(" use a; /* all\n+ of it */\n"), [Some(Look::Keyword), comment]);
    }
}
