//! Who gets in, and what every answer carries.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};

use super::{
    Site,
    site::{TOKEN, anonymous, request},
};
use crate::web::router::{Access, table};

/// The form of a share link that nobody made.
const UNKNOWN_LINK: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

const HTML: &str = "text/html,application/xhtml+xml";

pub(super) fn example(path: &str) -> String {
    path.replace("{id}", "20261120_abcdefghijkl")
        .replace("{*name}", "diff.patch")
        .replace("{*path}", "src/main.rs")
        .replace("{n}", "1")
        .replace("{moment}", "after")
        .replace("{token}", UNKNOWN_LINK)
        .replace("{share_id}", "abcdefghijklmnop")
        .replace("{name}", "style.css")
}

/// Every route with every method it has, as the router itself tells.
pub(super) async fn routes(site: &Site) -> Vec<(Method, &'static str, Access)> {
    let mut routes = Vec::new();
    for route in table(&site.state.config) {
        let refused = site.send(request(Method::PATCH, &example(route.path)).body(Body::empty()).unwrap()).await;
        if matches!(route.access, Access::Share(_)) {
            // Who has no link does not even learn what could be done with one.
            assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", route.path);
            routes.push((Method::GET, route.path, route.access));
            continue;
        }
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{}", route.path);
        for method in refused.header(header::ALLOW).split(',') {
            routes.push((method.parse().unwrap(), route.path, route.access));
        }
    }
    assert!(routes.len() > table(&site.state.config).len());
    routes
}

#[tokio::test]
async fn r55_nothing_is_shown_or_done_without_a_login() {
    let site = Site::new().await;
    for (method, path, access) in routes(&site).await {
        let path = example(path);
        for accept in [HTML, "*/*"] {
            let asked = anonymous(method.clone(), &path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
            let answer = site.send(asked).await;
            let to_login = answer.header(header::LOCATION).starts_with("/login");
            let is_refused =
                answer.status == StatusCode::UNAUTHORIZED || (answer.status == StatusCode::SEE_OTHER && to_login);
            match access {
                Access::Token => assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}"),
                Access::Person | Access::Owner => assert!(is_refused, "{method} {path}: {}", answer.status),
                Access::Share(_) => assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}"),
                Access::Open => assert!(!to_login, "{method} {path}: {}", answer.status),
            }
        }
    }
    let answer = site.send(anonymous(Method::GET, "/no/such/page").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header(header::WWW_AUTHENTICATE).starts_with("Bearer"));
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json");
}

#[tokio::test]
async fn the_description_names_every_route_for_programs() {
    let site = Site::new().await;
    let is_for_programs = |path: &str| {
        ["/api/", "/logs/", "/s/{token}/logs/", "/healthz", "/readyz", "/metrics"]
            .iter()
            .any(|start| path.starts_with(start))
    };
    let served: BTreeSet<String> = routes(&site)
        .await
        .into_iter()
        .filter(|(method, path, _)| is_for_programs(path) && *method != Method::HEAD)
        .map(|(method, path, _)| format!("{method} {}", path.replace("{*name}", "{name}")))
        .collect();
    let description = site.get("/api/openapi.json").await.json();
    let paths = description["paths"].as_object().unwrap();
    let described: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_eq!(described, served);
}

#[tokio::test]
async fn r55_the_login_link_opens_a_session_and_the_logout_ends_it() {
    let site = Site::new().await;
    let link = format!("/login?token={TOKEN}&next=/new");
    let answer = site.send(anonymous(Method::GET, &link).body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/new"));
    let cookie = answer.header(header::SET_COOKIE).to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with_cookie = |method: Method, path: &str| {
        let asked = anonymous(method, path).header(header::COOKIE, &cookie).header(header::ACCEPT, HTML);
        asked.header("sec-fetch-site", "same-origin").body(Body::empty()).unwrap()
    };
    assert_eq!(site.send(with_cookie(Method::GET, "/new")).await.status, StatusCode::OK);
    assert_eq!(site.send(with_cookie(Method::POST, "/logout")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(site.send(with_cookie(Method::GET, "/new")).await.status, StatusCode::SEE_OTHER);

    let database = std::fs::read(site.state.data_dir.database()).unwrap();
    let value = cookie.split_once('=').unwrap().1.as_bytes();
    assert!(!database.windows(value.len()).any(|window| window == value));
}

#[tokio::test]
async fn r55_five_wrong_tokens_a_minute_are_enough() {
    let site = Site::new().await;
    let try_token = |token: &str| anonymous(Method::GET, &format!("/login?token={token}")).body(Body::empty()).unwrap();
    for _ in 0..5 {
        assert_eq!(site.send(try_token("wrong")).await.status, StatusCode::UNAUTHORIZED);
    }
    let answer = site.send(try_token(TOKEN)).await;
    assert_eq!((answer.status, answer.header(header::RETRY_AFTER)), (StatusCode::TOO_MANY_REQUESTS, "60"));
    let bearer = request(Method::GET, "/api/tasks").body(Body::empty()).unwrap();
    assert_eq!(site.send(bearer).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn r53_other_sites_are_refused() {
    let site = Site::new().await;
    let forged = |authorized: bool| {
        let request = if authorized { request(Method::POST, "/logout") } else { anonymous(Method::POST, "/logout") };
        let request = request.header("sec-fetch-site", "cross-site").header(header::ORIGIN, "https://evil.example");
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(site.send(forged(true)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(site.send(forged(false)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn r54_other_names_are_refused() {
    let site = Site::new().await;
    for route in table(&site.state.config) {
        let rebound = axum::http::Request::get(example(route.path)).header(header::HOST, "evil.example");
        let answer = site.send(rebound.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{}", route.path);
    }
}

#[tokio::test]
async fn every_answer_forbids_what_is_inline_or_elsewhere() {
    let site = Site::new().await;
    for path in ["/", "/login", "/new", "/no/such/page", "/api/tasks", "/static/none.css"] {
        let answer = site.get(path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(answer.header(header::REFERRER_POLICY), "no-referrer");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store", "{path}");
    }
    let asset = site.get(crate::web::assets::style()).await;
    assert!(asset.header(header::CACHE_CONTROL).contains("immutable"));
}
