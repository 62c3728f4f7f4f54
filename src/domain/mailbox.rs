//! A patch with its author and its message, as `git format-patch` writes it and `git am` takes it.

use std::fmt::Write as _;

use data_encoding::BASE64;
use jiff::{Timestamp, fmt::rfc2822};

use super::{forge_text, task::Task};

/// In the name of whom the change is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) name: &'a str,
    pub(crate) email: &'a str,
    pub(crate) co_author: Option<&'a str>,
}

/// Any bytes but those that mail does not carry, by `git`'s own words for it.
const PLAIN: &str = "8bit";
const PACKED: &str = "base64";
/// Bytes of an encoded word, so that a line stays short.
const WORD_BYTES: usize = 42;
/// Bytes that make a line of 76 characters.
const LINE_BYTES: usize = 57;

pub(crate) fn mailbox_patch(task: &Task, sender: &Sender<'_>, patch: &[u8]) -> Vec<u8> {
    let Sender { name, email, co_author } = *sender;
    let message = forge_text::commit_message(task, co_author);
    let (title, text) = message.split_once("\n\n").unwrap_or((&message, ""));
    let at = task.finished_at.unwrap_or(task.created_at);
    let from = format!("{} <{email}>", word(name));
    // A sender in the text would take the place of the one in the head, so the first that stands there is the same.
    let mut body = format!("From: {from}\n\n").into_bytes();
    for line in text.lines() {
        body.extend_from_slice(part_of_text(line).as_bytes());
        body.push(b'\n');
    }
    body.extend_from_slice(b"---\n\n");
    body.extend_from_slice(patch);
    // Line ends of Windows are cut off on the way, unless they are packed.
    let is_plain = !patch.contains(&b'\r') && std::str::from_utf8(patch).is_ok();
    let (encoding, body) = if is_plain { (PLAIN, body) } else { (PACKED, packed(&body)) };
    let head = format!(
        "From {zeros} Mon Sep 17 00:00:00 2001\nFrom: {from}\nDate: {date}\nSubject: [PATCH] {title}\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: {encoding}\n\n",
        zeros = "0".repeat(40),
        date = date(at),
        title = word(title),
    );
    [head.into_bytes(), body].concat()
}

fn date(at: Timestamp) -> String {
    rfc2822::DateTimePrinter::new().timestamp_to_string(&at).unwrap_or_default()
}

/// A text of the head: as it is where mail allows it, else in encoded words.
fn word(text: &str) -> String {
    let is_plain = text.chars().all(|c| c == ' ' || c.is_ascii_graphic() && !"\"(),:;<>@[\\]=".contains(c));
    if is_plain {
        return text.to_owned();
    }
    let mut words = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.floor_char_boundary(WORD_BYTES));
        let space = if words.is_empty() { "" } else { "\n " };
        // Writing to a string does not fail.
        let _ = write!(words, "{space}=?UTF-8?B?{}?=", BASE64.encode(now.as_bytes()));
        rest = later;
    }
    words
}

/// A line that would end the message, or begin another mail, is moved in by a space.
fn part_of_text(line: &str) -> String {
    let is_mark = ["---", "diff -", "Index: ", "From ", ">From "].iter().any(|mark| line.starts_with(mark));
    if is_mark { format!(" {line}") } else { line.to_owned() }
}

fn packed(body: &[u8]) -> Vec<u8> {
    body.chunks(LINE_BYTES).flat_map(|line| [BASE64.encode(line).as_str(), "\n"].concat().into_bytes()).collect()
}
