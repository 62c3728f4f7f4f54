//! Thumbs: given by programs and by the form, shown wherever the task is.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use serde_json::{Value, json};

use super::{Site, site::Answer, site::request};
use crate::{db::Ending, domain::task_id::TaskId, wall_clock};

async fn task(site: &Site) -> TaskId {
    let body = json!({"source": {"git_url": "https://example.org/team/tool"}, "task": "Fix it"});
    site.post_json("/api/tasks", &body.to_string()).await.json()["id"].as_str().unwrap().parse().unwrap()
}

async fn ended(site: &Site) -> TaskId {
    let id = task(site).await;
    site.state.db.claim_next(Vec::new()).await.unwrap();
    site.state.db.end_task(&id, Ending::Completed).await.unwrap();
    id
}

async fn say(site: &Site, id: &TaskId, what: &Value) -> Answer {
    site.post_json(&format!("/api/tasks/{id}/feedback"), &what.to_string()).await
}

/// The form, sent as a browser without scripts does.
async fn press(site: &Site, id: &TaskId, form: &'static str) -> Answer {
    let request = request(Method::POST, &format!("/tasks/{id}/feedback"));
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    site.send(request.body(Body::from(form)).unwrap()).await
}

async fn page(site: &Site, path: &str) -> String {
    site.send(request(Method::GET, path).header(header::ACCEPT, "text/html").body(Body::empty()).unwrap()).await.body
}

#[tokio::test]
async fn a_thumb_is_kept_shown_everywhere_and_taken_back() {
    let site = Site::new().await;
    let id = ended(&site).await;
    assert_eq!(site.get(&format!("/api/tasks/{id}")).await.json()["feedback"], Value::Null);

    let answer = say(&site, &id, &json!({"rating": "down", "comment": " Too <b>long</b>. "})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let kept = json!({"rating": "down", "comment": "Too <b>long</b>."});
    assert_eq!(answer.json()["feedback"], kept);
    assert_eq!(site.get("/api/tasks").await.json()["tasks"][0]["feedback"], kept);
    assert!(page(&site, "/").await.contains("rated poor"));
    let shown = page(&site, &format!("/tasks/{id}")).await;
    assert!(shown.contains("Too &lt;b&gt;long") && shown.contains("aria-pressed=\"true\""), "{shown}");

    let answer = press(&site, &id, "rating=up&comment=Fine").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.header(header::LOCATION), format!("/tasks/{id}#feedback"));
    let feedback = site.get(&format!("/api/tasks/{id}")).await.json()["feedback"].clone();
    assert_eq!(feedback, json!({"rating": "up", "comment": "Fine"}));

    press(&site, &id, "rating=&comment=Fine").await;
    assert_eq!(site.get(&format!("/api/tasks/{id}")).await.json()["feedback"], Value::Null);
    assert!(!page(&site, "/").await.contains("rated"));
}

#[tokio::test]
async fn what_is_no_feedback_is_refused() {
    let site = Site::new().await;
    let (waiting, id) = (ended(&site).await, task(&site).await);
    let up = json!({"rating": "up"});
    assert_eq!(say(&site, &id, &up).await.status, StatusCode::CONFLICT);
    assert!(!page(&site, &format!("/tasks/{id}")).await.contains("Is the result good?"));
    assert_eq!(say(&site, &TaskId::generate(wall_clock::now()), &up).await.status, StatusCode::NOT_FOUND);
    for bad in [json!({"rating": "fine"}), json!({"comment": "no rating"}), json!({"rating": "up", "stars": 5})] {
        assert_eq!(say(&site, &waiting, &bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let long = json!({"rating": "up", "comment": "x".repeat(4097)});
    assert_eq!(say(&site, &waiting, &long).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(press(&site, &waiting, "rating=5").await.status, StatusCode::BAD_REQUEST);
}
