//! Ways through the pages in a real browser: by keys, with a URL, along a task while it runs. None leaves a complaint of the
//! browser behind.

use serde_json::json;

use crate::{
    git_server::{GitServer, make_repository},
    harness::{Atelier, Browser, DockerDoor, Settings, Zip},
    model_server::{ModelServer, Reply},
};

const CTRL_ENTER: &str = "\u{e009}\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const ENTER: &str = "\u{e007}";

#[tokio::test]
async fn everything_is_reached_by_keys_and_fields_keep_theirs() {
    let door = DockerDoor::shut_at("/version");
    let atelier = Atelier::start_with(Settings::new().environment("DOCKER_HOST", &door.host())).await;
    for task in ["Alpha one.", "Beta two."] {
        atelier.submit_zip(Zip::new().file("a", "a"), task, &[]).await;
    }
    let browser = Browser::open().await;
    browser.page.goto(&atelier.login_link("/")).await.unwrap();
    browser.reads("Beta two.").await;

    browser.types("?").await;
    browser.reads("these keys").await;
    browser.types(ESCAPE).await;
    browser.types("n").await;
    browser.sees("#new-task").await;
    browser.sees("#task").await.send_keys("n g l ? j").await.unwrap();
    let typed = browser.page.execute("return document.getElementById('task').value", vec![]).await.unwrap();
    assert_eq!(typed, json!("n g l ? j"), "a field keeps its letters");
    browser.types(ESCAPE).await;
    browser.types("g").await;
    browser.types("l").await;
    browser.sees("#waiting").await;

    browser.types("/").await;
    browser.types("alpha").await;
    browser.types(ENTER).await;
    browser.does_not_read("Beta two.").await;
    browser.reads("Alpha one.").await;
    browser.types("j").await;
    browser.types(ENTER).await;
    browser.sees("#story").await;
    browser.reads("Alpha one.").await;
    browser.types("u").await;
    browser.sees("#waiting").await;
    browser.complains_of_nothing().await;
}

#[tokio::test]
async fn r16_a_url_is_judged_as_it_is_typed_and_its_branches_are_offered() {
    let folder = tempfile::tempdir().unwrap();
    make_repository(folder.path(), "team/tool.git", &[("a.txt", "one\n")]);
    let server = GitServer::start(folder.path()).await;
    let door = DockerDoor::shut_at("/version");
    let settings = Settings::new().environment("DOCKER_HOST", &door.host()).allow_host("127.0.0.1");
    let atelier = Atelier::start_with(settings).await;
    let browser = Browser::open().await;
    browser.page.goto(&atelier.login_link("/new")).await.unwrap();

    let focused = browser.page.execute("return document.activeElement.id", vec![]).await.unwrap();
    assert_eq!(focused, json!("task"), "the first field has the focus");
    browser.types("Mend the tool.").await;
    let url = browser.sees("#git_url").await;
    url.send_keys("https://10.0.0.1/team/tool.git").await.unwrap();
    browser.reads("allow_private_hosts").await;
    url.clear().await.unwrap();
    url.send_keys(&server.url("team/tool.git")).await.unwrap();
    browser.sees("#refs option[value=main]").await;
    browser.does_not_read("allow_private_hosts").await;

    browser.sees("#max_steps").await;
    browser.page.execute("document.querySelector('.options').open = true", vec![]).await.unwrap();
    browser.sees("#image").await.send_keys("no such image!").await.unwrap();
    browser.types(CTRL_ENTER).await;
    browser.sees("#error-image:not([hidden])").await;
    let kept = browser.page.execute("return document.getElementById('task').value", vec![]).await.unwrap();
    assert_eq!(kept, json!("Mend the tool."));
    browser.sees("#image").await.clear().await.unwrap();
    browser.types(CTRL_ENTER).await;
    browser.sees("#story").await;

    // The next time it is a click away.
    browser.page.goto(&atelier.url("/new")).await.unwrap();
    browser.click(".recent a").await;
    let filled = browser.page.execute("return document.getElementById('git_url').value", vec![]).await.unwrap();
    assert_eq!(filled, json!(server.url("team/tool.git")));
    browser.sees("#refs option[value=main]").await;
    // A form that is refused says so with its status.
    browser.complains_of_nothing_but("422").await;
}

#[tokio::test]
async fn a_task_tells_its_story_as_it_goes_on() {
    let door = DockerDoor::shut_at("/version");
    let model = ModelServer::start().await;
    for name in ["a.txt", "b.txt", "c.txt"] {
        model.will(Reply::text("").tool_call("read_file", json!({ "file_path": name })));
    }
    model
        .will(Reply::text("I look again.").tool_call("run_command", json!({ "command": "echo 'it works' && exit 3" })));
    model.will(Reply::text("All is well."));
    let settings = Settings::new().model("openai", &model.url()).environment("DOCKER_HOST", &door.host());
    let atelier = Atelier::start_with(settings).await;
    let setup = "#!/bin/sh\nprintf '\\033[31mred words\\033[0m and plain ones\\n'\nprintf 'second line\\n'\n";
    let zip = Zip::new().executable("setup.sh", setup).file("AGENTS.md", "Be kind.").file("a.txt", "a");
    let task = atelier.submit_zip(zip.file("b.txt", "b").file("c.txt", "c"), "Look around.", &[]).await;
    let browser = Browser::open().await;
    browser.page.goto(&atelier.login_link(&format!("/tasks/{}", task.id))).await.unwrap();
    browser.reads("Waiting, place 1 in line.").await;
    browser.page.execute("window.sameDocument = true", vec![]).await.unwrap();

    // It asks once, and no dialog stops the page.
    browser.click("#cancel summary").await;
    browser.reads("Stop this task?").await;
    browser.click("#cancel summary").await;

    door.open();
    browser.sees("#now[data-status=completed]").await;
    task.completed().await;
    let same = browser.page.execute("return window.sameDocument", vec![]).await.unwrap();
    assert_eq!(same, json!(true), "the page was not loaded again");
    // What was read in a row is one line, live as after a reload.
    for _ in 0..2 {
        browser.sees(".reading[data-holds]").await;
        let script = "const line = document.querySelector('.story > .reading');
            return [line.querySelectorAll(':scope ol > .call').length, document.querySelectorAll('.story > .call').length,
                    line.querySelector('.subject').textContent, document.querySelectorAll('.stages .stage-done').length]";
        let shape = browser.page.execute(script, vec![]).await.unwrap();
        assert_eq!(shape, json!([3, 2, "a.txt, b.txt, c.txt", 5]));
        browser.reads("it works").await;
        browser.reads("exit 3").await;
        browser.reads("AGENTS.md").await;
        browser.page.refresh().await.unwrap();
    }
    // A link to a step opens what holds it.
    let step = browser.page.execute("return document.querySelector('#call-2 > .anchor').href", vec![]).await.unwrap();
    browser.page.goto(step.as_str().unwrap()).await.unwrap();
    browser.sees(".reading details[open] #call-2:target").await;

    // The log: in colours, with a search and links to its lines.
    browser.sees("#setup").await;
    browser.page.execute("document.getElementById('setup').open = true", vec![]).await.unwrap();
    browser.sees("#find-setup").await.send_keys("PLAIN").await.unwrap();
    browser.types(ENTER).await;
    browser.reads("1 line holds").await;
    assert_eq!(browser.sees(".log-lines .sgr-1").await.text().await.unwrap(), "red words");
    browser.click(".log-line .number").await;
    browser.sees(".log-line:target").await;
    browser.reads("second line").await;
    browser.types("u").await;
    browser.sees("#story").await;
    browser.complains_of_nothing().await;
}

#[tokio::test]
async fn who_is_invited_works_beside_the_others_and_sees_nothing_of_them() {
    let door = DockerDoor::shut_at("/version");
    let atelier = Atelier::start_with(Settings::new().environment("DOCKER_HOST", &door.host())).await;
    let of_owner = atelier.submit_zip(Zip::new().file("a", "a"), "The owner's own.", &[]).await;
    let owner = Browser::open().await;
    owner.page.goto(&atelier.login_link("/people")).await.unwrap();
    owner.sees("#name").await.send_keys("Anna").await.unwrap();
    owner.types(ENTER).await;
    let link = owner.sees(".secret code").await.text().await.unwrap();

    let anna = Browser::open().await;
    anna.page.goto(&link).await.unwrap();
    anna.reads("Welcome, Anna").await;
    anna.types("correct horse battery").await;
    anna.types(ENTER).await;
    anna.sees("a.who[href='/account']").await;
    anna.page.goto(&atelier.url("/new")).await.unwrap();
    anna.sees("#task").await.send_keys("Anna's own.").await.unwrap();
    let zip = tempfile::Builder::new().suffix(".zip").tempfile().unwrap();
    std::fs::write(zip.path(), Zip::new().file("a", "a").bytes()).unwrap();
    anna.sees("#archive").await.send_keys(zip.path().to_str().unwrap()).await.unwrap();
    anna.click("#new-task button.primary").await;
    anna.sees("#story").await;
    anna.page.goto(&atelier.url("/")).await.unwrap();
    anna.reads("Anna's own.").await;
    anna.does_not_read("The owner's own.").await;
    anna.complains_of_nothing().await;
    anna.page.goto(&atelier.url(&format!("/tasks/{}", of_owner.id))).await.unwrap();
    anna.reads("There is no task with this id.").await;

    // The owner sees both; the link is used up.
    owner.page.goto(&atelier.url("/")).await.unwrap();
    owner.reads("Anna's own.").await;
    owner.reads("The owner's own.").await;
    owner.complains_of_nothing().await;
    anna.click("form[action='/logout'] button").await;
    anna.sees("form[action='/login'] #name").await;
    anna.page.goto(&atelier.url("/")).await.unwrap();
    anna.sees("#password").await;
    anna.page.goto(&link).await.unwrap();
    anna.reads("There is nothing at this address.").await;
    anna.page.goto(&atelier.url("/login")).await.unwrap();
    anna.sees("#name").await.send_keys("anna").await.unwrap();
    anna.sees("#password").await.send_keys("correct horse battery").await.unwrap();
    anna.types(ENTER).await;
    anna.reads("Anna's own.").await;
    // Two pages were not there, which the browser notes.
    anna.complains_of_nothing_but("the server responded with a status of 404").await;
}
