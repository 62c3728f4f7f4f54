//! One column or two: what the address asks for, else what the reader chose last.

use axum::http::{HeaderMap, HeaderName, header::SET_COOKIE};

use crate::web::cookies;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Unified,
    Split,
}

const COOKIE_NAME: &str = "atelier_diff";

impl Layout {
    pub(super) fn of(asked: Option<&str>, headers: &HeaderMap) -> Self {
        let chosen = || cookies::values(headers, COOKIE_NAME).find_map(Self::named);
        asked.and_then(Self::named).or_else(chosen).unwrap_or(Self::Unified)
    }

    pub(super) fn is_split(self) -> bool {
        self == Self::Split
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unified => "unified",
            Self::Split => "split",
        }
    }

    /// Keeps a choice that was just made.
    pub(super) fn remembered(self, asked: Option<&str>) -> Option<[(HeaderName, String); 1]> {
        let cookie = || cookies::set(COOKIE_NAME, self.name(), "/", cookies::A_YEAR_S);
        asked.and_then(Self::named).map(|_| [(SET_COOKIE, cookie())])
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Unified, Self::Split].into_iter().find(|layout| layout.name() == name)
    }
}
