//! The words of the pages in the reader's language: English stands in the code and is the key, Chinese in one table.
//!
//! `tr!("Start task")` and `tr!("{count} of {total}", count = 1, total = 2)` in code and templates, `tr_count!` where the
//! number decides between two English texts, `tr("…")` in our scripts. `tests.rs` holds them and the table together.

mod accept;
mod chinese;
mod stored;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt::Display, future::Future, sync::LazyLock};

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderValue,
        header::{ACCEPT_LANGUAGE, VARY},
    },
    middleware::Next,
    response::Response,
};

use super::{cookies, pages::figures};

pub(super) use stored::stored;

/// A text in the reader's language; with values, the places in braces are filled.
macro_rules! tr {
    ($text:literal) => {
        $crate::web::language::translated($text)
    };
    ($text:literal, $($name:ident = $value:expr),+ $(,)?) => {
        $crate::web::language::filled($text, &[$((stringify!($name), &$value as &dyn std::fmt::Display)),+])
    };
}

/// One of two texts by a number, which fills `{n}`.
macro_rules! tr_count {
    ($count:expr, $one:literal, $many:literal) => {
        $crate::web::language::counted($count, $one, $many)
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

/// What the reader chose on a page; without it the browser's languages count.
pub(super) const COOKIE_NAME: &str = "atelier_language";

tokio::task_local! {
    static LANGUAGE: Language;
}

static CHINESE: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| chinese::TEXTS.iter().chain(chinese::WORDS).copied().collect());

impl Language {
    pub(super) const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// As HTML and HTTP name it.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// Work that outlives the request, such as a live stream, takes its language along.
    pub(super) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        LANGUAGE.scope(self, work).await
    }
}

/// For texts that programs read.
pub(super) fn in_english<T>(say: impl FnOnce() -> T) -> T {
    LANGUAGE.sync_scope(Language::English, say)
}

/// The language of the request at hand.
pub(super) fn current() -> Language {
    LANGUAGE.try_with(|language| *language).unwrap_or(Language::English)
}

/// What the reader chose, if they did.
fn chosen(headers: &HeaderMap) -> Option<Language> {
    cookies::values(headers, COOKIE_NAME).find_map(Language::of_tag)
}

/// Gives every request its language.
pub(super) async fn provide(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let accepted = || headers.get(ACCEPT_LANGUAGE).and_then(|header| header.to_str().ok()).and_then(accept::preferred);
    let language = chosen(headers).or_else(accepted).unwrap_or(Language::English);
    let mut response = language.during(next.run(request)).await;
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-language, cookie"));
    response
}

/// The texts of our scripts in the language at hand, as the frame of the pages hands them over; none in English.
pub(super) fn script_texts() -> Option<&'static str> {
    static CHINESE_SCRIPTS: LazyLock<String> = LazyLock::new(|| {
        let texts: serde_json::Map<String, serde_json::Value> =
            chinese::SCRIPTS.iter().map(|(english, chinese)| ((*english).to_owned(), (*chinese).into())).collect();
        serde_json::Value::Object(texts).to_string()
    });
    match current() {
        Language::English => None,
        Language::Chinese => Some(&CHINESE_SCRIPTS),
    }
}

pub(super) fn translated(text: &'static str) -> &'static str {
    match current() {
        Language::English => text,
        Language::Chinese => CHINESE.get(text).copied().unwrap_or(text),
    }
}

/// For words that come from elsewhere, such as the name of a status: those the table knows as `WORDS`.
pub(super) fn word(word: &str) -> &str {
    match current() {
        Language::English => word,
        Language::Chinese => CHINESE.get(word).copied().unwrap_or(word),
    }
}

pub(super) fn filled(text: &'static str, values: &[(&str, &dyn Display)]) -> String {
    let mut rest = translated(text);
    let mut filled = String::with_capacity(rest.len() + 16 * values.len());
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
    {
        filled.push_str(before);
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            filled.push_str(&value.to_string());
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

pub(super) fn counted(count: impl TryInto<u64>, one: &'static str, many: &'static str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    filled(if count == 1 { one } else { many }, &[("n", &figures::count(count))])
}
