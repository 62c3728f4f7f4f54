//! The export as a stream, and what it leaves out.

use axum::{
    body::{Body, HttpBody},
    http::Method,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Site, site::request};
use crate::{
    db::{Ending, Record},
    domain::{conversation::Message, event::EventBody, task_id::TaskId},
};

const ALL: &str = "/api/export/finetuning.jsonl?rating=any";

/// A task that completed after this conversation.
async fn completed(site: &Site, conversation: Value, events: Vec<EventBody>) -> TaskId {
    let body = json!({"source": {"git_url": "https://example.org/team/tool"}, "task": "Fix it"});
    let answer = site.post_json("/api/tasks", &body.to_string()).await;
    let id: TaskId = answer.json()["id"].as_str().unwrap().parse().unwrap();
    let db = &site.state.db;
    db.claim_next(Vec::new()).await.unwrap();
    let messages: Vec<Message> = serde_json::from_value(conversation).unwrap();
    db.record(&id, Record { messages, events, ..Record::default() }).await.unwrap();
    let tools = json!([{"name": "ls", "description": "Lists.", "parameters": {"type": "object"}}]);
    db.keep_offered_tools(&id, tools).await.unwrap();
    db.end_task(&id, Ending::Completed).await.unwrap();
    id
}

fn system() -> Value {
    json!({"role": "system", "text": "Be good."})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "text": text})
}

fn said(text: &str) -> Value {
    json!({"role": "assistant", "text": text})
}

fn called(id: &str) -> Value {
    json!({"role": "assistant", "text": "", "tool_calls": [{"id": id, "name": "ls", "arguments": {}}]})
}

fn result(id: &str) -> Value {
    json!({"role": "tool", "call_id": id, "name": "ls", "content": "status: success"})
}

async fn report(site: &Site) -> Value {
    site.get("/api/export/report?rating=any").await.json()
}

#[tokio::test]
async fn what_does_not_fit_the_format_is_left_out_with_the_reason() {
    let site = Site::new().await;
    let whole = json!([system(), user("Fix it"), called("1"), result("1"), said("Done.")]);
    completed(&site, whole, vec![]).await;
    let cases = [
        (json!([system(), user("Fix it"), called("1"), said("Done.")]), "result that is missing"),
        (json!([system(), user("Fix it"), result("1"), said("Done.")]), "result of no call"),
        (json!([system(), user("Fix it"), called("1"), result("1")]), "end with an answer"),
        (json!([system(), user("Fix it"), called(""), result(""), said("Done.")]), "without an id"),
        (json!([user("Fix it"), said("Done.")]), "begin with the instructions"),
        (json!([]), "begin with the instructions"),
        (json!([system(), user(&format!("-----END RSA {}", "PRIVATE KEY-----")), said("Done.")]), "private key"),
    ];
    for (conversation, _) in &cases {
        completed(&site, conversation.clone(), vec![]).await;
    }

    assert_eq!(site.get(ALL).await.body.lines().count(), 1);
    let report = report(&site).await;
    assert_eq!(report["exported"], 1);
    for ((_, expected), left_out) in cases.iter().zip(report["left_out"].as_array().unwrap()) {
        let reason = left_out["reason"].as_str().unwrap();
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    assert_eq!(report["left_out"].as_array().unwrap().len(), cases.len());
}

#[tokio::test]
async fn a_conversation_that_was_summed_up_is_exported_as_it_was_last_seen() {
    let site = Site::new().await;
    let summary = user("The conversation got too long: its older part is left out here. Notes.");
    let conversation = json!([
        system(),
        user("Fix it"),
        called("old"),
        result("old"),
        called("kept"),
        result("kept"),
        summary,
        called("new"),
        result("new"),
        said("Done.")
    ]);
    completed(&site, conversation, vec![EventBody::Compacted { before_tokens: 9, kept_messages: 2 }]).await;

    let line = site.get(ALL).await.json();

    let ids: Vec<&str> =
        line["messages"].as_array().unwrap().iter().filter_map(|message| message["tool_call_id"].as_str()).collect();
    assert_eq!(ids, ["kept", "new"]);
    assert!(line["messages"][2]["content"].as_str().unwrap().ends_with("Notes."));
}

/// One task at a time is in memory: each is a piece of the answer of its own, sent before the next one is read.
#[tokio::test]
async fn many_tasks_come_one_by_one() {
    const TASKS: usize = 100;
    let site = Site::new().await;
    for _ in 0..TASKS {
        completed(&site, json!([system(), user("Fix it"), said("Done.")]), vec![]).await;
    }
    let request = request(Method::GET, ALL).body(Body::empty()).unwrap();
    let mut body = site.router.clone().oneshot(request).await.unwrap().into_body();
    let mut pieces = 0;
    while let Some(piece) = std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await {
        let piece = piece.unwrap().into_data().unwrap();
        assert_eq!(String::from_utf8_lossy(&piece).lines().count(), 1);
        pieces += 1;
    }
    assert_eq!(pieces, TASKS);
}

#[tokio::test]
async fn a_play_leaves_out_answers_that_were_sent_back() {
    let site = Site::new().await;
    let conversation = json!([
        system(),
        user("Fix it"),
        called("1"),
        result("1"),
        said("Done?"),
        user("No."),
        called("2"),
        result("2"),
        said("Done.")
    ]);
    let id = completed(&site, conversation, vec![]).await;
    let script = site.get(&format!("/api/tasks/{id}/script")).await.json();
    let steps: Vec<(usize, &str)> = script["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["tool_calls"].as_array().unwrap().len(), step["text"].as_str().unwrap()))
        .collect();
    assert_eq!(steps, [(1, ""), (1, ""), (0, "Done.")]);

    let silent = completed(&site, json!([system(), user("Fix it")]), vec![]).await;
    assert_eq!(site.get(&format!("/api/tasks/{silent}/script")).await.status, 409);
}
