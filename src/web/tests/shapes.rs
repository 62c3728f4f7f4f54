//! Every page and every JSON shape as a snapshot: a change of what people or programs get is seen before it ships.

use axum::{
    body::Body,
    http::{Method, header},
};
use serde_json::json;

use super::{Site, site::anonymous, site::request};
use crate::{
    db::{Ending, Record},
    domain::{
        conversation::ToolCall,
        event::EventBody,
        failure::{Failure, FailureKind},
        patch::DiffSummary,
        task::Stage,
        task_id::TaskId,
        usage::Usage,
    },
};

const PATCH: &str = "diff --git a/greeting.txt b/greeting.txt\nindex 0000000000000000000000000000000000000001..\
    0000000000000000000000000000000000000002 100644\n--- a/greeting.txt\n+++ b/greeting.txt\n@@ -1 +1 @@\n-Helo\n+Hello\n";

/// What differs from run to run.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    for (pattern, name) in [
        (r"\d{8}_[a-z2-7]{12}", "[id]"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[time]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[time]"),
        (r"\b\d\d:\d\d:\d\d\b", "[clock]"),
        (r#"data-since="\d+""#, r#"data-since="[ms]""#),
        (r">[\d.]+ m?s<", ">[n] s<"),
        (r"\.[0-9a-f]{16}\.", ".[hash]."),
        (r#"name="key" value="[0-9a-f]+""#, r#"name="key" value="[key]""#),
    ] {
        settings.add_filter(pattern, name);
    }
    settings
}

async fn submitted(site: &Site, task: &str) -> TaskId {
    let body = json!({"source": {"git_url": "https://example.org/team/tool.git", "git_ref": "main"}, "task": task});
    let answer = site.post_json("/api/tasks", &body.to_string()).await;
    answer.json()["id"].as_str().unwrap().parse().unwrap()
}

/// A task on its way, as far as one answer of the model and one tool call.
async fn running(site: &Site) -> TaskId {
    let id = submitted(site, "Mend the greeting.\nIt is misspelt.").await;
    let db = &site.state.db;
    db.claim_next(Vec::new()).await.unwrap();
    for stage in [Stage::Fetch, Stage::Setup, Stage::Agent] {
        db.enter_stage(&id, stage).await.unwrap();
    }
    let arguments = json!({"command": "cat greeting.txt"});
    let call = ToolCall { id: "call_1".to_owned(), name: "run_command".to_owned(), arguments: arguments.clone() };
    let usage = Usage { input_tokens: 1200, cached_tokens: 200, output_tokens: 34, cost_usd: Some(0.0123) };
    let result = json!({"status": "success", "returncode": 0, "stdout": "Helo\n", "stderr": ""});
    let events = vec![
        EventBody::SetupEnded { exit_code: 0, duration_ms: 1234 },
        EventBody::Note { message: "Network cut; interfaces left: lo.".to_owned() },
        EventBody::AgentsFile { path: "AGENTS.md".to_owned(), bytes: 439, cut_bytes: 0 },
        EventBody::ModelAsked { step: 1 },
        EventBody::ModelReplied {
            step: 1,
            text: "I look at it.".to_owned(),
            tool_calls: vec![call],
            usage,
            duration_ms: 900,
        },
        EventBody::ToolCalled { step: 1, call: 1, name: "run_command".to_owned(), arguments },
        EventBody::ToolReturned {
            step: 1,
            call: 1,
            name: "run_command".to_owned(),
            result: result.as_object().unwrap().clone(),
            duration_ms: 12,
        },
        EventBody::Warning { message: "The model is busy. Asking again in 7 s.".to_owned() },
    ];
    db.record(&id, Record { events, usage, steps: 1, ..Record::default() }).await.unwrap();
    id
}

async fn completed(site: &Site) -> TaskId {
    let id = running(site).await;
    let logs = site.state.data_dir.task_logs(&id);
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::write(logs.join("diff.patch"), PATCH).unwrap();
    std::fs::write(logs.join("setup.log"), "Collecting pytest\n").unwrap();
    let db = &site.state.db;
    db.enter_stage(&id, Stage::Collect).await.unwrap();
    let diff = DiffSummary { files: 1, insertions: 1, deletions: 1 };
    db.set_result(&id, Some("The greeting was misspelt.".to_owned()), Some(diff)).await.unwrap();
    db.enter_stage(&id, Stage::CleanUp).await.unwrap();
    db.end_task(&id, Ending::Completed).await.unwrap();
    id
}

async fn failed(site: &Site) -> TaskId {
    let id = running(site).await;
    let message = "The model used all 100 steps without finishing.";
    let failure = Failure::new(FailureKind::BudgetExceeded, message);
    site.state.db.end_task(&id, Ending::Failed(failure)).await.unwrap();
    id
}

async fn page(site: &Site, path: &str) -> String {
    site.send(request(Method::GET, path).header(header::ACCEPT, "text/html").body(Body::empty()).unwrap()).await.body
}

#[tokio::test]
async fn pages() {
    let site = Site::new().await;
    let (completed, failed, running) = (completed(&site).await, failed(&site).await, running(&site).await);
    let queued = submitted(&site, "Wait.").await;
    let _bound = settings().bind_to_scope();
    insta::assert_snapshot!("list", page(&site, "/").await);
    insta::assert_snapshot!("new", page(&site, "/new").await);
    insta::assert_snapshot!("task_completed", page(&site, &format!("/tasks/{completed}")).await);
    insta::assert_snapshot!("task_failed", page(&site, &format!("/tasks/{failed}")).await);
    insta::assert_snapshot!("task_running", page(&site, &format!("/tasks/{running}")).await);
    insta::assert_snapshot!("task_queued", page(&site, &format!("/tasks/{queued}")).await);
    insta::assert_snapshot!("diff", page(&site, &format!("/tasks/{completed}/diff")).await);
    insta::assert_snapshot!("not_found", page(&site, "/no/such/page").await);
    let login = anonymous(Method::GET, "/login").header(header::ACCEPT, "text/html").body(Body::empty()).unwrap();
    insta::assert_snapshot!("login", site.send(login).await.body);
}

#[tokio::test]
async fn json() {
    let site = Site::new().await;
    let (completed, failed) = (completed(&site).await, failed(&site).await);
    let _bound = settings().bind_to_scope();
    insta::assert_json_snapshot!("api_task_completed", site.get(&format!("/api/tasks/{completed}")).await.json());
    insta::assert_json_snapshot!("api_task_failed", site.get(&format!("/api/tasks/{failed}")).await.json());
    insta::assert_json_snapshot!("api_tasks", site.get("/api/tasks").await.json());
    insta::assert_snapshot!("api_events", site.get(&format!("/api/tasks/{completed}/events")).await.body);
    insta::assert_json_snapshot!("api_problem", site.post_json("/api/tasks", "{}").await.json());
    insta::assert_json_snapshot!("readyz", site.get("/readyz").await.json());
    insta::assert_json_snapshot!("openapi", site.get("/api/openapi.json").await.json());
}
