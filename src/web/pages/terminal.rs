//! The output of programs as text: colours become classes, whatever else was meant for a terminal to act on is taken away.

/// Characters of a line that look the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Run {
    /// Classes of the stylesheet; empty for plain text.
    pub(super) class: String,
    pub(super) text: String,
}

/// Reads lines one after the other; a colour holds until it is taken back.
#[derive(Debug, Default)]
pub(super) struct Painter {
    look: Look,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Look {
    /// One of the eight; bright ones are the same, their contrast is ours to choose.
    colour: Option<u8>,
    /// A bit each, as in `MARKS`.
    marks: u8,
}

/// What SGR sets, what takes it back, and our class for it.
const MARKS: [(u16, u16, &str); 4] =
    [(1, 22, "sgr-bold"), (2, 22, "sgr-dim"), (3, 23, "sgr-italic"), (4, 24, "sgr-line")];

/// Drops escape sequences (colours, cursor moves, titles, links); a line that was overwritten by carriage returns
/// keeps its last state.
pub(super) fn plain(output: &str) -> String {
    let mut painter = Painter::default();
    let lines = output.split('\n').map(|line| painter.line(line).into_iter().map(|run| run.text).collect::<String>());
    lines.collect::<Vec<_>>().join("\n")
}

impl Painter {
    /// One line, without its end. A sequence that is not finished ends with it, so that it cannot hide what follows.
    pub(super) fn line(&mut self, line: &str) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut characters = line.trim_end_matches('\r').chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '\x1b' => self.sequence(&mut characters),
                '\r' => runs.clear(),
                c => {
                    let class = self.look.class();
                    match runs.last_mut().filter(|run| run.class == class) {
                        Some(run) => run.text.push(c),
                        None => runs.push(Run { class, text: c.to_string() }),
                    }
                }
            }
        }
        runs
    }

    /// ECMA-48: what follows ESC says how the sequence ends.
    fn sequence(&mut self, characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        match characters.next() {
            Some('[') => {
                let mut parameters = String::new();
                for c in characters.by_ref() {
                    match c {
                        'm' => return self.look.apply(&parameters),
                        '@'..='~' => return,
                        c => parameters.push(c),
                    }
                }
            }
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
}

impl Look {
    fn class(self) -> String {
        let colour = self.colour.map(|colour| format!("sgr-{colour}"));
        let marks = MARKS.iter().enumerate().filter(|(bit, _)| self.marks & (1 << bit) != 0);
        let names: Vec<String> = colour.into_iter().chain(marks.map(|(_, (_, _, name))| (*name).to_owned())).collect();
        names.join(" ")
    }

    /// The parameters of SGR (ECMA-48 8.3.117); what is not known changes nothing.
    fn apply(&mut self, parameters: &str) {
        let mut numbers = parameters.split([';', ':']).map(|number| match number {
            "" => Some(0),
            number => number.parse::<u16>().ok(),
        });
        while let Some(number) = numbers.next() {
            match number {
                Some(0) => *self = Self::default(),
                Some(39) => self.colour = None,
                Some(number @ (30..=37 | 90..=97)) => self.colour = u8::try_from(number % 10).ok(),
                // A colour of the palette or any colour; the next number says which.
                Some(38 | 48) => match numbers.next().flatten() {
                    Some(5) => {
                        let index = numbers.next().flatten();
                        if number == Some(38) {
                            self.colour =
                                index.filter(|index| *index < 16).and_then(|index| u8::try_from(index % 8).ok());
                        }
                    }
                    Some(2) => drop(numbers.nth(2)),
                    _ => return,
                },
                Some(number) => {
                    for (bit, (set, back, _)) in MARKS.iter().enumerate() {
                        if number == *set {
                            self.marks |= 1 << bit;
                        } else if number == *back {
                            self.marks &= !(1 << bit);
                        }
                    }
                }
                None => {}
            }
        }
    }
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
        assert_eq!(plain("\x1b]0;title without an end\nstill here"), "\nstill here");
    }

    #[test]
    fn r51_colours_become_classes_and_nothing_else() {
        let mut painter = Painter::default();
        let mut shown = |line: &str| {
            let runs = painter.line(line);
            runs.into_iter().map(|run| format!("{}|{}", run.class, run.text)).collect::<Vec<_>>()
        };
        assert_eq!(shown("\x1b[1;31merror\x1b[0m: no"), ["sgr-1 sgr-bold|error", "|: no"]);
        assert_eq!(shown("\x1b[92mgreen"), ["sgr-2|green"]);
        assert_eq!(shown("still \x1b[39mnot"), ["sgr-2|still ", "|not"], "a colour holds beyond its line");
        assert_eq!(shown("\x1b[38;5;4;4mblue\x1b[24;38;5;200many\x1b[m"), ["sgr-4 sgr-line|blue", "|any"]);
        assert_eq!(shown("\x1b[38;2;1;31;4mtrue\x1b[48;5;1mback\x1b[0m"), ["|trueback"]);
        assert_eq!(shown("\x1b[2J\x1b[H\x1b[999;;mx"), ["|x"]);
        assert_eq!(shown("\x1b[31mhidden\rseen"), ["sgr-1|seen"]);
    }
}
