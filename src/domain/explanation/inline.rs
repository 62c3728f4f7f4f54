//! Within a line: code in back-ticks, strong words, references.

use super::{Known, Span};
use crate::domain::reference::{self, Likeness, Reference};

/// Of a link to lines, both its parts.
const MAX_LINK_BYTES: usize = 1500;

pub(super) fn spans(text: &str, known: Known<'_>) -> Vec<Span> {
    let mut line = Line { known, spans: Vec::new(), is_strong: false };
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        let special = &rest[at..];
        let taken = if special.starts_with('`') {
            code(special).map(|code| (Piece::Code(code.inside), code.length))
        } else if let Some(after) = special.strip_prefix("**") {
            let is_sign = line.is_strong || (after.contains("**") && !after.starts_with(char::is_whitespace));
            is_sign.then_some((Piece::Strong, 2))
        } else {
            link(special, known).map(|link| (Piece::Link(link.label, link.reference), link.length))
        };
        if let Some((piece, length)) = taken {
            line.plain(&rest[..at]);
            line.piece(piece);
            rest = &special[length..];
        } else {
            // It is only itself, with the same signs that follow it.
            let sign = special.chars().next().unwrap_or_default();
            let end = at + special.len() - special.trim_start_matches(sign).len();
            line.plain(&rest[..end]);
            rest = &rest[end..];
        }
    }
    line.plain(rest);
    line.spans
}

struct Line<'a> {
    known: Known<'a>,
    spans: Vec<Span>,
    is_strong: bool,
}

enum Piece<'t> {
    Code(&'t str),
    Strong,
    Link(&'t str, Reference),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Code,
}

impl Line<'_> {
    fn piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Strong => self.is_strong = !self.is_strong,
            Piece::Code(text) => match reference::whole(text) {
                Some(found) if counts(&found, self.known) && !text.contains(char::is_whitespace) => {
                    self.push(text, Look::Code, Some(found.0));
                }
                Some((found, _)) if (self.known)(&found.path) => self.push(text, Look::Code, Some(found)),
                _ => self.with_references(text, Look::Code),
            },
            Piece::Link(label, reference) => {
                let look = if label.contains('`') { Look::Code } else { Look::Plain };
                self.push(&label.replace('`', ""), look, Some(reference));
            }
        }
    }

    fn plain(&mut self, text: &str) {
        self.with_references(text, Look::Plain);
    }

    fn with_references(&mut self, text: &str, look: Look) {
        let mut written = 0;
        for found in reference::found_in(text) {
            let range = found.at;
            let found = (found.reference, found.likeness);
            if counts(&found, self.known) {
                self.push(&text[written..range.start], look, None);
                self.push(&text[range.clone()], look, Some(found.0));
                written = range.end;
            }
        }
        self.push(&text[written..], look, None);
    }

    fn push(&mut self, text: &str, look: Look, reference: Option<Reference>) {
        if text.is_empty() {
            return;
        }
        let span = Span { text: text.to_owned(), is_code: look == Look::Code, is_strong: self.is_strong, reference };
        match self.spans.last_mut() {
            // A sign that is only itself does not tear the text.
            Some(last)
                if !last.is_code
                    && !span.is_code
                    && last.is_strong == span.is_strong
                    && last.reference.is_none()
                    && span.reference.is_none() =>
            {
                last.text.push_str(text);
            }
            _ => self.spans.push(span),
        }
    }
}

fn counts((reference, likeness): &(Reference, Likeness), known: Known<'_>) -> bool {
    *likeness == Likeness::Sure || known(&reference.path)
}

struct Code<'t> {
    inside: &'t str,
    /// Of the whole, in bytes.
    length: usize,
}

/// A run of back-ticks to the next run of the same length.
fn code(text: &str) -> Option<Code<'_>> {
    let sign = text.len() - text.trim_start_matches('`').len();
    let mut at = sign;
    loop {
        let start = at + text[at..].find('`')?;
        let end = start + text[start..].len() - text[start..].trim_start_matches('`').len();
        if end - start == sign {
            let inside = &text[sign..start];
            let padded = inside.strip_prefix(' ').and_then(|inside| inside.strip_suffix(' '));
            let inside = padded.filter(|inside| !inside.trim().is_empty()).unwrap_or(inside);
            return Some(Code { inside, length: end });
        }
        at = end;
    }
}

struct Link<'t> {
    label: &'t str,
    reference: Reference,
    length: usize,
}

/// `[label](path#L12)`; a link to anywhere else stays text.
fn link<'t>(text: &'t str, known: Known<'_>) -> Option<Link<'t>> {
    // Only so far, or a text of nothing but brackets would be read again and again.
    let text = &text[..text.floor_char_boundary(MAX_LINK_BYTES)];
    let (label, after) = text.strip_prefix('[')?.split_once(']')?;
    let (target, _) = after.strip_prefix('(')?.split_once(')')?;
    let fits = !label.trim().is_empty() && !label.contains(['[', '\n']);
    let found = reference::whole(target).filter(|found| fits && counts(found, known))?;
    Some(Link { label, reference: found.0, length: label.len() + target.len() + "[]()".len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `<c:…>` is code, `<s:…>` strong, `<r path:line:…>` a reference.
    fn shown(text: &str) -> String {
        let known = |path: &str| path == "my file.txt";
        let show = |span: Span| {
            let mut text = span.text;
            if span.is_code {
                text = format!("<c:{text}>");
            }
            if span.is_strong {
                text = format!("<s:{text}>");
            }
            span.reference.map_or(text.clone(), |reference| format!("<r {reference}:{text}>"))
        };
        spans(text, &known).into_iter().map(show).collect()
    }

    #[test]
    fn code_strength_and_references() {
        for (text, expected) in [
            ("a `b` **c `d` e** f", "a <c:b> <s:c ><s:<c:d>><s: e> f"),
            ("``a ` b``", "<c:a ` b>"),
            ("` `` `", "<c:``>"),
            ("see `a.rs:3`.", "see <r a.rs:3:<c:a.rs:3>>."),
            ("`my file.txt:3-4`", "<r my file.txt:3-4:<c:my file.txt:3-4>>"),
            ("`your file.txt:3`", "<c:your ><r file.txt:3:<c:file.txt:3>>"),
            ("`grep x a.rs:3`", "<c:grep x ><r a.rs:3:<c:a.rs:3>>"),
            ("[the `rule`](src/a.rs#L4) holds", "<r src/a.rs:4:<c:the rule>> holds"),
            ("**a.rs:3**", "<r a.rs:3:<s:a.rs:3>>"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_leads_elsewhere_or_is_not_closed_stays_text() {
        for text in [
            "[x](https://example.org/a)",
            "![x](https://example.org/a.png)",
            "<img src=x> & 2 * 3 ** 4",
            "`open",
            "**open",
            "a[0](b)",
            "[](a.rs)",
            "[[[[",
        ] {
            assert_eq!(shown(text), text, "{text}");
        }
    }
}
