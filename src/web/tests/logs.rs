//! The pages of logs.

use std::fs::File;

use axum::{
    body::Body,
    http::{Method, header},
};

use super::{Site, site::request};
use crate::domain::task_id::TaskId;

/// A task that has a log of its own.
async fn site_with_log(write: impl FnOnce(File)) -> (Site, TaskId) {
    let site = Site::new().await;
    let body = r#"{"source": {"git_url": "https://example.org/team/tool.git"}, "task": "Look."}"#;
    let id: TaskId = site.post_json("/api/tasks", body).await.json()["id"].as_str().unwrap().parse().unwrap();
    let logs = site.state.data_dir.task_logs(&id);
    std::fs::create_dir_all(&logs).unwrap();
    write(File::create(logs.join("agent.log")).unwrap());
    (site, id)
}

async fn page(site: &Site, path: &str) -> String {
    site.send(request(Method::GET, path).header(header::ACCEPT, "text/html").body(Body::empty()).unwrap()).await.body
}

#[tokio::test]
async fn a_log_has_numbered_lines_parts_and_a_search() {
    use std::io::Write;
    let (site, id) = site_with_log(|mut log| {
        for number in 1..=4000 {
            writeln!(log, "line {number} \x1b[31mred\x1b[0m <b>").unwrap();
        }
    })
    .await;
    let first = page(&site, &format!("/tasks/{id}/logs/agent.log")).await;
    assert!(first.contains(r#"id="L1""#) && first.contains(r#"line 1 <span class="sgr-1">red</span> &lt;b&gt;"#));
    assert!(first.contains(r#"id="L1500""#) && !first.contains(r#"id="L1501""#));
    let later = first.split(r#"<a class="button" href="?at="#).nth(1).unwrap().split('"').next().unwrap();
    let second = page(&site, &format!("/tasks/{id}/logs/agent.log?at={later}")).await;
    assert!(second.contains(r#"id="L1501""#) && second.contains(r##"href="#L1501""##));
    assert!(page(&site, &format!("/tasks/{id}/logs/agent.log?before=end")).await.contains(r#"id="L4000""#));
    assert!(page(&site, &format!("/tasks/{id}/logs/agent.log?line=3000")).await.contains(r#"id="L3000""#));
    let found = page(&site, &format!("/tasks/{id}/logs/agent.log?find=LINE+2718+red")).await;
    assert!(found.contains("1 line holds") && found.contains(r#"href="?line=2718#L2718""#));
    assert_eq!(site.get(&format!("/tasks/{id}/logs/other.log")).await.status, 404);
    assert_eq!(site.get(&format!("/tasks/{id}/logs/..%2f..%2fatelier.db")).await.status, 404);
}

#[tokio::test]
async fn r58_a_page_of_a_log_of_a_gigabyte_is_below_a_megabyte() {
    for bytes in ["\n", "\u{202e}", "x", "\x1b[31mx\x1b[32my\n", "&\n"] {
        let (site, id) = site_with_log(|log| {
            use std::os::unix::fs::FileExt;
            let gigabyte = 1 << 30;
            // The middle is a hole: the disk is not filled.
            log.set_len(gigabyte).unwrap();
            let block = bytes.repeat(300 * 1024 / bytes.len()).into_bytes();
            log.write_all_at(&block, 0).unwrap();
            log.write_all_at(&block, gigabyte - block.len() as u64).unwrap();
        })
        .await;
        for place in ["", "?before=end", "?at=536870912"] {
            let page = page(&site, &format!("/tasks/{id}/logs/agent.log{place}")).await;
            assert!(page.contains("1.0 GB") && page.len() < 1_000_000, "{bytes:?} {place}: {}", page.len());
        }
    }
}
