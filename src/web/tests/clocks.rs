//! The clock of the machine is set, forwards and backwards, while tasks wait and run.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use jiff::SignedDuration;

use super::{
    Site,
    site::{TOKEN, anonymous, request},
};
use crate::{
    db::Ending,
    domain::{event::EventBody, task::Stage, task_id::TaskId},
    wall_clock::shifted,
};

const GIT: &str = r#"{"source": {"git_url": "https://example.org/team/tool"}, "task": "Fix it"}"#;
const DAY: i64 = 24;

async fn submitted(site: &Site) -> TaskId {
    site.post_json("/api/tasks", GIT).await.json()["id"].as_str().unwrap().parse().unwrap()
}

async fn page(site: &Site, path: &str) -> String {
    let asked = request(Method::GET, path).header(header::ACCEPT, "text/html").body(Body::empty()).unwrap();
    let answer = site.send(asked).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    answer.body
}

#[tokio::test]
async fn f24_whatever_the_clock_says_order_is_by_number_and_no_time_is_negative() {
    // By a day, to the year 2041, to the year 2006.
    for hours in [DAY, -DAY, 15 * 366 * DAY, -20 * 366 * DAY] {
        let site = Site::new().await;
        shifted::set(SignedDuration::ZERO);
        let (first, second) = (submitted(&site).await, submitted(&site).await);
        let db = &site.state.db;
        db.claim_next(Vec::new()).await.unwrap();
        db.enter_stage(&first, Stage::Agent).await.unwrap();

        shifted::set(SignedDuration::from_hours(hours));
        let third = submitted(&site).await;
        db.append_event(&first, EventBody::Note { message: "after the clock was set".to_owned() }).await.unwrap();
        for path in ["/".to_owned(), format!("/tasks/{first}"), format!("/tasks/{second}"), format!("/tasks/{third}")] {
            page(&site, &path).await;
        }
        db.end_task(&first, Ending::Cancelled).await.unwrap();

        let list = site.get("/api/tasks").await.json();
        let ids: Vec<&str> =
            list["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [third.as_str(), second.as_str(), first.as_str()], "the newest first, by {hours} h");
        assert_eq!(db.claim_next(Vec::new()).await.unwrap().unwrap().task.id, second, "first come, first served");
        let events = db.events_after(&first, 0, 100).await.unwrap();
        assert!(events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
        let ended = page(&site, &format!("/tasks/{first}")).await;
        assert_eq!(ended.contains("after 0 s"), hours < 0, "what would be negative is nothing: {ended}");
        assert!(!ended.contains("-1 ") && !ended.contains("after -"), "{ended}");
        assert_eq!(site.get("/api/usage").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn f24_a_login_counts_by_the_clock_and_none_is_refused_for_a_clock_that_went_back() {
    let site = Site::new().await;
    let login = anonymous(Method::GET, &format!("/login?token={TOKEN}")).body(Body::empty()).unwrap();
    let cookie = site.send(login).await.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    for (hours, is_valid) in [(0, true), (-DAY, true), (29 * DAY, true), (31 * DAY, false), (-20 * 366 * DAY, true)] {
        shifted::set(SignedDuration::from_hours(hours));
        let asked = anonymous(Method::GET, "/api/tasks").header(header::COOKIE, &cookie).body(Body::empty()).unwrap();
        let expected = if is_valid { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(site.send(asked).await.status, expected, "after {hours} h");
    }
}
