//! Pages, scripts and JSON go compressed to who takes that. Event streams and files of tasks go as they are: a stream is not
//! to wait for more, and a file keeps its length and its ranges.
//!
//! Who sees how long a compressed answer is, and makes a browser ask for text of their choice, can learn what else is in it
//! (BREACH). So nothing is compressed that another site asked for, and no answer to a form: only those show secrets.

use axum::{
    extract::Request,
    http::{
        Extensions, HeaderMap, Method, StatusCode, Version,
        header::{ACCEPT_ENCODING, CONTENT_TYPE},
    },
    middleware::Next,
    response::Response,
};
use tower_http::compression::{
    CompressionLayer, Predicate,
    predicate::{And, SizeAbove},
};

type IsWorthIt = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

const COMPRESSED: [&str; 5] = ["text/html", "application/json", "text/css", "text/javascript", "image/svg+xml"];
/// What fits into one packet does not arrive earlier when it is shorter.
const MIN_BYTES: u64 = 1024;

pub(super) fn layer() -> CompressionLayer<And<SizeAbove, IsWorthIt>> {
    let is_worth_it: IsWorthIt = |_, _, headers, _| {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        COMPRESSED.contains(&content_type.split(';').next().unwrap_or_default().trim())
    };
    CompressionLayer::new().compress_when(SizeAbove::new(MIN_BYTES).and(is_worth_it))
}

/// Around the layer: what must not be compressed gets there as if nobody took it.
pub(super) async fn judge(mut request: Request, next: Next) -> Response {
    if *request.method() != Method::GET || is_from_elsewhere(request.headers()) {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    next.run(request).await
}

/// A browser says so wherever the connection is secret to others, and only there is anything to be learned from a length.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none")
}
