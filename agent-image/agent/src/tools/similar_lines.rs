//! What a model probably meant when its text is not in the file.

use std::fmt::Write;

use super::text_file::lines;

/// Bounds for the comparison: it grows with the square of what it compares.
const MOST_LINES: usize = 5000;
const LONGEST_LINE: usize = 200;
const SHOWN: usize = 3;
const LEAST_SIMILAR: f32 = 0.6;

/// A sentence with the lines closest to the first telling line of `wanted`, or nothing when none comes near.
pub(super) fn describe(text: &str, wanted: &str) -> String {
    let Some(wanted) = wanted.lines().map(str::trim).filter(|line| line.len() > 1).max_by_key(|line| rank(line)) else {
        return String::new();
    };
    let wanted = cut(wanted);
    let lines: Vec<&str> = lines(text).into_iter().take(MOST_LINES).map(str::trim_end).collect();
    let trimmed: Vec<&str> = lines.iter().map(|line| cut(line.trim())).collect();
    let close = similar::get_close_matches(wanted, &trimmed, SHOWN, LEAST_SIMILAR);
    let mut message = String::new();
    for (number, line) in lines.iter().enumerate().filter(|(number, _)| close.contains(&trimmed[*number])).take(SHOWN) {
        // Writing into a string does not fail.
        let _ = write!(message, "\n{number}: {}", cut(line));
    }
    if message.is_empty() { message } else { format!(" Similar lines, as NUMBER: TEXT from line 0 on:{message}") }
}

/// Letters tell more than brackets and blanks.
fn rank(line: &str) -> usize {
    line.chars().filter(|character| character.is_alphanumeric()).count().min(40)
}

fn cut(line: &str) -> &str {
    line.char_indices().nth(LONGEST_LINE).map_or(line, |(end, _)| &line[..end])
}
