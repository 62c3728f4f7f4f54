//! File names as the headers of a unified diff have them.

/// A name after `--- `, `+++ ` or `rename to `, without a timestamp and without git's quotes.
pub(super) fn header_path(text: &str) -> String {
    let text = text.split('\t').next().unwrap_or(text).trim();
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => unquote(quoted),
        None => text.to_owned(),
    }
}

pub(super) fn is_null(path: &str) -> bool {
    path == "/dev/null" || path == "dev/null"
}

/// Without the `a/` or `b/` of git, if there is one.
pub(super) fn without_prefix(path: &str) -> Option<&str> {
    path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).filter(|path| !path.is_empty())
}

/// The name in `diff --git a/NAME b/NAME`, when it is the same twice.
pub(super) fn git_name(names: &str) -> Option<String> {
    if names.starts_with('"') {
        let (_, new) = names.split_once("\" ")?;
        return without_prefix(&header_path(new)).map(str::to_owned);
    }
    let (old, new) = (names.get(..names.len() / 2)?, names.get(names.len() / 2 + 1..)?);
    let (old, new) = (without_prefix(old).unwrap_or(old), without_prefix(new).unwrap_or(new));
    (old == new).then(|| new.to_owned())
}

/// Bytes that are not ASCII come as octal numbers.
fn unquote(quoted: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = quoted.bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let mut number: Option<u8> = None;
        for _ in 0..3 {
            let Some(digit) = rest.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
            number = Some(number.unwrap_or(0).wrapping_mul(8).wrapping_add(digit - b'0'));
        }
        match number {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(rest.next().map(|escaped| match escaped {
                b't' => b'\t',
                b'n' => b'\n',
                other => other,
            })),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_as_the_tree_has_them() {
        assert_eq!(header_path("a/x y.txt\t2026-11-20 10:00:00"), "a/x y.txt");
        assert_eq!(header_path(r#""a/\344\275\240 \"q\".txt""#), "a/你 \"q\".txt");
        assert_eq!(git_name("a/x b/y.txt b/x b/y.txt").as_deref(), Some("x b/y.txt"));
        assert_eq!(git_name("a/x b/y"), None);
        assert_eq!(git_name(r#""a/\344\275\240" "b/\344\275\240""#).as_deref(), Some("你"));
    }
}
