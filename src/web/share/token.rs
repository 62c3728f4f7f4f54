//! The secret in a share link.

use crate::{
    db::SecretHash,
    web::auth::{self, Minted},
};

/// 256 random bits. Whoever has them has the share, so they are kept nowhere and printed nowhere.
pub(in crate::web) struct ShareToken(String);

const CHARACTERS: usize = 43;

impl ShareToken {
    pub(in crate::web) fn generate() -> Self {
        Self(Minted::new().secret)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == CHARACTERS
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        fits.then(|| Self(text.to_owned()))
    }

    /// What the database knows of it. It is looked up by this alone: how long that takes says nothing of how near a
    /// guess was.
    pub(in crate::web) fn hash(&self) -> SecretHash {
        auth::hash(&self.0)
    }

    /// The path that it opens.
    pub(in crate::web) fn path(&self) -> String {
        format!("{}{}", super::PREFIX, self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn r56_ten_thousand_links_are_long_and_all_different() {
        let tokens: HashSet<String> = (0..10_000).map(|_| ShareToken::generate().0).collect();
        assert_eq!(tokens.len(), 10_000);
        for token in &tokens {
            assert!(token.len() >= 22 && ShareToken::parse(token).is_some(), "{token}");
        }
        let first: HashSet<&str> = tokens.iter().map(|token| &token[..8]).collect();
        assert_eq!(first.len(), 10_000, "no part of them is the same for all");
        for bad in [
            "",
            "short",
            &"a".repeat(42),
            &"a".repeat(44),
            &format!("{}ä", "a".repeat(41)),
            &format!("{}/", "a".repeat(42)),
        ] {
            assert!(ShareToken::parse(bad).is_none(), "{bad}");
        }
    }
}
