//! What is read: lists, events, artifacts, pages.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};

use super::{Site, site::request};
use crate::domain::{event::EventBody, patch::DiffSummary, task::Stage, task_id::TaskId};

const GIT: &str = r#"{"source": {"git_url": "https://example.org/team/tool"}, "task": "Fix it"}"#;

async fn submitted(site: &Site) -> TaskId {
    site.post_json("/api/tasks", GIT).await.json()["id"].as_str().unwrap().parse().unwrap()
}

async fn page(site: &Site, path: &str) -> super::site::Answer {
    site.send(request(Method::GET, path).header(header::ACCEPT, "text/html").body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn lists_are_paged_without_a_gap() {
    let site = Site::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, submitted(&site).await.to_string());
    }
    let mut seen = Vec::new();
    let mut path = "/api/tasks?limit=2".to_owned();
    loop {
        let list = site.get(&path).await.json();
        seen.extend(list["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()));
        match list["next"].as_str() {
            Some(next) => path = format!("/api/tasks?limit=2&before={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    for bad in ["limit=0", "limit=201", "status=done", "color=red"] {
        assert_eq!(site.get(&format!("/api/tasks?{bad}")).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn events_resume_without_a_gap_or_a_double() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    let db = &site.state.db;
    db.claim_next(Vec::new()).await.unwrap();
    db.enter_stage(&id, Stage::Fetch).await.unwrap();
    let stream = tokio::spawn({
        let (router, path) = (site.router.clone(), format!("/api/tasks/{id}/events"));
        async move {
            let request = request(Method::GET, &path).header("last-event-id", "1").body(Body::empty()).unwrap();
            let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
            String::from_utf8(axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
        }
    });
    for number in 0..250 {
        db.append_event(&id, EventBody::Note { message: format!("note {number}") }).await.unwrap();
    }
    db.end_task(&id, crate::db::Ending::Completed).await.unwrap();
    let text = stream.await.unwrap();
    let ids: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert_eq!(ids, (2..=254).collect::<Vec<u64>>());
    assert!(text.contains(r#""kind":"stage","stage":"fetch""#));
    assert_eq!(site.get(&format!("/api/tasks/{id}/events?after=254")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(site.get(&format!("/tasks/{id}/live?after=254")).await.status, StatusCode::NO_CONTENT);
    let live = site.get(&format!("/tasks/{id}/live?after=250")).await.body;
    assert!(live.contains("id=\"event-254\"") && live.contains("status-completed") && !live.contains("event-250"));
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    let paths = [format!("/api/tasks/{id}/events"), format!("/tasks/{id}/live"), "/live".to_owned()];
    let streams: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let router = site.router.clone();
            tokio::spawn(async move {
                let answer =
                    tower::ServiceExt::oneshot(router, request(Method::GET, &path).body(Body::empty()).unwrap());
                axum::body::to_bytes(answer.await.unwrap().into_body(), usize::MAX).await.unwrap()
            })
        })
        .collect();
    site.state.shutdown.cancel();
    for stream in streams {
        stream.await.unwrap();
    }
}

#[tokio::test]
async fn artifacts_are_text_or_downloads_and_nothing_else() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    let folder = site.state.data_dir.task_logs(&id);
    std::fs::create_dir_all(folder.join("output")).unwrap();
    std::fs::write(folder.join("setup.log"), "0123456789").unwrap();
    std::fs::write(folder.join("output/x.html"), "<script>alert(1)</script>").unwrap();
    std::fs::write(site.folder.path().join("secret.txt"), "canary").unwrap();

    let task = site.get(&format!("/api/tasks/{id}")).await.json();
    let names: Vec<&str> = task["artifacts"].as_array().unwrap().iter().map(|a| a["url"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            format!("http://localhost:8080/logs/{id}/output/x.html"),
            format!("http://localhost:8080/logs/{id}/setup.log")
        ]
    );

    let html = site.get(&format!("/logs/{id}/output/x.html")).await;
    assert_eq!(html.header(header::CONTENT_TYPE), "application/octet-stream");
    assert_eq!(html.header(header::CONTENT_DISPOSITION), "attachment; filename=\"x.html\"");
    assert!(html.header(header::CONTENT_SECURITY_POLICY).contains("sandbox"));

    let ranged = |range: &str| request(Method::GET, &format!("/logs/{id}/setup.log")).header(header::RANGE, range);
    let part = site.send(ranged("bytes=7-").body(Body::empty()).unwrap()).await;
    assert_eq!((part.status, part.body.as_str()), (StatusCode::PARTIAL_CONTENT, "789"));
    assert_eq!(part.header(header::CONTENT_RANGE), "bytes 7-9/10");
    let beyond = site.send(ranged("bytes=10-").body(Body::empty()).unwrap()).await;
    assert_eq!(
        (beyond.status, beyond.header(header::CONTENT_RANGE)),
        (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */10")
    );
    let head = site.send(request(Method::HEAD, &format!("/logs/{id}/setup.log")).body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.header(header::CONTENT_LENGTH), head.body.as_str()), (StatusCode::OK, "10", ""));

    for bad in [
        format!("/logs/{id}/../../../secret.txt"),
        format!("/logs/{id}/%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret.txt"),
        format!("/logs/{id}/..%5c..%5csecret.txt"),
        format!("/logs/{id}/setup.log%00"),
        format!("/logs/{id}//setup.log"),
        format!("/logs/{id}/output"),
        "/logs/0/setup.log".to_owned(),
        "/logs/-1/setup.log".to_owned(),
        "/logs/20261120_abcdefghijkl/setup.log".to_owned(),
        "/logs/%ff/x".to_owned(),
    ] {
        let answer = site.get(&bad).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{bad}: {}", answer.body);
        assert!(!answer.body.contains("canary"));
    }
}

#[tokio::test]
async fn hostile_text_stays_text_on_every_page() {
    let site = Site::new().await;
    let hostile = "<script>alert(1)</script>\"><svg/onload=x>{{7*7}}\u{202e}\u{1b}[31m";
    let task = serde_json::json!({"source": {"git_url": "https://example.org/<b>/x"}, "task": hostile});
    let id: TaskId =
        site.post_json("/api/tasks", &task.to_string()).await.json()["id"].as_str().unwrap().parse().unwrap();
    let db = &site.state.db;
    db.claim_next(Vec::new()).await.unwrap();
    let arguments = serde_json::json!({"command": hostile, "file_path": hostile});
    let result = serde_json::json!({"status": "failure", "message": hostile, "stdout": hostile, "content": hostile,
        "diff": format!("--- a/{hostile}\n+++ b/{hostile}\n@@ -0,0 +1 @@ {hostile}\n+{hostile}\n")});
    for (call, name) in (1..).zip(["run_command", "edit_file", "read_file", hostile]) {
        let (name, arguments) = (name.to_owned(), arguments.clone());
        let called = EventBody::ToolCalled { step: 1, call, name: name.clone(), arguments };
        db.append_event(&id, called).await.unwrap();
        let result = result.as_object().unwrap().clone();
        db.append_event(&id, EventBody::ToolReturned { step: 1, call, name, result, duration_ms: 1 }).await.unwrap();
    }
    db.append_event(&id, EventBody::Warning { message: hostile.to_owned() }).await.unwrap();
    db.set_result(&id, Some(hostile.to_owned()), Some(DiffSummary::default())).await.unwrap();
    let folder = site.state.data_dir.task_logs(&id);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("setup.log"), hostile).unwrap();
    std::fs::write(folder.join("a<b>\".txt"), "x").unwrap();
    std::fs::write(
        folder.join("diff.patch"),
        format!("diff --git a/{hostile} b/{hostile}\n--- a/{hostile}\n+++ b/{hostile}\n@@ -0,0 +1 @@\n+{hostile}\n"),
    )
    .unwrap();
    for path in ["/".to_owned(), format!("/tasks/{id}"), format!("/tasks/{id}/diff")] {
        let answer = page(&site, &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert!(answer.body.contains("&lt;script&gt;alert(1)"), "{path}");
        for bad in ["<script>alert", "<svg/onload", "\u{202e}", "\u{1b}", "<b>"] {
            assert!(!answer.body.contains(bad), "{path} holds {bad:?}");
        }
    }
}

#[tokio::test]
async fn errors_are_pages_for_people_and_problems_for_programs() {
    let site = Site::new().await;
    let missing = page(&site, "/tasks/20261120_abcdefghijkl").await;
    assert_eq!(
        (missing.status, missing.header(header::CONTENT_TYPE)),
        (StatusCode::NOT_FOUND, "text/html; charset=utf-8")
    );
    let missing = site.get("/api/tasks/nonsense").await;
    insta::assert_json_snapshot!(missing.json(), @r#"
    {
      "type": "about:blank",
      "title": "Not Found",
      "status": 404,
      "detail": "There is no task with this id.",
      "kind": "no_such_task"
    }
    "#);
    let refused = page(&site, "/tasks").await;
    assert_eq!((refused.status, refused.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    assert!(refused.body.contains("<h1>Method Not Allowed</h1>"));
    // The cause of what is our fault is for the log alone.
    let id = submitted(&site).await;
    std::fs::remove_dir_all(site.state.data_dir.tasks()).unwrap();
    std::fs::write(site.state.data_dir.tasks(), "not a folder").unwrap();
    let failed = site.post_json(&format!("/api/tasks/{id}/retry"), "").await;
    let problem = failed.json();
    assert_eq!((failed.status, problem["kind"].as_str()), (StatusCode::INTERNAL_SERVER_ERROR, Some("internal")));
    assert!(problem["detail"].as_str().unwrap().contains("under the id ") && !failed.body.contains("os error"));
}

#[tokio::test]
async fn the_settings_name_their_origin_and_no_secret() {
    let site = Site::with(
        "[sandbox]\npids = 99\n[llm.providers.mine]\nkind = 'openai'\nbase_url = 'https://me:hunter2-canary@llm.example.org/v1/'\n\
         api_key_env = 'PATH'",
    )
    .await;
    let page = site.get("/settings").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<code>pids</code></th><td><code>99</code></td><td>command line</td>"), "{}", page.body);
    assert!(page.body.contains("<code>memory_mb</code></th><td><code>4096</code></td><td>default</td>"));
    assert!(page.body.contains("has a key, from $PATH") && page.body.contains("llm.example.org"));
    let path = std::env::var("PATH").unwrap();
    assert!(!page.body.contains("hunter2-canary") && !page.body.contains(&path), "a secret is shown");
    assert!(page.body.contains("<dt>Kernel</dt>") && page.body.contains("<dt>Docker Engine</dt>"));
}

#[tokio::test]
async fn the_list_tells_what_runs_what_waits_and_what_has_ended() {
    let site = Site::new().await;
    let (ended, runs, waits) = (submitted(&site).await, submitted(&site).await, submitted(&site).await);
    let db = &site.state.db;
    db.claim_next(Vec::new()).await.unwrap();
    db.end_task(&ended, crate::db::Ending::Completed).await.unwrap();
    db.claim_next(Vec::new()).await.unwrap();
    db.enter_stage(&runs, Stage::Fetch).await.unwrap();
    db.append_event(&runs, EventBody::Note { message: "Receiving objects: 7%".to_owned() }).await.unwrap();
    let list = page(&site, "/").await.body;
    let place = |text: &str| list.find(text).unwrap_or_else(|| panic!("{text} in {list}"));
    let row = |id: &TaskId| place(&format!("row-{id}"));
    assert!(place("id=\"running\"") < row(&runs) && row(&runs) < place("Receiving objects: 7%"));
    assert!(place("Receiving objects: 7%") < place("id=\"waiting\"") && place("id=\"waiting\"") < row(&waits));
    assert!(row(&waits) < place("Next in line") && place("Next in line") < place("id=\"ended\""));
    assert!(place("id=\"ended\"") < row(&ended));

    for (query, found, missing) in [
        ("status=queued", &waits, &runs),
        (&*format!("find={}", &runs.as_str()[9..]), &runs, &waits),
        ("status=completed&repository=https%3A%2F%2Fexample.org%2Fteam%2Ftool", &ended, &runs),
    ] {
        let list = page(&site, &format!("/?{query}")).await.body;
        assert!(list.contains(&format!("row-{found}")) && !list.contains(&format!("row-{missing}")), "{query}: {list}");
    }
    for none in ["find=nothing+of+it", "repository=https%3A%2F%2Fexample.org%2Fx", "find=%22*("] {
        assert!(page(&site, &format!("/?{none}")).await.body.contains("No tasks here."), "{none}");
    }
}
