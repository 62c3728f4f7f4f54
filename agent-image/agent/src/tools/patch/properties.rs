//! Whatever a diff says, applying it gives the other text: random texts, random edits, diffs by `similar`.

use similar::TextDiff;

use super::apply_hunks::{Misfit, apply_hunks};
use super::file_patch::Action;
use super::misfit::explain;
use super::parse_envelope::{is_envelope, parse_envelope};
use super::parse_unified::parse_unified;
use super::unwrap::unwrap;

const ROUNDS: u64 = 3000;

/// `xorshift64*`: the same texts on every machine, without a crate for it.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit as u64).unwrap()
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    /// Few different lines, blank ones and lines that look like parts of a diff among them. Not `++ x`: removing `-- x`
    /// for it makes a header to the letter.
    fn repetitive_line(&mut self) -> String {
        let lines = ["", "x", "  x", "}", "- x", "+x", "-- x", "@@ -1 +1 @@", "*** End Patch", "\\ y", "你好"];
        lines[self.below(lines.len())].to_owned()
    }

    fn text(&mut self, mut line: impl FnMut(&mut Self) -> String) -> Vec<String> {
        (0..self.below(30)).map(|_| line(self)).collect()
    }

    fn edited(&mut self, lines: &[String], mut line: impl FnMut(&mut Self) -> String) -> Vec<String> {
        let mut edited = Vec::new();
        for old in lines {
            match self.below(10) {
                0 => {}
                1 => edited.push(line(self)),
                2 => edited.extend([line(self), old.clone()]),
                _ => edited.push(old.clone()),
            }
        }
        edited
    }

    fn join(&mut self, lines: &[String], end: &str) -> String {
        let mut text = lines.join(end);
        // A text whose last line is empty and unterminated is no text of that many lines.
        if !self.one_in(4) || lines.last().is_none_or(String::is_empty) {
            text.push_str(if lines.is_empty() { "" } else { end });
        }
        text
    }
}

fn diff(old: &str, new: &str, context: usize) -> String {
    TextDiff::from_lines(old, new).unified_diff().context_radius(context).header("a/f", "b/f").to_string()
}

fn applied(patch: &str, old: &str) -> Result<String, Misfit> {
    let Action::Update { hunks, .. } = parse_unified(&unwrap(patch)).unwrap().remove(0).action else {
        panic!("not an update: {patch}");
    };
    apply_hunks(&hunks, old).map(|applied| applied.text)
}

#[test]
fn a_diff_of_any_two_texts_leads_from_one_to_the_other() {
    let mut random = Random(20_261_120);
    for round in 0..ROUNDS {
        let end = if random.one_in(3) { "\r\n" } else { "\n" };
        let lines = random.text(Random::repetitive_line);
        let edited = random.edited(&lines, Random::repetitive_line);
        let (old, new) = (random.join(&lines, end), random.join(&edited, end));
        let context = random.below(4);
        let patch = diff(&old, &new, context);
        if patch.is_empty() || new.is_empty() || old.is_empty() {
            continue;
        }
        assert_eq!(applied(&patch, &old).as_ref(), Ok(&new), "round {round}\n{old:?}\n{patch}");
    }
}

#[test]
fn wrong_and_missing_line_numbers_do_not_matter_where_the_context_is_clear() {
    let mut random = Random(7);
    let mut number = 0;
    let mut line = move |random: &mut Random| {
        number += 1;
        format!("{}line {number}", " ".repeat(random.below(3)))
    };
    for round in 0..ROUNDS {
        let lines = random.text(&mut line);
        let edited = random.edited(&lines, &mut line);
        let (old, new) = (random.join(&lines, "\n"), random.join(&edited, "\n"));
        let patch = diff(&old, &new, 3);
        if patch.is_empty() || new.is_empty() || old.is_empty() {
            continue;
        }
        let shift = random.below(40);
        let disguised = |at: &dyn Fn(usize) -> String| -> String {
            let lines = patch.split_inclusive('\n').map(|line| match line.strip_prefix("@@ -") {
                Some(rest) => at(rest.split([',', ' ']).next().unwrap().parse().unwrap()),
                None => line.to_owned(),
            });
            lines.collect()
        };
        let shifted = disguised(&|line| format!("@@ -{},9 +{},1 @@\n", line + shift, line + shift));
        let unnumbered = disguised(&|_| "@@ ... @@\n".to_owned());
        let stripped: String = unnumbered.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
        for patch in [shifted, unnumbered, stripped] {
            assert_eq!(applied(&patch, &old).as_ref(), Ok(&new), "round {round}\n{old:?}\n{patch}");
        }
    }
}

#[test]
fn no_text_is_too_strange_to_be_judged() {
    const PARTS: [&str; 28] = [
        "--- a/f",
        "+++ b/f",
        "--- /dev/null",
        "+++ /dev/null",
        "diff --git a/f b/f",
        "rename from f",
        "rename to g",
        "new file mode 100755",
        "@@",
        "@@ -1,2 +3 @@",
        "@@ -9",
        "@@ x",
        "@@ @@ @@",
        " x",
        "-x",
        "+x",
        "  x",
        "",
        " ",
        "\r",
        "\\ No",
        "*** Begin Patch",
        "*** Update File: f",
        "*** Add File: g",
        "*** End of File",
        "*** End Patch",
        "```",
        "x <<EOF",
    ];
    let mut random = Random(99);
    let (mut read, mut fitted) = (0, 0);
    for _ in 0..10 * ROUNDS {
        let lines: Vec<&str> = (0..random.below(12)).map(|_| PARTS[random.below(PARTS.len())]).collect();
        let patch = lines.join(if random.one_in(5) { "\r\n" } else { "\n" });
        let lines = unwrap(&patch);
        let files = if is_envelope(&lines) { parse_envelope(&lines) } else { parse_unified(&lines) };
        for file in files.unwrap_or_default() {
            read += 1;
            let Action::Update { hunks, .. } = file.action else { continue };
            for text in ["", "x", "x\ny\n  x\n\nx\r\n"] {
                match apply_hunks(&hunks, text) {
                    Ok(_) => fitted += 1,
                    Err(misfit) => assert!(!explain(&misfit, &hunks[misfit.position], text).is_empty()),
                }
            }
        }
    }
    assert!(read > 1000 && fitted > 1000, "{read} read, {fitted} fitted: too little was tried");
}
