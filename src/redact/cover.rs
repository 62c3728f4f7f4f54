//! Texts for people who may see less than their owner: known secrets and whatever has the form of one are covered.
//!
//! A covered text is as long as it was and has the same lines, so byte ranges of a log, line numbers, and the hunks of a
//! patch stay true.

use std::{borrow::Cow, collections::BTreeMap, ops::Range, sync::LazyLock};

use regex::bytes::Regex;
use serde::{Serialize, de::DeserializeOwned};

use super::{MASK, mask_value, patterns, shapes};

/// How many secrets of each kind there were.
pub(crate) type Covered = BTreeMap<&'static str, u64>;

static RULES: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let rules = shapes::SHAPES.iter();
    rules.filter_map(|(name, form)| Some((*name, Regex::new(form).ok()?))).collect()
});

const OWN: &str = "secret of this server";

/// Not an asterisk: that is markup in an explanation.
const COVER: u8 = b'X';

/// Covers secrets with `X`, byte by byte.
pub(crate) fn cover_bytes(text: &mut [u8]) -> Covered {
    let mut covered = Covered::new();
    for range in patterns().find(text) {
        cover_range(text, range);
        *covered.entry(OWN).or_default() += 1;
    }
    for (name, rule) in RULES.iter() {
        let found: Vec<Range<usize>> = rule
            .captures_iter(text)
            .filter_map(|found| found.name("secret").or(found.get(0)))
            .filter(|secret| is_to_be_covered(secret.as_bytes()))
            .map(|secret| secret.range())
            .collect();
        for range in found {
            cover_range(text, range);
            *covered.entry(name).or_default() += 1;
        }
    }
    covered
}

/// Not what stands in the place of a secret already.
fn is_to_be_covered(secret: &[u8]) -> bool {
    !secret.starts_with(MASK.as_bytes()) && !secret.starts_with(b"[") && secret.iter().any(|byte| *byte != COVER)
}

/// Line ends stay, and so does what says of a line of a patch whether it was added.
fn cover_range(text: &mut [u8], range: Range<usize>) {
    let mut starts_line = false;
    for byte in &mut text[range] {
        let is_sign = starts_line && matches!(byte, b'+' | b'-' | b' ');
        starts_line = *byte == b'\n';
        if !is_sign && !matches!(byte, b'\n' | b'\r') {
            *byte = COVER;
        }
    }
}

pub(crate) fn cover(text: &str) -> Cow<'_, str> {
    let mut bytes = text.as_bytes().to_vec();
    if cover_bytes(&mut bytes).is_empty() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The value with the texts in it covered.
pub(crate) fn covered<T: Serialize + DeserializeOwned>(value: T) -> serde_json::Result<T> {
    let hide = |text: &str| cover(text).into_owned();
    serde_json::from_value(mask_value(&serde_json::to_value(value)?, |text| !super::is_word(text), hide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_covered_patch_keeps_its_length_its_lines_and_its_signs() {
        assert_eq!(RULES.len(), shapes::SHAPES.len());
        let key = "PRIVATE KEY";
        let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
        let patch = format!(
            "@@ -1 +1,5 @@\n-old ä\n+token = \"{token}\"\n+-----BEGIN RSA {key}-----\n+MIIE\n+-----END RSA {key}-----\n x\n"
        );
        let mut bytes = patch.clone().into_bytes();
        let found = cover_bytes(&mut bytes);
        assert_eq!(found, Covered::from([("GitHub token", 1), ("private key", 1)]));
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.len(), patch.len());
        let covered_text = |count: usize| "X".repeat(count);
        let expected = format!(
            "@@ -1 +1,5 @@\n-old ä\n+token = \"{}\"\n+{}\n+XXXX\n+{}\n x\n",
            covered_text(token.len()),
            covered_text(31),
            covered_text(29)
        );
        assert_eq!(text, expected);
        assert_eq!(cover("nothing to see"), "nothing to see");
        let value = serde_json::json!({"text": format!("a {token} b"), "kind": "note"});
        let expected = serde_json::json!({"text": format!("a {} b", covered_text(token.len())), "kind": "note"});
        assert_eq!(covered(value).unwrap(), expected);
    }
}
