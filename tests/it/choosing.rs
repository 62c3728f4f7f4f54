//! Files and hunks are left out of a result: what is left applies to the source wherever it is taken from.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    forges::{Forge, Kind},
    harness::{Atelier, Settings, Task, Zip, apply_patch, commit_all, sh},
    model_server::{ModelServer, Reply},
    publishing::outcome,
};

async fn server(settings: Settings, command: &str) -> (Atelier, ModelServer) {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({ "command": command })));
    model.will(Reply::text("Title: Change much\n\nIt is changed."));
    (Atelier::start_with(settings.model("openai", &model.url())).await, model)
}

fn numbers(last: &str) -> String {
    (1..=40).fold(String::new(), |text, n| format!("{text}{n}\n")) + last
}

fn source() -> Zip {
    Zip::new()
        .file("three", &numbers("end"))
        .file("alike", &"a\nb\nc\nd\nsame\ne\nf\ng\nh\n".repeat(3))
        .file("old", &numbers(""))
        .file("gone", "gone\n")
        .file("file", "becomes a folder\n")
        .file("text", "becomes a link\n")
        .file("script", &numbers(""))
        .entry("binary", b"\0\x01\x02", 0o644)
}

const WORK: &str = "sed -i -e 's/^2$/two/' -e 's/^20$/twenty/' -e 's/^end$/END/' three; sed -i s/same/other/ alike; \
                    mv old new; sed -i -e 's/^3$/three/' -e 's/^30$/thirty/' new; rm gone; \
                    rm file; mkdir file; echo x > file/inside; rm text; ln -s three text; \
                    chmod +x script; sed -i -e 's/^4$/four/' -e '$a more' script; printf '\\0\\1\\3' > binary; echo new > added";

async fn selection(atelier: &Atelier, id: &str) -> Value {
    atelier.get_json(&format!("/api/tasks/{id}/selection")).await
}

async fn leave_out(atelier: &Atelier, id: &str, ids: &[&Value]) -> reqwest::Response {
    let asked = atelier.request(Method::PUT, &format!("/api/tasks/{id}/selection"));
    asked.json(&json!({ "left_out": ids })).send().await.unwrap()
}

fn file<'a>(selection: &'a Value, path: &str) -> &'a Value {
    selection["files"].as_array().unwrap().iter().find(|file| file["path"] == path).unwrap()
}

/// The source with the patch of the task as it is now, applied by git to a clean checkout.
async fn applied(task: &Task<'_>, folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir(folder).unwrap();
    source().unpack(folder);
    commit_all(folder);
    let patch = task.patch().await;
    if !patch.is_empty() {
        apply_patch(folder, &patch);
    }
}

fn changed(folder: &Path) -> String {
    sh(folder, "git add -A && git diff --cached --name-status -M")
}

#[tokio::test]
async fn what_is_left_out_is_not_in_the_patch_and_the_rest_of_it_applies() {
    let (atelier, _model) = server(Settings::new(), WORK).await;
    let task = atelier.submit_zip(source(), "Change it.", &[]).await;
    let whole_diff = task.completed().await["diff"].clone();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("clean");
    let whole = task.patch().await;
    let all = selection(&atelier, &task.id).await;
    assert_eq!(file(&all, "three")["hunks"].as_array().unwrap().len(), 3, "{all:#}");
    assert_eq!((&file(&all, "new")["old_path"], &file(&all, "new")["status"]), (&json!("old"), &json!("renamed")));
    assert_eq!(file(&all, "text")["status"], "modified");

    // One of three hunks, in the middle; the last of them touches the end without a newline.
    let three = &file(&all, "three")["hunks"];
    assert_eq!(leave_out(&atelier, &task.id, &[&three[0]["id"], &three[2]["id"]]).await.status(), 200);
    applied(&task, &root).await;
    assert_eq!(sh(&root, "git diff three | grep '^[-+][^-+]'"), "-20\n+twenty\n");
    assert_eq!(task.log("whole.patch").await.into_bytes(), whole);
    leave_out(&atelier, &task.id, &[&three[1]["id"]]).await;
    applied(&task, &root).await;
    assert_eq!(
        sh(&root, "git diff three | grep '^[-+\\\\][^-+]'"),
        "-2\n+two\n-end\n\\ No newline at end of file\n+END\n\\ No newline at end of file\n"
    );

    // Of three that are alike the second; hunks of a file that is renamed, and of one whose mode changes.
    let ids = [
        &file(&all, "alike")["hunks"][1]["id"],
        &file(&all, "new")["hunks"][0]["id"],
        &file(&all, "script")["hunks"][1]["id"],
    ];
    assert_eq!(leave_out(&atelier, &task.id, &ids).await.status(), 200);
    applied(&task, &root).await;
    assert_eq!(sh(&root, "grep -n 'same\\|other' alike"), "5:other\n14:same\n23:other\n");
    assert_eq!(
        sh(&root, "test ! -e old; sed -n '3p;30p' new; test -x script && sed -n 4p script; tail -1 script"),
        "3\nthirty\nfour\n40\n"
    );

    // Whole files of every kind.
    for (path, without) in [
        ("gone", "D\tgone\n"),
        ("binary", "M\tbinary\n"),
        ("added", "A\tadded\n"),
        ("text", "T\ttext\n"),
        ("script", "M\tscript\n"),
    ] {
        assert_eq!(leave_out(&atelier, &task.id, &[&file(&all, path)["id"]]).await.status(), 200);
        applied(&task, &root).await;
        let changed = changed(&root);
        assert!(!changed.contains(without) && changed.lines().count() > 7, "{path}: {changed}");
    }
    leave_out(&atelier, &task.id, &[&file(&all, "new")["id"]]).await;
    applied(&task, &root).await;
    assert_eq!(sh(&root, "test ! -e new && git diff --stat old"), "");

    // A file and a folder of one name cannot both be; nothing changes then.
    let before = task.patch().await;
    let refused = leave_out(&atelier, &task.id, &[&file(&all, "file")["id"]]).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("would be a file and a folder"));
    assert_eq!(leave_out(&atelier, &task.id, &[&json!("0123456789abcdef")]).await.status(), 422);
    assert_eq!(task.patch().await, before);
    let both = [&file(&all, "file")["id"], &file(&all, "file/inside")["id"]];
    assert_eq!(leave_out(&atelier, &task.id, &both).await.status(), 200);
    applied(&task, &root).await;
    assert_eq!(sh(&root, "cat file"), "becomes a folder\n");

    // Nothing is left, and all of it again.
    let everything: Vec<&Value> = all["files"].as_array().unwrap().iter().map(|file| &file["id"]).collect();
    leave_out(&atelier, &task.id, &everything).await;
    assert_eq!((task.patch().await.len(), &task.now().await["diff"]["files"]), (0, &json!(0)));
    assert_eq!(atelier.get(&format!("/tasks/{}.git/info/refs?service=git-upload-pack", task.id)).await.status(), 409);
    leave_out(&atelier, &task.id, &[]).await;
    assert_eq!((task.patch().await, &task.now().await["diff"]), (whole, &whole_diff));
    assert_eq!(atelier.get(&format!("/logs/{}/whole.patch", task.id)).await.status(), 404);
    let said = task.events_of("choice").await;
    assert_eq!((&said[0]["left_out"], &said.last().unwrap()["left_out"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn by_the_boxes_of_the_page_and_every_way_home_has_what_is_chosen() {
    let (atelier, _model) = server(Settings::new(), WORK).await;
    let task = atelier.submit_zip(source(), "Change it.", &[]).await;
    task.completed().await;
    let all = selection(&atelier, &task.id).await;
    let (added, hunk) = (&file(&all, "added")["id"], &file(&all, "three")["hunks"][0]["id"]);
    let diff = format!("/tasks/{}/diff", task.id);
    let page = atelier.get(&diff).await.text().await.unwrap();
    for id in [added, hunk] {
        assert!(page.contains(&format!("name=\"leave_out\" value={id}")), "{page}");
    }
    let send = |fields: Vec<(&'static str, String)>| {
        let fields: Vec<String> = fields.into_iter().map(|(name, id)| format!("{name}={id}")).collect();
        let asked = atelier.request(Method::POST, &format!("/tasks/{}/selection", task.id));
        asked.header("content-type", "application/x-www-form-urlencoded").body(fields.join("&")).send()
    };
    let id = |id: &Value| id.as_str().unwrap().to_owned();
    assert_eq!(send(vec![("leave_out", id(added)), ("leave_out", id(hunk))]).await.unwrap().status(), 303);

    let page = atelier.get(&diff).await.text().await.unwrap();
    assert!(page.contains("2 changes are left out") && page.contains("/whole.patch"), "{page}");
    for id in [added, hunk] {
        assert!(page.contains(&format!("name=\"take_in\" value={id}")), "{page}");
        assert!(!page.contains(&format!("name=\"leave_out\" value={id}")), "{page}");
    }
    let story = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
    assert!(story.contains("Left out of the result: 2 files or hunks."), "{story}");

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("clean");
    applied(&task, &root).await;
    let expected = sh(&root, "git add -A && git write-tree");
    assert_eq!(sh(&root, "test ! -e added && sed -n '2p;20p' three"), "2\ntwenty\n");
    let get = |name: &str| {
        let (path, file) = (format!("/tasks/{}/{name}", task.id), folder.path().join(name));
        let atelier = &atelier;
        async move { std::fs::write(file, atelier.get(&path).await.bytes().await.unwrap()).unwrap() }
    };
    get("result.mbox").await;
    get("result.bundle").await;
    get("result.zip").await;
    let work = folder.path();
    sh(
        work,
        "git clone --quiet result.bundle fetched && git clone --quiet clean mailed && python3 -m zipfile -e result.zip zipped",
    );
    assert_eq!(sh(&work.join("fetched"), "git rev-parse HEAD^{tree}"), expected);
    sh(&work.join("mailed"), "git -c user.name=A -c user.email=a@example.org am --quiet ../result.mbox");
    assert_eq!(sh(&work.join("mailed"), "git rev-parse HEAD^{tree}"), expected);
    assert_eq!(sh(work, "cmp zipped/*/three clean/three && ls zipped/*/added 2>/dev/null | wc -l"), "0\n");

    send(vec![("take_in", id(added))]).await.unwrap();
    get("result.bundle").await;
    sh(work, "rm -r fetched && git clone --quiet result.bundle fetched && test -e fetched/added");
    assert_eq!(sh(&work.join("fetched"), "sed -n 2p three"), "2\n");
}

#[tokio::test]
async fn a_pull_request_has_what_is_chosen_and_follows_a_new_choice() {
    let forge = Forge::start(Kind::Gitea, &[("greeting.txt", "helo\n"), ("other.txt", "one\n")]).await;
    let (atelier, _model) =
        server(forge.settings(), "echo hello > greeting.txt; echo two > other.txt; echo n > new").await;
    let task = atelier.submit_git(&forge.url(), "Change it.").await;
    task.completed().await;
    let all = selection(&atelier, &task.id).await;
    let publish = || async {
        let path = format!("/api/tasks/{}/pull-request", task.id);
        assert_eq!(atelier.post_json(&path, &Value::Null).await.status(), 202);
        assert_eq!(outcome(&task).await["state"], "opened");
        forge.git(&["diff", "--name-only", "main", &format!("atelier/{}", task.id)])
    };

    leave_out(&atelier, &task.id, &[&file(&all, "other.txt")["id"], &file(&all, "new")["id"]]).await;
    assert_eq!(publish().await, "greeting.txt");
    leave_out(&atelier, &task.id, &[&file(&all, "greeting.txt")["id"]]).await;
    assert_eq!(publish().await, "new\nother.txt");
    assert_eq!(forge.pulls().len(), 1);
}

#[tokio::test]
async fn a_further_turn_goes_on_from_all_of_it_and_what_was_judged_stays_out() {
    let (atelier, model) = server(Settings::new(), WORK).await;
    let task = atelier.submit_zip(source(), "Change it.", &[]).await;
    task.completed().await;
    let all = selection(&atelier, &task.id).await;
    let ids = [&file(&all, "added")["id"], &file(&all, "gone")["id"], &file(&all, "three")["hunks"][0]["id"]];
    leave_out(&atelier, &task.id, &ids).await;

    model.will(Reply::text("").tool_call(
        "run_command",
        json!({ "command": "cat added && test ! -e gone && sed -n 2p three && echo more >> added" }),
    ));
    model.will(Reply::text("Went on."));
    let told = atelier.post_json(&format!("/api/tasks/{}/messages", task.id), &json!({ "text": "Go on." })).await;
    assert_eq!(told.status(), 201);
    let refused = leave_out(&atelier, &task.id, &[]).await;
    assert_eq!(refused.status(), 409, "while it runs");
    task.completed().await;

    assert_eq!(task.tool_results().await[1]["stdout"], "new\ntwo\n");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("clean");
    applied(&task, &root).await;
    // What the turn changed is judged anew.
    assert_eq!(sh(&root, "cat added gone && sed -n '2p;20p' three"), "new\nmore\ngone\n2\ntwenty\n");
    let now = selection(&atelier, &task.id).await;
    assert_eq!((&file(&now, "gone")["left_out"], &file(&now, "added")["left_out"]), (&json!(true), &json!(false)));
    let first = task.log("turns/1/diff.patch").await;
    assert!(first.contains("+two") && first.contains("b/added"), "{first}");
}
