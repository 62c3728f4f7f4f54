//! The output of programs as plain text: what they wrote for a terminal to act on is taken away.

/// Drops escape sequences (colours, cursor moves, titles, links); a line that was overwritten by carriage returns
/// keeps its last state.
pub(super) fn plain(output: &str) -> String {
    let text = without_sequences(output);
    let lines = text.split('\n').map(|line| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn without_sequences(output: &str) -> String {
    let mut text = String::with_capacity(output.len());
    let mut characters = output.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '\x1b' {
            text.push(c);
            continue;
        }
        // ECMA-48: what follows ESC says how the sequence ends.
        match characters.next() {
            Some('[') => drop(characters.find(|c| matches!(c, '@'..='~'))),
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while let Some(c) = characters.next() {
                    if c == '\x07' || (c == '\x1b' && characters.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            Some(' '..='/') => drop(characters.find(|c| !matches!(c, ' '..='/'))),
            Some(_) | None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_for_a_terminal_is_gone() {
        assert_eq!(plain("\x1b[1;31merror\x1b[0m: no"), "error: no");
        assert_eq!(plain("\x1b]8;;http://evil\x07link\x1b]8;;\x1b\\ end\x1b(B"), "link end");
        assert_eq!(plain(" 10%\r 50%\r100%\r\ndone\r\n"), "100%\ndone\n");
        assert_eq!(plain("cut \x1b["), "cut ");
    }
}
