//! The stylesheet, the scripts and the icon: part of the executable, under addresses that change with their content.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::error::WebError;

struct Asset {
    url: String,
    content_type: &'static str,
    content: &'static [u8],
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset("style", "css", "text/css; charset=utf-8", include_bytes!("../../static/style.css")));
static FAVICON: LazyLock<Asset> =
    LazyLock::new(|| asset("favicon", "svg", "image/svg+xml", include_bytes!("../../static/favicon.svg")));
static PAGE_SCRIPT: LazyLock<Asset> = LazyLock::new(|| script("page", include_bytes!("../../static/page.js")));
static TASK_SCRIPT: LazyLock<Asset> = LazyLock::new(|| script("task", include_bytes!("../../static/task.js")));
static LOG_SCRIPT: LazyLock<Asset> = LazyLock::new(|| script("log", include_bytes!("../../static/log.js")));
static DIFF_SCRIPT: LazyLock<Asset> = LazyLock::new(|| script("diff", include_bytes!("../../static/diff.js")));
static KEYS_SCRIPT: LazyLock<Asset> = LazyLock::new(|| script("keys", include_bytes!("../../static/keys.js")));
static NEW_SCRIPT: LazyLock<Asset> = LazyLock::new(|| script("new", include_bytes!("../../static/new.js")));

pub(super) fn style() -> &'static str {
    &STYLE.url
}

pub(super) fn favicon() -> &'static str {
    &FAVICON.url
}

/// Ticking times and the live list: on every page.
pub(super) fn page_script() -> &'static str {
    &PAGE_SCRIPT.url
}

/// What keys do: on every page.
pub(super) fn keys_script() -> &'static str {
    &KEYS_SCRIPT.url
}

/// The live page of a task.
pub(super) fn task_script() -> &'static str {
    &TASK_SCRIPT.url
}

/// The page of a log.
pub(super) fn log_script() -> &'static str {
    &LOG_SCRIPT.url
}

/// The page of a patch.
pub(super) fn diff_script() -> &'static str {
    &DIFF_SCRIPT.url
}

/// The form of a new task.
pub(super) fn new_script() -> &'static str {
    &NEW_SCRIPT.url
}

pub(super) async fn get(Path(name): Path<String>) -> Result<Response, WebError> {
    let assets =
        [&*STYLE, &*FAVICON, &*PAGE_SCRIPT, &*KEYS_SCRIPT, &*TASK_SCRIPT, &*DIFF_SCRIPT, &*NEW_SCRIPT, &*LOG_SCRIPT];
    let asset = assets.into_iter().find(|asset| asset.url.strip_prefix("/static/") == Some(&*name));
    let asset = asset.ok_or(WebError::NotFound)?;
    let caching = "public, max-age=31536000, immutable";
    Ok(([(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, caching)], asset.content).into_response())
}

pub(super) async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /\n"
}

fn script(name: &str, content: &'static [u8]) -> Asset {
    asset(name, "js", "text/javascript; charset=utf-8", content)
}

fn asset(name: &str, extension: &str, content_type: &'static str, content: &'static [u8]) -> Asset {
    let hash: String = HEXLOWER.encode(&Sha256::digest(content)).chars().take(16).collect();
    Asset { url: format!("/static/{name}.{hash}.{extension}"), content_type, content }
}
