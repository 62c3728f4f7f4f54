//! GitHub Enterprise: `GET` and `POST /api/v3/repos/{owner}/{repo}/pulls` of
//! <https://github.com/github/rest-api-description>.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use serde_json::{Value, json};

use super::{Pull, Shared, TOKEN, answer, fields, issues, text};

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v3/repos/team/tool/pulls", get(list).post(create))
        .with_state(shared.clone())
        .merge(issues::routes("/api/v3/repos/team/tool/issues/{number}/comments", shared, refusal))
}

fn refusal(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    assert!(headers.contains_key("user-agent"), "GitHub answers nobody without one");
    shared.refusal(headers, "authorization", &format!("Bearer {TOKEN}"))
}

async fn list(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    if let Some(refusal) = refusal(&shared, &headers) {
        return refusal;
    }
    let state = query.get("state").map_or("open", String::as_str);
    // Without an owner the filter is ignored, as GitHub does it.
    let head = query.get("head").and_then(|head| head.strip_prefix("team:"));
    let pulls = shared.pulls().clone();
    let wanted = pulls.iter().rev().filter(|pull| head.is_none_or(|head| pull.head == head));
    let wanted = wanted.filter(|pull| state == "all" || (state == "open") == pull.is_open);
    answer(200, &wanted.map(|pull| shown(&shared, pull)).collect())
}

async fn create(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(refusal) = refusal(&shared, &headers) {
        return refusal;
    }
    let body = match fields(&body, &["title", "head", "base"], &["body", "draft", "maintainer_can_modify"]) {
        Ok(body) => body,
        Err(error) => return invalid(&json!({ "resource": "PullRequest", "code": "custom", "message": error })),
    };
    let (head, base) = (text(body, "head"), text(body, "base"));
    for (field, name) in [("head", &head), ("base", &base)] {
        if !shared.has_branch(name) {
            return invalid(&json!({ "resource": "PullRequest", "field": field, "code": "invalid" }));
        }
    }
    if shared.has_open(&head) {
        let message = format!("A pull request already exists for team:{head}.");
        return invalid(&json!({ "resource": "PullRequest", "code": "custom", "message": message }));
    }
    let draft = body["draft"].as_bool().unwrap_or(false);
    if draft && shared.refuses_drafts.load(Ordering::Relaxed) {
        return answer(422, &json!({ "message": "Draft pull requests are not supported in this repository." }));
    }
    let (title, body) = (text(body, "title"), text(body, "body"));
    let pull = shared.make(Pull { number: 0, head, base, title, body, draft, is_open: true }).await;
    answer(201, &shown(&shared, &pull))
}

fn invalid(error: &Value) -> Response {
    answer(
        422,
        &json!({ "message": "Validation Failed", "errors": [error], "documentation_url": "https://docs.github.com/rest" }),
    )
}

fn shown(shared: &Shared, pull: &Pull) -> Value {
    let end = |name: &str| json!({ "label": format!("team:{name}"), "ref": name, "sha": shared.tip(name) });
    json!({
        "id": 1000 + pull.number,
        "number": pull.number,
        "state": if pull.is_open { "open" } else { "closed" },
        "html_url": format!("https://github.example.org/team/tool/pull/{}", pull.number),
        "title": pull.title,
        "body": pull.body,
        "draft": pull.draft,
        "head": end(&pull.head),
        "base": end(&pull.base),
        "merged_at": null,
    })
}
