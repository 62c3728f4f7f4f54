//! How a reader wants to see the pages: light or dark. Kept in a cookie, so that it holds without a login and nothing flashes.

use axum::{
    extract::Request,
    http::{HeaderMap, Method},
    middleware::Next,
    response::Response,
};

use super::cookies;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// What the system of the reader says.
    #[default]
    System,
    Light,
    Dark,
}

pub(super) const COOKIE_NAME: &str = "atelier_theme";

impl Theme {
    pub(super) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::System => tr!("System"),
            Self::Light => tr!("Light"),
            Self::Dark => tr!("Dark"),
        }
    }

    /// As CSS names what a page can be.
    pub(super) fn schemes(self) -> &'static str {
        match self {
            Self::System => "light dark",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }

    fn chosen(headers: &HeaderMap) -> Option<Self> {
        cookies::values(headers, COOKIE_NAME).find_map(Self::named)
    }
}

#[derive(Clone)]
struct Frame {
    theme: Theme,
    here: String,
}

tokio::task_local! {
    static FRAME: Frame;
}

/// Gives every request its theme.
pub(super) async fn provide(request: Request, next: Next) -> Response {
    let theme = Theme::chosen(request.headers()).unwrap_or_default();
    // Only what was read can be gone back to.
    let path = request.uri().path_and_query().filter(|_| *request.method() == Method::GET);
    let here = path.map_or("/", |path| path.as_str()).to_owned();
    FRAME.scope(Frame { theme, here }, next.run(request)).await
}

/// For the frame of the pages.
pub(super) fn theme() -> Theme {
    FRAME.try_with(|frame| frame.theme).unwrap_or_default()
}

/// The path of the page that is drawn.
pub(super) fn here() -> String {
    FRAME.try_with(|frame| frame.here.clone()).unwrap_or_else(|_| "/".to_owned())
}
