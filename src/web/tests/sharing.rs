//! Share links: who has one reads what it shows, and nothing else.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use futures_util::StreamExt;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    Site,
    access::routes,
    site::{Answer, anonymous, request},
};
use crate::{
    db::Ending,
    domain::{event::EventBody, patch::DiffSummary, share::ShareId, task_id::TaskId},
    wall_clock,
    web::router::Access,
};

const GIT: &str = r#"{"source": {"git_url": "https://example.org/team/tool"}, "task": "Mend it"}"#;
const PATCH: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+TOKEN\n";

/// Of a file that is downloaded in many pieces.
const LARGE: usize = 8 * 1024 * 1024;

fn token() -> String {
    format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")
}

/// A task with a patch and logs that hold a secret.
async fn submitted(site: &Site) -> TaskId {
    let id: TaskId = site.post_json("/api/tasks", GIT).await.json()["id"].as_str().unwrap().parse().unwrap();
    let folder = site.state.data_dir.task_logs(&id);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("diff.patch"), PATCH.replace("TOKEN", &token())).unwrap();
    std::fs::write(folder.join("setup.log"), format!("fetching\nuse {} here\n", token())).unwrap();
    std::fs::write(folder.join("agent.log"), "canary\n").unwrap();
    let db = &site.state.db;
    db.claim_next(Vec::new()).await.unwrap();
    db.append_event(&id, EventBody::Note { message: format!("noted {}", token()) }).await.unwrap();
    db.set_result(
        &id,
        Some(format!("It was {}.", token())),
        Some(DiffSummary { files: 1, insertions: 1, deletions: 1 }),
    )
    .await
    .unwrap();
    id
}

/// The path of a new link, and its id.
async fn share(site: &Site, id: &TaskId, wish: &Value) -> (String, String) {
    let answer = site.post_json(&format!("/api/tasks/{id}/shares"), &wish.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let made = answer.json();
    let path = made["url"].as_str().unwrap().strip_prefix("http://localhost:8080").unwrap().to_owned();
    (path, made["id"].as_str().unwrap().to_owned())
}

async fn visit(site: &Site, path: &str) -> Answer {
    let asked = anonymous(Method::GET, path).header(header::ACCEPT, "text/html");
    site.send(asked.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn r56_a_link_shows_the_task_without_a_login_and_without_secrets() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    site.state.db.end_task(&id, Ending::Completed).await.unwrap();
    let (link, _) = share(&site, &id, &json!({})).await;

    for path in
        ["", "/diff", "/diff/files/1", "/log/setup.log", "/logs/diff.patch", "/logs/setup.log", "/logs/agent.log"]
    {
        let answer = visit(&site, &format!("{link}{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert!(!answer.body.contains(&token()), "{path}: {}", answer.body);
        assert_eq!(answer.header(header::REFERRER_POLICY), "no-referrer");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        assert!(answer.headers["x-robots-tag"].to_str().unwrap().contains("noindex"));
    }
    let covered = "X".repeat(token().len());
    let patch = visit(&site, &format!("{link}/logs/diff.patch")).await;
    assert_eq!(patch.body, PATCH.replace("TOKEN", &covered), "it still applies");
    let page = visit(&site, &link).await.body;
    assert!(page.contains(&format!("It was {covered}.")) && page.contains(&format!("noted {covered}")), "{page}");

    // Everything on it lies beneath the link, and nothing can be done.
    for address in page.split("href=\"").chain(page.split("action=\"")).skip(1) {
        let address = address.split('"').next().unwrap();
        let is_beneath = address.starts_with(&link)
            || address.starts_with(['#', '?'])
            || address.starts_with("/static/")
            || address == "/preferences";
        assert!(is_beneath || address.starts_with("https://example.org/") || address.starts_with('<'), "{address}");
    }
    assert_eq!(page.matches("method=\"post\"").count(), 1, "only the switch of theme and language: {page}");
    let robots = site.get("/robots.txt").await.body;
    assert!(robots.contains("Disallow: /\n"), "{robots}");
    // The owner sees what is there.
    assert!(site.get(&format!("/logs/{id}/diff.patch")).await.body.contains(&token()));
}

#[tokio::test]
async fn r49_r52_shared_pages_hold_no_markup_of_others_and_may_run_none() {
    const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}";
    let site = Site::new().await;
    let body = json!({"source": {"git_url": "https://example.org/team/tool"}, "task": format!("{EVIL}\n{EVIL}")});
    let answer = site.post_json("/api/tasks", &body.to_string()).await;
    let id: TaskId = answer.json()["id"].as_str().unwrap().parse().unwrap();
    let folder = site.state.data_dir.task_logs(&id);
    std::fs::create_dir_all(folder.join("output")).unwrap();
    std::fs::write(folder.join("diff.patch"), PATCH.replace("TOKEN", EVIL)).unwrap();
    std::fs::write(folder.join("setup.log"), EVIL).unwrap();
    std::fs::write(folder.join("output/page.html"), EVIL).unwrap();
    let db = &site.state.db;
    db.claim_next(Vec::new()).await.unwrap();
    db.append_event(&id, EventBody::Note { message: EVIL.to_owned() }).await.unwrap();
    let diff = DiffSummary { files: 1, insertions: 1, deletions: 1 };
    db.set_result(&id, Some(format!("# {EVIL}\n\n- {EVIL}\n\n`{EVIL}`")), Some(diff)).await.unwrap();
    db.end_task(&id, Ending::Completed).await.unwrap();
    let (link, _) = share(&site, &id, &json!({})).await;

    for path in
        ["", "/diff", "/diff/files/1", "/log/setup.log", "/log/setup.log?find=script", "/log/setup.log?only=lines"]
    {
        let answer = visit(&site, &format!("{link}{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.body.contains("&lt;script"), "{path}: {}", answer.body);
        for raw in ["<script>", "<img src=x", "\u{202e}"] {
            assert!(!answer.body.contains(raw), "{raw:?} on {path}: {}", answer.body);
        }
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
    let file = visit(&site, &format!("{link}/logs/output/page.html")).await;
    assert_eq!(file.header(header::CONTENT_TYPE), "application/octet-stream");
    assert!(file.header(header::CONTENT_DISPOSITION).starts_with("attachment"));
    assert!(file.header(header::CONTENT_SECURITY_POLICY).contains("sandbox"));
    let text = visit(&site, &format!("{link}/logs/setup.log")).await;
    assert!(text.header(header::CONTENT_TYPE).starts_with("text/plain"));
}

#[tokio::test]
async fn r56_a_link_to_a_part_shows_that_part_alone() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    let (diff, _) = share(&site, &id, &json!({ "scope": "diff" })).await;
    let (log, _) = share(&site, &id, &json!({ "scope": "log", "log": "setup.log" })).await;
    assert_eq!(visit(&site, &diff).await.header(header::LOCATION), format!("{diff}/diff"));
    assert_eq!(visit(&site, &log).await.header(header::LOCATION), format!("{log}/log/setup.log"));
    for (link, shown) in [
        (&diff, ["/diff", "/diff/files/1", "/log/diff.patch", "/logs/diff.patch"].as_slice()),
        (&log, &["/log/setup.log", "/logs/setup.log"]),
    ] {
        let paths =
            ["/live", "/diff", "/diff/files/1", "/source/x", "/logs/diff.patch", "/logs/setup.log", "/logs/agent.log"];
        for path in paths.into_iter().chain(["/log/diff.patch", "/log/setup.log", "/log/agent.log"]) {
            let answer = visit(&site, &format!("{link}{path}")).await;
            let expected = if shown.contains(&path) { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(answer.status, expected, "{path}");
            assert!(!answer.body.contains("canary"));
        }
    }
    for bad in [
        json!({ "scope": "log" }),
        json!({ "scope": "log", "log": "../setup.log" }),
        json!({ "scope": "log", "log": "none.log" }),
        json!({ "scope": "diff", "log": "setup.log" }),
        json!({ "expires_in_days": 0 }),
        json!({ "expires_in_days": 4000 }),
    ] {
        let answer = site.post_json(&format!("/api/tasks/{id}/shares"), &bad.to_string()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

/// No method and no address turns a link into more than it is.
#[tokio::test]
async fn r56_a_link_can_neither_do_anything_nor_read_another_task() {
    let site = Site::new().await;
    let (id, other) = (submitted(&site).await, submitted(&site).await);
    let (link, _) = share(&site, &id, &json!({})).await;
    let secret = link.strip_prefix("/s/").unwrap();
    for path in ["/cancel", "/retry", "/feedback", "/pull-request", "/share", "/shares", "/messages"] {
        let asked = anonymous(Method::POST, &format!("{link}{path}")).body(Body::empty()).unwrap();
        assert_eq!(site.send(asked).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for (method, path, access) in routes(&site).await {
        if access == Access::Open {
            continue;
        }
        if let Access::Share(_) = access {
            // Nothing but reading, of any of them.
            let path = path.replace("/s/{token}", &link).replace("{n}", "1").replace("{*", "").replace('}', "");
            let refused = site.send(anonymous(Method::POST, &path).body(Body::empty()).unwrap()).await;
            assert_eq!(
                (refused.status, refused.header(header::ALLOW)),
                (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"),
                "{path}"
            );
            continue;
        }
        for task in [&id, &other] {
            let path = path.replace("{id}", task.as_str()).replace("{*name}", "agent.log").replace("{*path}", "x");
            let with_link = anonymous(method.clone(), &path)
                .header(header::COOKIE, format!("atelier_session={secret}"))
                .header(header::ACCEPT, "text/html");
            let answer = site.send(with_link.body(Body::empty()).unwrap()).await;
            let to_login = answer.header(header::LOCATION).starts_with("/login");
            assert!(to_login || answer.status == StatusCode::UNAUTHORIZED, "{method} {path}: {}", answer.status);
        }
    }
    for path in [
        format!("{link}/../../tasks/{other}"),
        format!("{link}/logs/../{other}/agent.log"),
        format!("{link}/logs/%2e%2e%2f{other}%2fagent.log"),
        format!("{link}/logs/..%5c{other}%5cagent.log"),
        format!("{link}/logs//agent.log"),
        format!("{link}/tasks/{other}"),
        format!("/s/{other}/logs/agent.log"),
    ] {
        let answer = visit(&site, &path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!answer.body.contains("canary") && !answer.body.contains("/login"), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn r56_the_database_holds_no_link_that_opens() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    let (link, _) = share(&site, &id, &json!({})).await;
    let secret = link.strip_prefix("/s/").unwrap().as_bytes();
    for entry in std::fs::read_dir(site.state.data_dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
    let listed = site.get(&format!("/api/tasks/{id}/shares")).await.body;
    assert!(listed.contains("\"scope\":\"task\"") && !listed.contains("url"), "{listed}");
}

#[tokio::test]
async fn r56_a_revoked_link_is_gone_and_what_it_had_open_ends() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    std::fs::write(site.state.data_dir.task_logs(&id).join("large.bin"), vec![b'.'; LARGE]).unwrap();
    let (link, share_id) = share(&site, &id, &json!({})).await;
    let streams = ["/live", "/logs/large.bin"].map(|path| {
        let (router, path) = (site.router.clone(), format!("{link}{path}"));
        async move {
            let asked = anonymous(Method::GET, &path).body(Body::empty()).unwrap();
            tower::ServiceExt::oneshot(router, asked).await.unwrap()
        }
    });
    let [live, file] = streams;
    let (live, file) = (live.await, file.await);
    assert_eq!((live.status(), file.status()), (StatusCode::OK, StatusCode::OK));
    let live = tokio::spawn(axum::body::to_bytes(live.into_body(), usize::MAX));
    let mut file = file.into_body().into_data_stream();
    let mut read = file.next().await.unwrap().unwrap().len();

    let revoked = site.send(request(Method::DELETE, &format!("/api/shares/{share_id}")).body(Body::empty()).unwrap());
    assert_eq!(revoked.await.status, StatusCode::NO_CONTENT);
    // The task goes on: the stream ended because of the link.
    tokio::time::timeout(std::time::Duration::from_secs(2), live).await.unwrap().unwrap().unwrap();
    while let Some(chunk) = file.next().await {
        read += chunk.unwrap().len();
    }
    assert!(read < LARGE, "the download goes on: {read}");
    for path in ["", "/live", "/diff", "/logs/setup.log"] {
        let answer = visit(&site, &format!("{link}{path}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            answer.body.contains("This link opens nothing") && !answer.body.contains("href=\"/\""),
            "{}",
            answer.body
        );
    }
    let again = site.send(request(Method::DELETE, &format!("/api/shares/{share_id}")).body(Body::empty()).unwrap());
    assert_eq!(again.await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn r56_an_expired_link_says_so_and_nothing_else() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    let (link, _) = share(&site, &id, &json!({ "expires_in_days": 1 })).await;
    let (endless, _) = share(&site, &id, &json!({ "expires_in_days": null })).await;
    assert_eq!(visit(&site, &link).await.status, StatusCode::OK);
    wall_clock::shifted::set(SignedDuration::from_hours(25));
    let answer = visit(&site, &link).await;
    assert_eq!(answer.status, StatusCode::GONE);
    assert!(answer.body.contains("This link has expired"), "{}", answer.body);
    assert!(!answer.body.contains("Mend it") && !answer.body.contains(id.as_str()), "{}", answer.body);
    assert_eq!(visit(&site, &format!("{link}/logs/agent.log")).await.status, StatusCode::GONE);
    assert_eq!(visit(&site, &endless).await.status, StatusCode::OK);
    let week = share(&site, &id, &json!({})).await.1;
    let listed = site.get(&format!("/api/tasks/{id}/shares")).await.json();
    let listed = listed["shares"].as_array().unwrap().iter().find(|share| share["id"] == *week).cloned().unwrap();
    let days = |name: &str| listed[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(days("expires_at").duration_since(days("created_at")), SignedDuration::from_hours(7 * 24));
}

#[tokio::test]
async fn r56_unknown_links_are_refused_alike_and_too_many_are_limited() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    let (link, _) = share(&site, &id, &json!({})).await;
    let last = if link.ends_with('A') { 'B' } else { 'A' };
    let near = format!("{}{last}", &link[..link.len() - 1]);
    let far = format!("/s/{}", "A".repeat(link.len() - 3));
    let without = |answer: Answer, path: &str| Answer { body: answer.body.replace(path, "[path]"), ..answer };
    let (near, far) = (without(visit(&site, &near).await, &near), without(visit(&site, &far).await, &far));
    assert_eq!((near.status, &near.body), (far.status, &far.body), "nothing tells how near a guess was");
    assert_eq!(near.status, StatusCode::NOT_FOUND);
    let mut last = near;
    for _ in 0..40 {
        last = visit(&site, "/s/nothing").await;
    }
    assert_eq!((last.status, last.header(header::RETRY_AFTER)), (StatusCode::TOO_MANY_REQUESTS, "60"));
    assert_eq!(visit(&site, &link).await.status, StatusCode::OK, "behind a proxy everybody has one address");
}

#[tokio::test]
async fn r57_anothers_links_are_neither_listed_nor_revoked() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    let (link, share_id) = share(&site, &id, &json!({})).await;
    let anna = site.person("Anna").await;
    for (method, path) in [
        (Method::DELETE, format!("/api/shares/{share_id}")),
        (Method::GET, format!("/api/tasks/{id}/shares")),
        (Method::GET, format!("/tasks/{id}/share")),
    ] {
        let answer = site.send(anna.request(method, &path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(visit(&site, &link).await.status, StatusCode::OK);
}

#[tokio::test]
async fn links_are_made_counted_and_revoked_on_a_page() {
    let site = Site::new().await;
    let id = submitted(&site).await;
    let page = format!("/tasks/{id}/share");
    let before = site.get(&page).await.body;
    assert!(before.contains("1 × GitHub token") && before.contains("setup.log"), "{before}");
    assert!(!before.contains(&token()), "the page repeats no secret");

    let form = |path: &str, body: &str| {
        let asked = request(Method::POST, path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        asked.body(Body::from(body.to_owned())).unwrap()
    };
    let made = site.send(form(&page, "scope=task&log=setup.log&expires=never")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let link = made.body.split("id=\"share-link\">http://localhost:8080").nth(1).unwrap().split('<').next().unwrap();
    assert_eq!(visit(&site, link).await.status, StatusCode::OK);
    visit(&site, &format!("{link}/diff")).await;
    let counted = async || {
        loop {
            let listed = site.get(&format!("/api/tasks/{id}/shares")).await.json()["shares"][0].clone();
            if listed["opened"] != 0 {
                return listed;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let listed = tokio::time::timeout(std::time::Duration::from_secs(10), counted()).await.unwrap();
    assert_eq!((&listed["opened"], listed["last_opened_at"].is_string()), (&json!(1), true));
    let share_id: ShareId = listed["id"].as_str().unwrap().parse().unwrap();
    let page_now = site.get(&page).await.body;
    assert!(page_now.contains("opened once") && page_now.contains("made by owner"), "{page_now}");
    assert!(!page_now.contains(link), "a link is shown once");

    let revoked = site.send(form(&format!("{page}/revoke"), &format!("share={share_id}"))).await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER);
    assert_eq!(visit(&site, link).await.status, StatusCode::NOT_FOUND);
}
