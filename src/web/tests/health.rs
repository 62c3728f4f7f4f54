//! What the server says of itself while something is in the way of its tasks.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use serde_json::json;

use super::{
    Site,
    site::{anonymous, request},
};
use crate::pipeline::obstacle::Obstacle;

const GIT_TASK: &str = r#"{"source": {"git_url": "https://example.org/a/b"}, "task": "Go."}"#;

fn no_docker() -> Obstacle {
    Obstacle::Docker { cause: "/secret/path/docker.sock: no such file".to_owned() }
}

async fn page(site: &Site, path: &str) -> String {
    site.send(request(Method::GET, path).header(header::ACCEPT, "text/html").body(Body::empty()).unwrap()).await.body
}

#[tokio::test]
async fn what_is_in_the_way_is_told_on_every_page_and_to_every_program() {
    let site = Site::new().await;
    let id = site.post_json("/api/tasks", GIT_TASK).await.json()["id"].as_str().unwrap().to_owned();
    let paths = ["/", "/new", &format!("/tasks/{id}")];
    for path in paths {
        assert!(!page(&site, path).await.contains("Docker does not answer"), "{path}");
    }
    assert_eq!(site.get("/readyz").await.json()["reasons"], json!([]));

    site.obstacles.send_replace([no_docker(), Obstacle::Disk { free: 5 << 20, reserve: 2 << 30 }].into());

    for path in paths {
        let page = page(&site, path).await;
        assert!(page.contains("Docker does not answer") && page.contains("2048 MB are kept"), "{path}");
    }
    let ready = site.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    let kinds: Vec<_> = ready.json()["reasons"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["docker_unavailable", "disk_reserve"]);
    assert!(!ready.body.contains("/secret/path"), "it is open to anybody");
    let login = anonymous(Method::GET, "/login").header(header::ACCEPT, "text/html").body(Body::empty()).unwrap();
    assert!(!site.send(login).await.body.contains("Docker"), "who is not logged in learns nothing");

    let queue = site.get(&format!("/api/tasks/{id}")).await.json()["queue"].clone();
    assert_eq!((&queue["position"], &queue["reason"]), (&json!(1), &json!("docker_unavailable")));
}

#[tokio::test]
async fn a_queued_task_knows_its_place_and_what_it_waits_for() {
    let site = Site::with("[queue]\nmax_running = 1").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(site.post_json("/api/tasks", GIT_TASK).await.json()["id"].as_str().unwrap().to_owned());
    }
    let places = async || {
        let mut places = Vec::new();
        for id in &ids {
            let queue = site.get(&format!("/api/tasks/{id}")).await.json()["queue"].clone();
            places.push((queue["position"].as_u64(), queue["reason"].as_str().map(str::to_owned)));
        }
        places
    };
    let place = |position, reason: &str| (Some(position), Some(reason.to_owned()));
    assert_eq!(places().await, [place(1, "next"), place(2, "busy"), place(3, "busy")]);
    site.state.db.claim_next(Vec::new()).await.unwrap();
    assert_eq!(places().await, [(None, None), place(1, "busy"), place(2, "busy")]);
}

#[tokio::test]
async fn r66_the_figures_are_for_the_admin_unless_set_otherwise() {
    let asked = || anonymous(Method::GET, "/metrics").body(Body::empty()).unwrap();
    let site = Site::new().await;
    assert_eq!(site.send(asked()).await.status, StatusCode::UNAUTHORIZED);
    let figures = site.get("/metrics").await;
    assert_eq!(figures.header(header::CONTENT_TYPE), crate::metrics::CONTENT_TYPE);
    assert!(figures.body.contains("atelier_tasks{status=\"queued\"} 0\n") && figures.body.ends_with("# EOF\n"));

    let site = Site::with("[server]\nmetrics = \"open\"").await;
    assert_eq!(site.send(asked()).await.status, StatusCode::OK);
}
