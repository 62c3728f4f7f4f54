//! The patch with its author and message goes through the `git am` of whoever takes it.

use serde_json::json;

use crate::{
    harness::{Atelier, Settings, Zip, apply_patch, commit_all, sh},
    model_server::{ModelServer, Reply},
};

/// Tries to speak as somebody else, to end the message early, and to begin another mail.
const SUMMARY: &str = "Title: Größere Änderungen: 年 und \"Zeilen\", quer durch alles hindurch\n\n\
From: Mallory <mallory@example.org>\n\nFirst.\n---\ndiff --git a/x b/x\n\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n\nLast.";

async fn taken_home(zip: impl Fn() -> Zip, command: &str) -> String {
    let model = ModelServer::start().await;
    model.will(Reply::text("I change files.").tool_call("run_command", json!({ "command": command })));
    model.will(Reply::text(SUMMARY));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let task = atelier.submit_zip(zip(), "Change files.", &[]).await;
    task.completed().await;
    let answer = atelier.get(&format!("/tasks/{}/result.mbox", task.id)).await;
    assert_eq!(answer.status(), 200);
    let mailbox = answer.bytes().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let [applied, taken] = ["applied", "taken"].map(|name| folder.path().join(name));
    for side in [&applied, &taken] {
        std::fs::create_dir(side).unwrap();
        zip().unpack(side);
        commit_all(side);
    }
    apply_patch(&applied, &task.patch().await);
    let tree = "git -c core.autocrlf=false add -A && git write-tree";
    let expected = sh(&applied, tree);
    std::fs::write(taken.join("../result.mbox"), &mailbox).unwrap();
    sh(&taken, "git -c user.name=Ada -c user.email=ada@example.org am --quiet ../result.mbox");
    assert_eq!(sh(&taken, tree), expected);
    assert_eq!(sh(&taken, "git status --porcelain"), "");
    assert_eq!(sh(&taken, "git log --format='%an <%ae>, %cn' -1"), "Atelier <atelier@localhost>, Ada\n");
    assert_eq!(sh(&taken, "git rev-list --count HEAD"), "2\n");
    sh(&taken, "git log --format=%B -1")
}

#[tokio::test]
async fn a_patch_goes_through_git_am_with_its_message_whoever_the_model_says_it_is() {
    let zip =
        || Zip::new().file("a.txt", "one\ntwo\n").executable("run me.sh", "#!/bin/sh\n").file("old", "1\n2\n3\n4\n5\n");
    let command = "sed -i s/two/deux/ a.txt; chmod -x 'run me.sh'; mv old 'new ü'; head -c 300 /dev/urandom > bytes; \
                   printf 'no end of line' > tail; : > empty";

    let message = taken_home(zip, command).await;

    let (title, text) = message.split_once("\n\n").unwrap();
    assert_eq!(title, "Größere Änderungen: 年 und \"Zeilen\", quer durch alles hindurch");
    for line in ["From\u{200b}: Mallory", " ---", " diff -", " From 0000", "Last."] {
        assert!(text.lines().any(|said| said.starts_with(line)), "{line}: {text}");
    }
}

#[tokio::test]
async fn line_ends_of_windows_arrive_as_they_are() {
    let zip = || Zip::new().file("dos.txt", "one\r\ntwo\r\nthree\r\n").file("mixed.txt", "unix\ndos\r\n");

    let message =
        taken_home(zip, "sed -i s/two/deux/ dos.txt; printf 'gr\\374n\\n' >> mixed.txt; printf 'x\\r\\n' > new.txt")
            .await;

    assert!(message.ends_with("Last.\n\n"), "{message}");
}

#[tokio::test]
async fn without_a_change_there_is_no_mail() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Nothing is wrong here."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let task = atelier.submit_zip(Zip::new().file("a.txt", "a"), "Is anything wrong?", &[]).await;
    task.completed().await;

    assert_eq!(atelier.get(&format!("/tasks/{}/result.mbox", task.id)).await.status(), 404);
}
