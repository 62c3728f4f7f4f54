//! Text without what may break a secret up: line ends, terminal sequences, and both as JSON escapes them.

/// The bytes that are left, each with its place in the text.
#[derive(Debug)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    pub(super) places: Vec<usize>,
}

impl View {
    /// `None` when nothing is to be left out.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        const BREAKS: [u8; 4] = [b'\n', b'\r', 0x1b, b'\\'];
        let first = text.iter().position(|byte| BREAKS.contains(byte))?;
        let mut view = Self { bytes: text[..first].to_vec(), places: (0..first).collect() };
        let mut at = first;
        while at < text.len() {
            match break_length(&text[at..]) {
                0 => {
                    view.bytes.push(text[at]);
                    view.places.push(at);
                    at += 1;
                }
                length => at += length,
            }
        }
        (view.bytes.len() < text.len()).then_some(view)
    }
}

/// How many bytes at the beginning are a break.
fn break_length(text: &[u8]) -> usize {
    let escapes: [&[u8]; 3] = [b"\x1b", b"\\u001b", b"\\u001B"];
    if let Some(escape) = escapes.into_iter().find(|escape| text.starts_with(escape)) {
        return escape.len() + sequence_length(&text[escape.len()..]);
    }
    match text {
        [b'\n' | b'\r', ..] => 1,
        [b'\\', b'n' | b'r', ..] => 2,
        _ => 0,
    }
}

/// ECMA-48: `[`, parameters and a final byte; or one byte. What is cut off reaches to the end.
fn sequence_length(text: &[u8]) -> usize {
    match text {
        [] => 0,
        [b'[', rest @ ..] => {
            let parameters = rest.iter().take_while(|byte| (0x20..=0x3f).contains(*byte)).count();
            1 + (parameters + 1).min(rest.len())
        }
        _ => 1,
    }
}
