//! Which container images a task may name.

use std::fmt;
use std::str::FromStr;

/// An image as it is written, or all whose names begin alike: `python:3.*`. The star covers no further slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImagePattern {
    start: String,
    open: bool,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no image: write debian:bookworm-slim, or python:3.* with the star at the end")]
pub(crate) struct NotAnImagePattern(String);

impl ImagePattern {
    pub(crate) fn covers(&self, image: &str) -> bool {
        image.strip_prefix(&*self.start).is_some_and(|rest| rest.is_empty() || (self.open && !rest.contains('/')))
    }
}

impl FromStr for ImagePattern {
    type Err = NotAnImagePattern;

    fn from_str(text: &str) -> Result<Self, NotAnImagePattern> {
        let (start, open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        // A star alone would be more than it looks: it covers debian and evil alike.
        if start.is_empty() || start.contains(|c: char| c == '*' || c.is_whitespace()) {
            return Err(NotAnImagePattern(text.to_owned()));
        }
        Ok(Self { start: start.to_owned(), open })
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.start, if self.open { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r37_a_pattern_covers_what_it_says() {
        let covers = |pattern: &str, image: &str| pattern.parse::<ImagePattern>().unwrap().covers(image);
        assert!(
            covers("python:3.*", "python:3.12")
                && covers("debian", "debian")
                && covers("ghcr.io/us/*", "ghcr.io/us/a:1")
        );
        for (pattern, image) in
            [("python:3.*", "python:2.7"), ("debian", "debian:evil"), ("ghcr.io/us*", "ghcr.io/us-not/a"), ("a", "b/a")]
        {
            assert!(!covers(pattern, image), "{pattern} {image}");
        }
        for wrong in ["", "*", "a*b", "a b"] {
            assert!(wrong.parse::<ImagePattern>().is_err(), "{wrong}");
        }
    }
}
