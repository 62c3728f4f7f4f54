//! The forms in which a secret shows up in text: as it is, encoded, or escaped.

use std::fmt::Write;

use data_encoding::{BASE64, BASE64URL};

/// Shorter ones occur by chance; masking them would only make text unreadable.
const SHORTEST: usize = 4;
/// Below this, an encoded form is short enough to occur by chance.
const SHORTEST_ENCODED: usize = 8;

/// Everything to look for, for one secret; nothing for one that is too short. A secret of several lines is also looked
/// for line by line, since logs cut text at line ends.
pub(super) fn forms(secret: &str) -> Vec<Vec<u8>> {
    let whole = secret.trim();
    let joined: String = whole.lines().map(str::trim).collect();
    let mut texts = vec![whole, &joined];
    texts.extend(whole.lines().map(str::trim));
    let mut forms: Vec<Vec<u8>> = texts.into_iter().filter(|text| text.len() >= SHORTEST).flat_map(forms_of).collect();
    forms.sort();
    forms.dedup();
    forms
}

fn forms_of(text: &str) -> Vec<Vec<u8>> {
    let json = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let mut forms = vec![
        text.to_owned(),
        json(text),
        json(&json(text)),
        ascii_only(&json(text)),
        xml(text, ["&quot;", "&#39;", "&lt;", "&gt;"]),
        xml(text, ["&quot;", "&#x27;", "&lt;", "&gt;"]),
        xml(text, ["&quot;", "&apos;", "&lt;", "&gt;"]),
        xml(text, ["&#34;", "&#39;", "&#60;", "&#62;"]).replace("&amp;", "&#38;"),
        percent(text, "%20", |byte| format!("%{byte:02X}")),
        percent(text, "%20", |byte| format!("%{byte:02x}")),
        percent(text, "+", |byte| format!("%{byte:02X}")),
    ];
    if text.len() >= SHORTEST_ENCODED {
        for shift in 0..3 {
            forms.push(shifted(text, shift, &BASE64));
            forms.push(shifted(text, shift, &BASE64URL));
        }
    }
    forms.into_iter().map(String::into_bytes).collect()
}

/// The characters of an encoding that depend on the secret alone when `shift` bytes (modulo three) stand before it,
/// whatever they are and whatever comes after, such as in the base64 of `user:KEY`.
fn shifted(text: &str, shift: usize, encoding: &data_encoding::Encoding) -> String {
    let bytes = [&b"\0\0"[..shift], text.as_bytes()].concat();
    let encoded = encoding.encode(&bytes);
    let (first, end) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded[first..end].to_owned()
}

/// JSON as writers with an ASCII-only habit make it.
fn ascii_only(json: &str) -> String {
    let mut text = String::new();
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

fn xml(text: &str, [quote, apostrophe, less, greater]: [&str; 4]) -> String {
    let escaped = text.replace('&', "&amp;").replace('"', quote).replace('\'', apostrophe);
    escaped.replace('<', less).replace('>', greater)
}

fn percent(text: &str, space: &str, encode: impl Fn(u8) -> String) -> String {
    let one = |byte: u8| match byte {
        b' ' => space.to_owned(),
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => encode(other),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_base64_is_the_same_whatever_surrounds_the_secret() {
        let secret = "sk-canary-7f3a9";
        let forms = forms(secret);
        for before in ["", "u", "us", "user:", "user:x"] {
            for after in ["", "a", "bc", "\n"] {
                let encoded = BASE64.encode(format!("{before}{secret}{after}").as_bytes());
                let is_found = |form: &Vec<u8>| encoded.as_bytes().windows(form.len()).any(|part| part == form);
                assert!(forms.iter().any(is_found), "{before:?} {after:?}: {encoded}");
            }
        }
    }

    #[test]
    fn what_is_too_short_has_no_forms() {
        assert!(forms("abc").is_empty() && forms(" \n").is_empty());
        assert_eq!(forms("abcd"), [b"abcd"]);
    }
}
