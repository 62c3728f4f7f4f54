//! `POST /preferences`: the switches at the foot of every page.

use axum::{
    Form,
    http::{HeaderName, header::SET_COOKIE},
    response::{AppendHeaders, Redirect},
};
use serde::Deserialize;

use crate::web::{
    auth::local_path,
    cookies,
    error::WebError,
    language::{self, Language},
    preferences::{self, Theme},
};

#[derive(Debug, Deserialize)]
pub(in crate::web) struct PreferencesForm {
    theme: Option<String>,
    /// A tag, or `browser`.
    language: Option<String>,
    next: Option<String>,
}

pub(in crate::web) async fn post(
    Form(form): Form<PreferencesForm>,
) -> Result<(AppendHeaders<Vec<(HeaderName, String)>>, Redirect), WebError> {
    let mut cookies = Vec::new();
    if let Some(name) = &form.theme {
        let theme = Theme::named(name).ok_or_else(|| WebError::Malformed(format!("There is no theme {name:?}.")))?;
        cookies.push(cookie(preferences::COOKIE_NAME, (theme != Theme::System).then(|| theme.name())));
    }
    match form.language.as_deref() {
        None => {}
        Some("browser") => cookies.push(cookie(language::COOKIE_NAME, None)),
        Some(tag) => {
            let known = Language::of_tag(tag);
            let language = known.ok_or_else(|| WebError::Malformed(format!("There is no language {tag:?}.")))?;
            cookies.push(cookie(language::COOKIE_NAME, Some(language.tag())));
        }
    }
    Ok((AppendHeaders(cookies), Redirect::to(local_path(form.next.as_deref()))))
}

/// None takes the choice back.
fn cookie(name: &str, value: Option<&str>) -> (HeaderName, String) {
    let seconds = if value.is_some() { cookies::A_YEAR_S } else { 0 };
    (SET_COOKIE, cookies::set(name, value.unwrap_or_default(), "/", seconds))
}
