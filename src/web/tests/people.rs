//! Several people on one server: each sees their own tasks, the owner sees all.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};

use super::{
    Site,
    access::routes,
    site::{Answer, Browser, request},
};
use crate::{
    domain::{task::Stage, task_id::TaskId},
    web::router::Access,
};

const GIT: &str = r#"{"source": {"git_url": "https://example.org/team/tool"}, "task": "Mend the gate"}"#;

async fn submitted(site: &Site, browser: &Browser) -> TaskId {
    let answer = browser.post_json(site, "/api/tasks", GIT).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    answer.json()["id"].as_str().unwrap().parse().unwrap()
}

fn ids(list: &Answer) -> Vec<String> {
    let list = list.json();
    list["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn r57_the_task_of_another_is_not_found_on_any_route() {
    let site = Site::new().await;
    let (anna, bob) = (site.person("Anna").await, site.person("Bob").await);
    let id = submitted(&site, &bob).await;
    let logs = site.state.data_dir.task_logs(&id);
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::write(logs.join("diff.patch"), "canary").unwrap();

    let mut walked = 0;
    for (method, path, access) in routes(&site).await {
        if !path.contains("{id}") {
            continue;
        }
        assert_eq!(access, Access::Person, "{path}: the id of a task is in it");
        let path = path.replace("{id}", id.as_str()).replace("{*name}", "diff.patch").replace("{*path}", "a.rs");
        let answer = site.send(anna.request(method.clone(), &path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert!(!answer.body.contains("canary") && !answer.body.contains("Mend"), "{method} {path}: {}", answer.body);
        if method == Method::GET {
            assert_eq!(answer.json()["kind"], "no_such_task", "{path}");
        }
        walked += 1;
    }
    assert!(walked > 10);
    // Nothing of it was done.
    assert_eq!(bob.api(&site, &format!("/api/tasks/{id}")).await.json()["status"], "queued");
    assert_eq!(bob.api(&site, &format!("/logs/{id}/diff.patch")).await.body, "canary");
    assert_eq!(site.get(&format!("/api/tasks/{id}")).await.status, StatusCode::OK, "the owner sees it");
    assert_eq!(site.get("/api/tasks").await.json()["tasks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn r57_lists_counts_usage_and_exports_hold_ones_own_tasks_only() {
    let site = Site::new().await;
    let (anna, bob) = (site.person("Anna").await, site.person("Bob").await);
    let (hers, his) = (submitted(&site, &anna).await, submitted(&site, &bob).await);
    let of_owner = site.post_json("/api/tasks", GIT).await.json()["id"].as_str().unwrap().to_owned();
    let db = &site.state.db;
    db.claim_next(Vec::new()).await.unwrap();
    db.enter_stage(&hers, Stage::Agent).await.unwrap();
    let usage = crate::domain::usage::Usage { input_tokens: 1200, output_tokens: 34, ..Default::default() };
    db.record(&hers, crate::db::Record { usage, steps: 1, ..Default::default() }).await.unwrap();

    assert_eq!(ids(&anna.api(&site, "/api/tasks").await), [hers.as_str()]);
    assert_eq!(ids(&bob.api(&site, "/api/tasks").await), [his.as_str()]);
    assert_eq!(ids(&bob.api(&site, "/api/tasks?status=running").await), [""; 0]);
    assert_eq!(ids(&site.get("/api/tasks").await), [of_owner.as_str(), his.as_str(), hers.as_str()]);
    let page = bob.get(&site, "/").await.body;
    assert!(page.contains(his.as_str()) && !page.contains(hers.as_str()) && !page.contains(&of_owner), "{page}");
    assert!(page.contains("all <span class=\"count\">1</span>"), "{page}");

    assert_eq!(anna.api(&site, "/api/usage").await.json()["input_tokens"], 1200);
    assert_eq!(bob.api(&site, "/api/usage").await.json()["input_tokens"], 0);
    assert_eq!(site.get("/api/usage").await.json()["input_tokens"], 1200);

    db.end_task(&hers, crate::db::Ending::Completed).await.unwrap();
    let looked_at = |report: Answer| report.json()["left_out"].as_array().unwrap().len();
    assert_eq!(looked_at(anna.api(&site, "/api/export/report?rating=any").await), 1);
    assert_eq!(looked_at(bob.api(&site, "/api/export/report?rating=any").await), 0);
}

#[tokio::test]
async fn r55_what_is_the_owners_is_refused_to_others() {
    let site = Site::new().await;
    let anna = site.person("Anna").await;
    for (method, path, access) in routes(&site).await {
        let path = path.replace("{id}", "1");
        if access == Access::Owner && method != Method::HEAD {
            let answer = site.send(anna.request(method.clone(), &path).body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
            assert_eq!(answer.json()["kind"], "owner_only");
        }
    }
    assert_eq!(site.send(request(Method::GET, "/settings").body(Body::empty()).unwrap()).await.status, StatusCode::OK);
    assert!(!anna.get(&site, "/").await.body.contains("/settings"));
}

#[tokio::test]
async fn r55_a_login_makes_a_new_session_and_ends_the_one_before() {
    let site = Site::new().await;
    let anna = site.person("Anna").await;
    let link = format!("/login?token={}", super::site::TOKEN);
    let answer = site.send(anna.request(Method::GET, &link).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(anna.api(&site, "/api/tasks").await.status, StatusCode::UNAUTHORIZED);
}
