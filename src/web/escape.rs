//! How any text gets into a page: HTML escaped, characters that hide or reorder text made visible.
//!
//! `askama.toml` names `PageText` as the escaper of every template, so no template can forget it.

use std::fmt::{self, Write};

use askama::filters::Escaper;

#[derive(Debug, Clone, Copy)]
pub(crate) struct PageText;

impl Escaper for PageText {
    fn write_escaped_str<W: Write>(&self, mut page: W, text: &str) -> fmt::Result {
        let mut written = 0;
        for (at, c) in text.char_indices() {
            let Some(shown) = shown(c) else { continue };
            page.write_str(&text[written..at])?;
            match shown {
                Shown::As(replacement) => page.write_str(replacement)?,
                Shown::Picture => page.write_char(picture(c))?,
                Shown::CodePoint => write!(page, "\u{27E6}U+{:04X}\u{27E7}", u32::from(c))?,
            }
            written = at + c.len_utf8();
        }
        page.write_str(&text[written..])
    }
}

enum Shown {
    As(&'static str),
    /// A symbol that Unicode has for the control character.
    Picture,
    CodePoint,
}

/// What to show instead of a character; `None` leaves it as it is.
fn shown(c: char) -> Option<Shown> {
    match c {
        '&' => Some(Shown::As("&amp;")),
        '<' => Some(Shown::As("&lt;")),
        '>' => Some(Shown::As("&gt;")),
        '"' => Some(Shown::As("&#34;")),
        '\'' => Some(Shown::As("&#39;")),
        '\n' | '\t' => None,
        '\0'..='\x1f' | '\x7f' => Some(Shown::Picture),
        '\u{80}'..='\u{9f}' // C1 controls
        | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // bidi, zero width
        | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' // tags: text that only a model sees
            => Some(Shown::CodePoint),
        _ => None,
    }
}

fn picture(c: char) -> char {
    match c {
        '\x7f' => '\u{2421}',
        c => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut page = String::new();
        PageText.write_escaped_str(&mut page, text).unwrap();
        page
    }

    #[test]
    fn markup_and_hidden_characters_become_text() {
        assert_eq!(escaped("a\n\tä漢 👍"), "a\n\tä漢 👍");
        assert_eq!(escaped("<b a='\"'>&"), "&lt;b a=&#39;&#34;&#39;&gt;&amp;");
        assert_eq!(escaped("\x1b[31m\0\x7f\r"), "␛[31m␀␡␍");
        assert_eq!(escaped("x\u{202e}y\u{e0041}\u{9b}"), "x⟦U+202E⟧y⟦U+E0041⟧⟦U+009B⟧");
    }

    /// Nothing a container, a repository or a model wrote may get into a page as markup.
    #[test]
    fn no_template_switches_the_escaping_off() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"))];
        let mut templates = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                templates += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                for bad in ["|safe", "| safe", "|escape", "| escape", "<style", " style=", " onclick="] {
                    assert!(!text.contains(bad), "{} holds {bad:?}", path.display());
                }
            }
        }
        assert!(templates > 5);
    }
}
