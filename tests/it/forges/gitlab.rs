//! GitLab: `GET` and `POST /api/v4/projects/{id}/merge_requests` of <https://docs.gitlab.com/api/merge_requests/>.

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
    // The path of the project is one part, with its slash escaped.
    let refused = |shared: &Shared, headers: &HeaderMap| refusal(shared, headers, "team/tool");
    Router::new()
        .route("/api/v4/projects/{id}/merge_requests", get(list).post(create))
        .with_state(shared.clone())
        .merge(issues::routes("/api/v4/projects/{id}/issues/{number}/notes", shared, refused))
}

fn refusal(shared: &Shared, headers: &HeaderMap, project: &str) -> Option<Response> {
    let refusal = shared.refusal(headers, "private-token", TOKEN);
    refusal.or_else(|| (project != "team/tool").then(|| answer(404, &json!({ "message": "404 Project Not Found" }))))
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    if let Some(refusal) = refusal(&shared, &headers, &project) {
        return refusal;
    }
    let state = query.get("state").map_or("all", String::as_str);
    let pulls = shared.pulls().clone();
    let wanted = pulls.iter().rev().filter(|pull| query.get("source_branch").is_none_or(|head| pull.head == *head));
    let wanted = wanted.filter(|pull| state == "all" || (state == "opened") == pull.is_open);
    answer(200, &wanted.map(|pull| shown(&shared, pull)).collect())
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refusal) = refusal(&shared, &headers, &project) {
        return refusal;
    }
    let required = ["title", "source_branch", "target_branch"];
    let body = match fields(&body, &required, &["description", "remove_source_branch", "squash"]) {
        Ok(body) => body,
        Err(error) => return answer(400, &json!({ "error": error })),
    };
    let (head, base) = (text(body, "source_branch"), text(body, "target_branch"));
    if !shared.has_branch(&head) || !shared.has_branch(&base) {
        return answer(409, &json!({ "message": ["Source branch does not exist"] }));
    }
    if shared.has_open(&head) {
        let message = "Another open merge request already exists for this source branch: !1";
        return answer(409, &json!({ "message": [message] }));
    }
    let given = text(body, "title");
    let (draft, title) = match given.strip_prefix("Draft: ") {
        Some(title) => (true, title.to_owned()),
        None => (false, given),
    };
    let body = text(body, "description");
    let pull = shared.make(Pull { number: 0, head, base, title, body, draft, is_open: true }).await;
    answer(201, &shown(&shared, &pull))
}

fn shown(shared: &Shared, pull: &Pull) -> Value {
    json!({
        "id": 1000 + pull.number,
        "iid": pull.number,
        "project_id": 7,
        "state": if pull.is_open { "opened" } else { "closed" },
        "web_url": format!("https://gitlab.example.org/team/tool/-/merge_requests/{}", pull.number),
        "title": pull.title,
        "description": pull.body,
        "draft": pull.draft,
        "source_branch": pull.head,
        "target_branch": pull.base,
        "sha": shared.tip(&pull.head),
    })
}
