//! What a person does in a browser: log in, drop a zip, watch, see the patch.

use serde_json::json;

use crate::{
    harness::{Atelier, Browser, DockerDoor, Settings, Zip, leap_year},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn a_person_submits_a_zip_and_sees_the_patch() {
    let atelier = Atelier::start().await;
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("leap-year.zip");
    std::fs::write(&zip, Zip::new().folder(&leap_year()).bytes()).unwrap();
    let browser = Browser::open().await;

    browser.page.goto(&atelier.login_link("/new")).await.unwrap();
    browser.sees("#archive").await.send_keys(zip.to_str().unwrap()).await.unwrap();
    browser.sees("#task").await.send_keys("Mend the tests.").await.unwrap();
    browser.click("#new-task button.primary").await;

    // The page of the task comes by itself and fills while the task runs.
    browser.reads("Mend the tests.").await;
    browser.reads("pytest -q").await;
    browser.reads("What was wrong").await;
    browser.reads("completed").await;
    browser.click("#outcome a[href$='/diff']").await;
    browser.reads("year % 400 == 0").await;
    browser.complains_of_nothing().await;
}

#[tokio::test]
async fn r49_what_agents_and_people_write_never_becomes_markup() {
    let evil = "<script>window.breached = 1</script><img src=x onerror=\"window.breached = 1\">";
    let model = ModelServer::start().await;
    model.will(
        Reply::text(evil).tool_call("run_command", json!({ "command": format!("echo '{evil}' | tee '<b>bold'") })),
    );
    model.will(Reply::text(evil));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let zip = Zip::new().executable("setup.sh", &format!("#!/bin/sh\ncat <<'END'\n{evil}\nEND\n"));
    let task = atelier.submit_zip(zip, evil, &[]).await;
    task.completed().await;
    let browser = Browser::open().await;

    browser.page.goto(&atelier.login_link("/")).await.unwrap();
    for path in ["/".to_owned(), format!("/tasks/{}", task.id), format!("/tasks/{}/diff", task.id)] {
        browser.page.goto(&atelier.url(&path)).await.unwrap();
        browser.reads("<script>").await;
        let foreign =
            "return [window.breached, document.querySelectorAll('main img, main b, script:not([src])').length]";
        assert_eq!(browser.page.execute(foreign, vec![]).await.unwrap(), json!([null, 0]), "{path}");
    }
}

#[tokio::test]
async fn why_a_task_waits_stays_true_without_a_reload() {
    let door = DockerDoor::shut_at("/version");
    let model = ModelServer::start().await;
    model.will(Reply::text("All done."));
    let settings = Settings::new().model("openai", &model.url()).environment("DOCKER_HOST", &door.host());
    let atelier = Atelier::start_with(settings).await;
    let first = atelier.submit_zip(Zip::new().file("a", "a"), "First.", &[]).await;
    let second = atelier.submit_zip(Zip::new().file("a", "a"), "Second.", &[]).await;
    second.wait_until("the reason", |task| task["queue"]["reason"] == "docker_unavailable").await;
    let browser = Browser::open().await;

    browser.page.goto(&atelier.login_link(&format!("/tasks/{}", second.id))).await.unwrap();
    browser.reads("Waiting, place 2 in line. Docker does not answer.").await;
    let notices = "return document.getElementById('notices').textContent";
    let notice = browser.page.execute(notices, vec![]).await.unwrap();
    assert!(notice.as_str().unwrap().contains("Docker does not answer"), "{notice}");
    browser.page.execute("window.sameDocument = true", vec![]).await.unwrap();

    first.cancel().await;
    browser.reads("Waiting, place 1 in line. Docker does not answer.").await;
    door.open();
    browser.reads("All done.").await;
    // The door is served by this test as long as it waits.
    second.completed().await;

    let seen = browser.page.execute("return window.sameDocument", vec![]).await.unwrap();
    assert_eq!(seen, json!(true), "the page was not loaded again");
    assert_eq!(browser.page.execute(notices, vec![]).await.unwrap(), json!(""), "nothing is in the way any more");
}

#[tokio::test]
async fn the_page_of_a_log_grows_with_it_and_follows_its_end() {
    let atelier = Atelier::start().await;
    let setup = "#!/bin/sh\nfor n in $(seq 1 2000); do echo \"row $n.\"; sleep 0.05; done\n";
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", setup), "Go.", &[]).await;
    task.reaches("setup").await;
    let browser = Browser::open().await;
    let shown = |text: &str| format!("return document.getElementById('log').textContent.includes('{text}')");
    let grows_to = async |text: &str| {
        while browser.page.execute(&shown(text), vec![]).await.unwrap() != json!(true) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let page = format!("/tasks/{}/logs/setup.log", task.id);
    // The log is there with its first line.
    while atelier.get(&page).await.status() != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    browser.page.goto(&atelier.login_link(&page)).await.unwrap();
    browser.page.execute("window.sameDocument = true; scrollTo(0, document.body.scrollHeight)", vec![]).await.unwrap();
    grows_to("row 140.").await;
    let distance = "return document.documentElement.scrollHeight - innerHeight - scrollY";
    let distance = browser.page.execute(distance, vec![]).await.unwrap().as_f64().unwrap();
    assert!(distance < 80.0, "the end is {distance} pixels away");

    browser.page.execute("scrollTo(0, 0)", vec![]).await.unwrap();
    grows_to("row 200.").await;
    let seen = browser.page.execute("return [scrollY, window.sameDocument]", vec![]).await.unwrap();
    assert_eq!(seen, json!([0, true]), "who scrolled away stays there, and nothing was loaded again");

    task.cancel().await;
    browser.does_not_read("new lines appear here").await;
    browser.complains_of_nothing().await;
}

#[tokio::test]
async fn nothing_is_shown_without_a_login() {
    let atelier = Atelier::start().await;
    let browser = Browser::open().await;
    for path in ["/", "/new", "/tasks/20261120_aaaaaaaaaaaa"] {
        browser.page.goto(&atelier.url(path)).await.unwrap();
        assert!(browser.page.current_url().await.unwrap().path().starts_with("/login"), "{path}");
    }
}
