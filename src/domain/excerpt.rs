//! Cutting long text in the middle: its beginning and its end say the most.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// `text` itself if it has at most `max_bytes`, else its head and tail with the number of bytes left out between them.
pub(crate) fn head_and_tail(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let head = &text[..text.floor_char_boundary(max_bytes / 2)];
    let tail = &text[text.ceil_char_boundary(text.len() - max_bytes / 2)..];
    let left_out = text.len() - head.len() - tail.len();
    Cow::Owned(format!("{head}\n[… {left_out} bytes left out …]\n{tail}"))
}

/// The object with every string in it, however deep, cut to `max_bytes`.
pub(crate) fn cut_strings(object: &Map<String, Value>, max_bytes: usize) -> Map<String, Value> {
    object.iter().map(|(key, value)| (key.clone(), cut_value(value, max_bytes))).collect()
}

/// The same for any value. Recursion ends where JSON does: the parser allows 128 levels.
pub(crate) fn cut_value(value: &Value, max_bytes: usize) -> Value {
    match value {
        Value::String(text) => Value::String(head_and_tail(text, max_bytes).into_owned()),
        Value::Array(items) => items.iter().map(|item| cut_value(item, max_bytes)).collect(),
        Value::Object(object) => Value::Object(cut_strings(object, max_bytes)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_falls_between_characters_and_says_how_much_is_missing() {
        let text = "ä".repeat(100);
        let cut = head_and_tail(&text, 51);
        assert!(cut.starts_with("ä") && cut.ends_with("ä"), "{cut}");
        assert!(cut.contains("[… 152 bytes left out …]"), "{cut}");
        assert_eq!(head_and_tail(&text, 200), text);
    }
}
