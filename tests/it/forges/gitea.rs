//! Gitea: `GET` and `POST /api/v1/repos/{owner}/{repo}/pulls` of its `/api/swagger`.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use serde_json::{Value, json};

use super::{Pull, Shared, TOKEN, answer, fields, issues, text};

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/repos/team/tool/pulls", get(list).post(create))
        .route("/api/v1/repos/team/tool/pulls/{base}/{*head}", get(of_branches))
        .with_state(shared.clone())
        .merge(issues::routes("/api/v1/repos/team/tool/issues/{number}/comments", shared, refusal))
}

/// The most that one page gives, whatever is asked for.
const PER_PAGE: usize = 2;

fn refusal(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    shared.refusal(headers, "authorization", &format!("token {TOKEN}"))
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
    let page: usize = query.get("page").map_or(1, |page| page.parse().unwrap());
    let pulls = shared.pulls().clone();
    // There is no filter for branches.
    let wanted = pulls.iter().rev().filter(|pull| state == "all" || (state == "open") == pull.is_open);
    let wanted = wanted.skip((page - 1) * PER_PAGE).take(PER_PAGE);
    answer(200, &wanted.map(|pull| shown(&shared, pull)).collect())
}

async fn of_branches(
    State(shared): State<Arc<Shared>>,
    Path((base, head)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refusal(&shared, &headers) {
        return refusal;
    }
    let pulls = shared.pulls().clone();
    match pulls.iter().find(|pull| pull.is_open && pull.base == base && pull.head == head) {
        Some(pull) => answer(200, &shown(&shared, pull)),
        None => answer(404, &json!({ "message": "The target couldn't be found." })),
    }
}

async fn create(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if let Some(refusal) = refusal(&shared, &headers) {
        return refusal;
    }
    let body = match fields(&body, &["title", "head", "base"], &["body", "assignees", "labels"]) {
        Ok(body) => body,
        Err(error) => return answer(422, &json!({ "message": error, "url": "https://gitea.example.org/api/swagger" })),
    };
    let (head, base) = (text(body, "head"), text(body, "base"));
    if !shared.has_branch(&head) || !shared.has_branch(&base) {
        return answer(404, &json!({ "message": "The target couldn't be found." }));
    }
    if shared.has_open(&head) {
        return answer(409, &json!({ "message": "pull request already exists for these targets" }));
    }
    let given = text(body, "title");
    let (draft, title) = match given.strip_prefix("WIP: ") {
        Some(title) => (true, title.to_owned()),
        None => (false, given),
    };
    let body = text(body, "body");
    let pull = shared.make(Pull { number: 0, head, base, title, body, draft, is_open: true }).await;
    answer(201, &shown(&shared, &pull))
}

fn shown(shared: &Shared, pull: &Pull) -> Value {
    let end = |name: &str| json!({ "label": name, "ref": name, "sha": shared.tip(name), "repo_id": 7 });
    json!({
        "id": 1000 + pull.number,
        "number": pull.number,
        "state": if pull.is_open { "open" } else { "closed" },
        "html_url": format!("https://gitea.example.org/team/tool/pulls/{}", pull.number),
        "title": if pull.draft { format!("WIP: {}", pull.title) } else { pull.title.clone() },
        "body": pull.body,
        "draft": pull.draft,
        "merged": false,
        "head": end(&pull.head),
        "base": end(&pull.base),
    })
}
