//! What goes compressed over the wire, and what must not.

use std::io::Read;

use axum::{
    body::{Body, to_bytes},
    http::{Method, header},
};
use flate2::read::GzDecoder;
use tower::ServiceExt;

use super::{Site, site::request};
use crate::web::assets;

/// The encoding of the answer, and its text.
async fn ask(site: &Site, request: axum::http::request::Builder, body: &'static str) -> (String, String) {
    let request = request.header(header::ACCEPT_ENCODING, "gzip, deflate, br, zstd").body(Body::from(body)).unwrap();
    let answer = site.router.clone().oneshot(request).await.unwrap();
    let encoding = answer.headers().get(header::CONTENT_ENCODING).map_or("", |encoding| encoding.to_str().unwrap());
    let encoding = encoding.to_owned();
    if answer.headers()[header::CONTENT_TYPE] == "text/event-stream" {
        return (encoding, String::new());
    }
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let mut text = String::new();
    match &*encoding {
        "gzip" => GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap(),
        _ => (&bytes[..]).read_to_string(&mut text).unwrap(),
    };
    (encoding, text)
}

#[tokio::test]
async fn pages_and_what_belongs_to_them_are_compressed_and_streams_are_not() {
    let site = Site::new().await;
    let html = |path: &str| request(Method::GET, path).header(header::ACCEPT, "text/html");
    let (encoding, text) = ask(&site, html("/new"), "").await;
    assert_eq!(encoding, "gzip");
    assert_eq!(text, site.send(html("/new").body(Body::empty()).unwrap()).await.body);
    for path in [assets::style(), assets::page_script(), "/api/openapi.json"] {
        assert_eq!(ask(&site, request(Method::GET, path), "").await.0, "gzip", "{path}");
    }
    for path in ["/live", "/healthz"] {
        assert_eq!(ask(&site, request(Method::GET, path), "").await.0, "", "{path}");
    }
}

#[tokio::test]
async fn r53_no_length_tells_another_site_what_a_page_holds() {
    let site = Site::new().await;
    let html = |method, path: &str| request(method, path).header(header::ACCEPT, "text/html");
    for (from, encoding) in [("same-origin", "gzip"), ("none", "gzip"), ("cross-site", ""), ("same-site", "")] {
        let asked = html(Method::GET, "/?find=guess").header("sec-fetch-site", from);
        assert_eq!(ask(&site, asked, "").await.0, encoding, "{from}");
    }
    // The answer to a form may show a secret once: here, a new token.
    let form = html(Method::POST, "/account/tokens").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let (encoding, text) = ask(&site, form, "name=laptop").await;
    assert_eq!(encoding, "");
    assert!(text.contains("laptop") && text.contains("<!doctype html>"), "{text}");
}
