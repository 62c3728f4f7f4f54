//! What a model writes at the end, in the light formatting that models use: headings, lists, code, references to lines.
//!
//! A small part of Markdown, and nothing that leads anywhere else: no HTML, no images, no links but to lines of the code.

mod inline;

use super::reference::Reference;

/// Whether the code has a file of this path, as far as the asker knows.
pub(crate) type Known<'a> = &'a dyn Fn(&str) -> bool;

#[derive(Debug, PartialEq)]
pub(crate) enum Block {
    Heading(Vec<Span>),
    /// Lines as they were written.
    Paragraph(Vec<Span>),
    List(Vec<Item>),
    /// A fenced block, word for word.
    Quoted(String),
}

#[derive(Debug, PartialEq)]
pub(crate) struct Item {
    /// How far it is indented; 0 is the outermost.
    pub(crate) depth: usize,
    /// A bullet, or a number with its dot.
    pub(crate) marker: String,
    pub(crate) spans: Vec<Span>,
}

/// Text of one look.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) text: String,
    pub(crate) is_code: bool,
    pub(crate) is_strong: bool,
    pub(crate) reference: Option<Reference>,
}

/// More than anybody follows.
const MAX_REFERENCES: usize = 100;
const MAX_DEPTH: usize = 4;

/// The references of an explanation, each once, in order. What stands in fenced blocks is quoted, not claimed.
pub(crate) fn references(text: &str, known: Known<'_>) -> Vec<Reference> {
    let mut references = Vec::new();
    for block in parse(text, known) {
        let spans = match block {
            Block::Heading(spans) | Block::Paragraph(spans) => spans,
            Block::List(items) => items.into_iter().flat_map(|item| item.spans).collect(),
            Block::Quoted(_) => Vec::new(),
        };
        for reference in spans.into_iter().filter_map(|span| span.reference) {
            if references.len() < MAX_REFERENCES && !references.contains(&reference) {
                references.push(reference);
            }
        }
    }
    references
}

pub(crate) fn parse(text: &str, known: Known<'_>) -> Vec<Block> {
    let mut parser = Parser { known, blocks: Vec::new(), open: Open::Nothing, indents: Vec::new() };
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match fence(line) {
            Some(fence) => parser.quote(&fence, &mut lines),
            None => parser.line(line),
        }
    }
    parser.close();
    parser.blocks
}

struct Parser<'a> {
    known: Known<'a>,
    blocks: Vec<Block>,
    open: Open,
    /// Where the items above the next one begin.
    indents: Vec<usize>,
}

/// What the next line may belong to.
enum Open {
    Nothing,
    Paragraph(String),
    List { items: Vec<RawItem>, after_gap: bool },
}

struct RawItem {
    depth: usize,
    marker: String,
    text: String,
}

struct Fence {
    sign: char,
    length: usize,
    indent: usize,
}

fn fence(line: &str) -> Option<Fence> {
    let text = line.trim_start();
    let sign = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = text.chars().take_while(|c| *c == sign).count();
    let is_fence = length >= 3 && !(sign == '`' && text[length..].contains('`'));
    is_fence.then_some(Fence { sign, length, indent: line.len() - text.len() })
}

impl Parser<'_> {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        if text.is_empty() {
            match &mut self.open {
                Open::List { after_gap, .. } => *after_gap = true,
                Open::Paragraph(_) | Open::Nothing => self.close(),
            }
        } else if let Some(heading) = heading(text) {
            self.close();
            self.blocks.push(Block::Heading(inline::spans(heading, self.known)));
        } else if is_rule(text) {
            self.close();
        } else if let Some((marker, text)) = item(text) {
            self.item(indent, marker, text);
        } else {
            self.text(line, text, indent);
        }
    }

    fn item(&mut self, indent: usize, marker: String, text: &str) {
        if !matches!(self.open, Open::List { .. }) {
            self.close();
            self.open = Open::List { items: Vec::new(), after_gap: false };
        }
        while self.indents.last().is_some_and(|above| *above >= indent) {
            self.indents.pop();
        }
        let depth = self.indents.len().min(MAX_DEPTH);
        self.indents.push(indent);
        if let Open::List { items, after_gap } = &mut self.open {
            *after_gap = false;
            items.push(RawItem { depth, marker, text: text.to_owned() });
        }
    }

    fn text(&mut self, line: &str, text: &str, indent: usize) {
        match &mut self.open {
            // An item goes on until a gap; after it only what is indented belongs to it.
            Open::List { items, after_gap } if !*after_gap || indent > 0 => {
                if let Some(item) = items.last_mut() {
                    item.text.push_str(if *after_gap { "\n\n" } else { "\n" });
                    item.text.push_str(text);
                }
                *after_gap = false;
            }
            Open::Paragraph(paragraph) => {
                paragraph.push('\n');
                paragraph.push_str(line.trim_end());
            }
            Open::Nothing | Open::List { .. } => {
                self.close();
                self.open = Open::Paragraph(line.trim_end().to_owned());
            }
        }
    }

    fn quote<'t>(&mut self, fence: &Fence, lines: &mut impl Iterator<Item = &'t str>) {
        self.close();
        let closes = |line: &str| {
            let text = line.trim();
            text.len() >= fence.length && text.chars().all(|c| c == fence.sign)
        };
        let dedented = |line: &'t str| {
            let indent = line.len() - line.trim_start().len();
            &line[indent.min(fence.indent)..]
        };
        let quoted: Vec<&str> = lines.take_while(|line| !closes(line)).map(dedented).collect();
        self.blocks.push(Block::Quoted(quoted.join("\n")));
    }

    fn close(&mut self) {
        self.indents.clear();
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Paragraph(text) => self.blocks.push(Block::Paragraph(inline::spans(&text, self.known))),
            Open::List { items, .. } => {
                let item = |RawItem { depth, marker, text }| {
                    let spans = inline::spans(&text, self.known);
                    Item { depth, marker, spans }
                };
                self.blocks.push(Block::List(items.into_iter().map(item).collect()));
            }
        }
    }
}

fn heading(text: &str) -> Option<&str> {
    let signs = text.len() - text.trim_start_matches('#').len();
    let rest = text[signs..].strip_prefix(' ')?;
    (1..=6).contains(&signs).then(|| rest.trim().trim_end_matches('#').trim_end())
}

fn is_rule(text: &str) -> bool {
    text.len() >= 3 && ['-', '*', '_'].iter().any(|sign| text.chars().all(|c| c == *sign))
}

/// The marker and the text of a line that begins an item.
fn item(text: &str) -> Option<(String, &str)> {
    let (sign, rest) = text.split_once(' ')?;
    let digits = sign.strip_suffix(['.', ')']).unwrap_or_default();
    let is_number = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    match sign {
        "-" | "*" | "+" => Some(("\u{2022}".to_owned(), rest.trim_start())),
        _ if is_number => Some((format!("{digits}."), rest.trim_start())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(spans: &[Span]) -> String {
        spans.iter().map(|span| span.text.as_str()).collect()
    }

    /// A line a block, so that a test can be read.
    fn outline(text: &str) -> Vec<String> {
        let shown = |block: &Block| match block {
            Block::Heading(spans) => format!("# {}", plain(spans)),
            Block::Paragraph(spans) => format!("p {}", plain(spans)),
            Block::Quoted(text) => format!("| {text}"),
            Block::List(items) => {
                let items = items.iter().map(|item| format!("{}{} {}", item.depth, item.marker, plain(&item.spans)));
                items.collect::<Vec<_>>().join(" / ")
            }
        };
        parse(text, &|_| false).iter().map(shown).collect()
    }

    #[test]
    fn blocks_are_told_apart() {
        let text = "## What\n\nOne\ntwo\n- a\n  - b\n    more\n\n  later\n- c\n\nAfter.\n1. x\n2) y\n---\n\
                    ```rust\nlet a = 1;\n\n- no item\n```\nend\n";
        assert_eq!(
            outline(text),
            [
                "# What",
                "p One\ntwo",
                "0• a / 1• b\nmore\n\nlater / 0• c",
                "p After.",
                "01. x / 02. y",
                "| let a = 1;\n\n- no item",
                "p end"
            ]
        );
    }

    #[test]
    fn what_is_not_closed_ends_with_the_text() {
        assert_eq!(outline("```\na\n"), ["| a"]);
        assert_eq!(outline("- "), ["p -"]);
        assert_eq!(outline("#no heading"), ["p #no heading"]);
        assert_eq!(outline("  ~~~~\n    a\n  ~~~\n  ~~~~"), ["|   a\n~~~"]);
        assert_eq!(outline(""), Vec::<String>::new());
    }

    #[test]
    fn references_are_counted_once_and_not_in_fences() {
        let text = "# a.rs:1\n- `my file:2` and a.rs:1\n```\nb.rs:3\n```\nMakefile:4, python:3";
        let found = references(text, &|path| matches!(path, "my file" | "Makefile"));
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["a.rs:1", "my file:2", "Makefile:4"]);
    }
}
