//! The `@@` line before a hunk, in all its spellings.

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct AtLine {
    /// First old line, counted from 0; of an insertion without context, the line to insert before.
    pub(super) hint: Option<usize>,
    /// A line that stands above the hunk.
    pub(super) anchor: Option<String>,
}

/// `@@ -1,2 +3,4 @@ heading`, `@@`, `@@ ... @@`, `@@ class A`, `@@ class A @@`; `None` for any other line.
pub(super) fn at_line(line: &str) -> Option<AtLine> {
    let rest = line.strip_prefix("@@")?;
    let (range, heading) = rest.split_once("@@").unwrap_or((rest, ""));
    if let Some(hint) = first_line(range.trim()) {
        // A heading of git names what is above, not always the nearest of its name; the number says more.
        return Some(AtLine { hint: Some(hint), anchor: None });
    }
    let telling = |text: &&str| text.chars().any(char::is_alphanumeric) && !text.starts_with(['-', '+']);
    let anchor = [heading.trim(), range.trim()].into_iter().find(telling);
    Some(AtLine { hint: None, anchor: anchor.map(str::to_owned) })
}

fn first_line(range: &str) -> Option<usize> {
    let old = range.strip_prefix('-')?.split_whitespace().next()?;
    let (line, count) = old.split_once(',').unwrap_or((old, "1"));
    let line: usize = line.parse().ok()?;
    // Before line N, or, where there is nothing old, after line N.
    Some(if count == "0" { line } else { line.saturating_sub(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for (line, hint, anchor) in [
            ("@@ -3,2 +3,4 @@ fn main() {", Some(2), None),
            ("@@ -3 +3 @@", Some(2), None),
            ("@@ -3,0 +4,2 @@", Some(3), None),
            ("@@ -0,0 +1,2 @@", Some(0), None),
            ("@@ -3,2 +3,4", Some(2), None),
            ("@@", None, None),
            ("@@ @@", None, None),
            ("@@ ... @@", None, None),
            ("@@ -,+ @@", None, None),
            ("@@ -X,Y +X,Y @@", None, None),
            ("@@ ... @@ def f():", None, Some("def f():")),
            ("@@ class A", None, Some("class A")),
            ("@@ class A @@", None, Some("class A")),
        ] {
            let read = at_line(line).unwrap();
            assert_eq!((read.hint, read.anchor.as_deref()), (hint, anchor), "{line}");
        }
        assert_eq!(at_line("@ class A"), None);
    }
}
