//! Comments on issues, which all three list and take in the same way, at addresses of their own.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};
use serde_json::{Value, json};

use super::{Shared, answer, fields, text};

type Refusal = fn(&Shared, &HeaderMap) -> Option<Response>;
type Site = (Arc<Shared>, Refusal);

/// `path` has a part `{number}`.
pub(super) fn routes(path: &str, shared: Arc<Shared>, refusal: Refusal) -> Router {
    Router::new().route(path, get(list).post(create)).with_state((shared, refusal))
}

async fn list(
    State((shared, refusal)): State<Site>,
    Path(parts): Path<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refusal(&shared, &headers) {
        return refusal;
    }
    let comments = shared.comments.lock().unwrap().clone();
    let of_issue = comments.iter().filter(|(issue, _)| issue.to_string() == parts["number"]);
    answer(200, &of_issue.map(|(_, body)| json!({ "id": 7, "body": body })).collect())
}

async fn create(
    State((shared, refusal)): State<Site>,
    Path(parts): Path<HashMap<String, String>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refusal) = refusal(&shared, &headers) {
        return refusal;
    }
    match fields(&body, &["body"], &[]) {
        Err(error) => answer(422, &json!({ "message": error })),
        Ok(body) => {
            shared.comments.lock().unwrap().push((parts["number"].parse().unwrap(), text(body, "body")));
            answer(201, &json!({ "id": 7, "body": body["body"] }))
        }
    }
}
