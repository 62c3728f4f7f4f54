//! The masker as its users see it. Secrets are one set for the process, so every test has its own.

use std::io::Write;

use data_encoding::BASE64;
use serde_json::json;

use super::*;
use crate::domain::conversation::Message;

fn know(secret: &str) {
    register(&secret.into());
}

#[test]
fn r61_every_form_of_a_secret_is_masked() {
    know(r#"p&ss"w<rd's key/+1 ä"#);
    for form in [
        r#"p&ss"w<rd's key/+1 ä"#,
        r#"p&ss\"w<rd's key/+1 ä"#,
        r#"p&ss\\\"w<rd's key/+1 ä"#,
        r#"p&ss\"w<rd's key/+1 \u00e4"#,
        "p&amp;ss&quot;w&lt;rd&#39;s key/+1 ä",
        "p&amp;ss&quot;w&lt;rd&#x27;s key/+1 ä",
        "p&#38;ss&#34;w&#60;rd&#39;s key/+1 ä",
        "p%26ss%22w%3Crd%27s%20key%2F%2B1%20%C3%A4",
        "p%26ss%22w%3crd%27s%20key%2f%2b1%20%c3%a4",
        "p%26ss%22w%3Crd%27s+key%2F%2B1+%C3%A4",
    ] {
        assert_eq!(mask(&format!("a {form} b")), "a *** b", "{form}");
    }
}

#[test]
fn r61_base64_of_user_and_key_keeps_nothing_of_the_key() {
    know("sk-base64-canary-1");
    for user in ["", "u", "me", "user", "admin"] {
        let header = BASE64.encode(format!("{user}:sk-base64-canary-1").as_bytes());
        let masked = mask(&header).into_owned();
        assert!(masked.contains(MASK) && masked.len() <= header.len() - 22 + MASK.len(), "{header} -> {masked}");
    }
}

#[test]
fn r61_line_ends_and_colours_do_not_hide_a_secret() {
    know("sk-broken-canary-2");
    for broken in [
        "sk-broken\n-canary-2",
        "sk-broken\r\n-canary-2",
        "sk-\x1b[1;31mbroken-can\x1b[0mary-2",
        r"sk-broken\n-canary-2",
        r"sk-\u001b[31mbroken-canary-2",
    ] {
        assert_eq!(mask(&format!("x {broken} y")), "x *** y", "{broken:?}");
    }
}

#[test]
fn r61_a_secret_of_several_lines_is_masked_line_by_line() {
    know("-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n-----END KEY-----\n");
    assert_eq!(mask("only second-line-of-it here"), "only *** here");
    assert_eq!(mask("-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n-----END KEY-----"), "***");
}

#[test]
fn secrets_of_three_characters_are_not_masked() {
    know("xyz");
    assert_eq!(mask("xyz"), "xyz");
}

#[test]
fn overlapping_secrets_leave_nothing_between_them() {
    know("sk-overlap-one");
    know("sk-overlap-one-and-more");
    know("one-and-more-to-come");
    assert_eq!(mask("[sk-overlap-one-and-more-to-come]"), "[***]");
}

/// However the text is cut, the stream says what masking it whole says.
#[test]
fn r61_pieces_of_a_stream_are_masked_like_the_whole() {
    know("sk-stream-canary-3");
    know("sk-stream-canary-3-long");
    let text = "a sk-stream-canary-3 b sk-stream-can\nary-3-long c sk-stream\x1b[1m-canary-3\nsk-stream-canary no\n";
    let whole = mask(text).into_owned();
    assert_eq!(whole, "a *** b *** c ***\nsk-stream-canary no\n");
    for first in 0..text.len() {
        for second in first..text.len() {
            let mut stream = MaskedStream::default();
            let mut out = stream.push(&text.as_bytes()[..first]);
            out.extend(stream.push(&text.as_bytes()[first..second]));
            out.extend(stream.push(&text.as_bytes()[second..]));
            out.extend(stream.finish());
            assert_eq!(String::from_utf8(out).unwrap(), whole, "cut at {first} and {second}");
        }
    }
    let mut stream = MaskedStream::default();
    let out: Vec<u8> = text.bytes().flat_map(|byte| stream.push(&[byte])).collect();
    assert_eq!(String::from_utf8([out, stream.finish()].concat()).unwrap(), whole);
    assert_eq!(stream.found(), 3);
}

#[test]
fn a_line_is_passed_on_at_once_unless_it_may_be_half_a_secret() {
    know("sk-follow-canary-4");
    let mut stream = MaskedStream::default();
    assert_eq!(stream.push(b"Installing packages\n"), b"Installing packages\n");
    assert_eq!(stream.push(b"token sk-follow\n"), b"token ");
    assert_eq!(stream.push(b"ing\n"), b"sk-follow\ning\n");
}

#[test]
fn json_keeps_its_shape() {
    know(r#"a","b-canary-5"#);
    let value = json!({"list": ["a", "b-canary-5"], "text": r#"x a","b-canary-5 y"#, r#"a","b-canary-5"#: 1});
    let written: Value = serde_json::from_str(&to_json(&value).unwrap()).unwrap();
    assert_eq!(written, json!({"list": ["a", "b-canary-5"], "text": "x *** y", "***": 1}));
    assert_eq!(masked(value).unwrap(), written);
}

#[test]
fn a_key_that_is_a_word_of_ours_does_not_make_messages_unreadable() {
    know("tool");
    let message: Message = serde_json::from_value(json!({
        "role": "tool", "call_id": "1", "name": "tool", "content": "my tool"
    }))
    .unwrap();
    let Message::Tool { content, .. } = masked(message).unwrap() else { panic!("another message") };
    assert_eq!(content, "my ***");
}

#[test]
fn a_writer_masks_what_it_is_given() {
    know("sk-writer-canary-6");
    let mut writer = MaskedWriter(Vec::new());
    writer.write_all(b"error: 401 for sk-writer-canary-6\n").unwrap();
    assert_eq!(writer.0, b"error: 401 for ***\n");
}
