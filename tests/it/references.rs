//! Where an explanation points: looked up on the server, shown as links, sent back when it points nowhere.

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Browser, Settings, Zip},
    model_server::{ModelServer, Reply},
};

async fn with_model(model: &ModelServer) -> Atelier {
    Atelier::start_with(Settings::new().model("openai", &model.url())).await
}

fn code() -> Zip {
    Zip::new()
        .file("src/start.py", "import time\n\ntime.sleep(9)\n")
        .file("notes of mine.txt", "<b>slow</b>\nstart\n")
        .entry("logo.png", b"\x89PNG\0", 0o644)
}

fn last_message(request: &Value) -> String {
    let messages = request["messages"].as_array().unwrap();
    messages.last().unwrap()["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_answer_with_wrong_references_goes_back_once_and_right_ones_become_links() {
    let model = ModelServer::start().await;
    model.will(Reply::text("It sleeps, see start.py:3 and src/start.py:30-40."));
    model.will(Reply::text(
        "# Why\n\n- It sleeps: `src/start.py:3`, see `notes of mine.txt:1-2`.\n- Not logo.png:1.\n\n```\nsrc/none.py:1\n```",
    ));
    let atelier = with_model(&model).await;
    let task = atelier.submit_zip(code(), "Why is the start slow?", &[("mode", "analyze")]).await;

    let ended = task.completed().await;

    assert_eq!(
        ended["references"],
        json!([
            {"path": "src/start.py", "start": 3, "end": 3, "valid": true, "problem": null},
            {"path": "notes of mine.txt", "start": 1, "end": 2, "valid": true, "problem": null},
            {"path": "logo.png", "start": 1, "end": 1, "valid": false,
             "problem": "the file is binary and has no lines"},
        ])
    );
    // The second answer is taken as it is, wrong or not.
    let received = model.received();
    assert_eq!(received.len(), 2);
    let told = last_message(&received[1].body);
    assert!(told.contains("- start.py:3: there is no such file; maybe src/start.py is meant"), "{told}");
    assert!(told.contains("- src/start.py:30-40: the file has 3 lines"), "{told}");
    let sent_back = task.events_of("sent_back").await;
    assert!(matches!(&sent_back[..], [only] if only["message"].as_str().unwrap().contains("2 of 2")), "{sent_back:?}");

    // The workspace is gone; what the links show is not.
    let browser = Browser::open().await;
    browser.page.goto(&atelier.login_link(&format!("/tasks/{}", task.id))).await.unwrap();
    browser.reads("Sent back: 2 of 2 references are wrong.").await;
    browser.reads("the file is binary").await;
    browser.click("a.reference[href*='notes']").await;
    browser.reads("<b>slow</b>").await;
    let marked =
        "return document.querySelectorAll('tr.marked').length + ' ' + document.querySelectorAll('main b').length";
    assert_eq!(browser.page.execute(marked, vec![]).await.unwrap(), json!("2 0"));
}

#[tokio::test]
async fn only_files_the_explanation_points_to_are_shown() {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "ln -s /etc/passwd link; echo new > made"})));
    model.will(Reply::text("See made:1, link:1 and `src/start.py:2`."));
    let atelier = with_model(&model).await;
    let task = atelier.submit_zip(code(), "Make it.", &[]).await;

    let ended = task.completed().await;

    // A change is explained, not sent back; lines are those of the code as it is at the end.
    let valid: Vec<_> =
        ended["references"].as_array().unwrap().iter().map(|found| (&found["path"], &found["valid"])).collect();
    assert_eq!(valid, [(&json!("made"), &json!(true)), (&json!("src/start.py"), &json!(true))]);
    let page = |path: &str| format!("/tasks/{}/source/{path}", task.id);
    assert!(atelier.get(&page("made")).await.text().await.unwrap().contains("new"));
    for path in ["link", "notes%20of%20mine.txt", "src", "..%2f..%2fatelier.db", "%2fetc%2fpasswd", "HEAD", "refs/kept"]
    {
        assert_eq!(atelier.get(&page(path)).await.status(), 404, "{path}");
    }
    let stranger = atelier.http.get(atelier.url(&page("made"))).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
}

#[tokio::test]
async fn an_answer_without_references_is_asked_for_them_once() {
    let model = ModelServer::start().await;
    model.will(Reply::text("It is fine."));
    model.will(Reply::text("It is fine; no line has to do with it."));
    let atelier = with_model(&model).await;
    let task = atelier.submit_zip(code(), "Which licence?", &[("mode", "analyze")]).await;

    let ended = task.completed().await;

    assert_eq!(
        (&ended["summary"], &ended["references"]),
        (&json!("It is fine; no line has to do with it."), &json!([]))
    );
    assert!(last_message(&model.received()[1].body).contains("no reference to a line"));
}
