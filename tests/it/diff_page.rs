//! What a person does with a patch in a browser: read it in colours and in two columns, look up a line of a large file, see
//! images, take the files home.

use serde_json::{Value, json};

use crate::{
    harness::{Atelier, Browser, Settings, Task, Zip, sh},
    model_server::{ModelServer, Reply},
};

const RED: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGM4wcCAFWEXHbQSALvlMgGxhdU2AAAAAElFTkSuQmCC";
const BLUE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAICAIAAAB/FOjAAAAAEklEQVR4nGNgYDhBIhrVQAMNADH8ZAGVW411AAAAAElFTkSuQmCC";

/// Runs a task that changes files with one command. The model server has to live as long as the task runs.
async fn changed(atelier: &Atelier, model: &ModelServer, zip: Zip, command: &str) -> String {
    model.will(Reply::text("I change files.").tool_call("run_command", json!({ "command": command })));
    model.will(Reply::text("Done."));
    let task: Task<'_> = atelier.submit_zip(zip, "Change files.", &[]).await;
    task.completed().await;
    task.id.clone()
}

async fn with_model() -> (ModelServer, Atelier) {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    (model, atelier)
}

async fn evaluate(browser: &Browser, script: &str) -> Value {
    browser.page.execute(script, vec![]).await.unwrap()
}

#[tokio::test]
async fn a_person_reads_a_patch_in_a_browser() {
    let (model, atelier) = with_model().await;
    let zip = Zip::new()
        .file("src/leap.py", "def leap(year):\n    return year % 4 == 0\n")
        .file("src/web/pages/one.css", "a { color: red }\n")
        .file("make-logo", RED);
    let command = format!(
        "sed -i 's/4 == 0/400 == 0/' src/leap.py; sed -i s/red/blue/ src/web/pages/one.css; seq 1 3000 > numbers.txt; \
         echo {BLUE} | base64 -d > logo.png; rm make-logo"
    );
    let id = Box::pin(changed(&atelier, &model, zip, &command)).await;
    let browser = Browser::open().await;
    browser.page.goto(&atelier.login_link(&format!("/tasks/{id}/diff"))).await.unwrap();

    // Words and colours, folders that are one, an image.
    browser.sees("ins b").await;
    let words = "const lines = document.querySelectorAll('.file[data-path=\"src/leap.py\"] :is(ins, del) b'); \
                 return [...lines].map(b => b.textContent)";
    assert_eq!(evaluate(&browser, words).await, json!(["4", "400"]));
    let keyword = "return document.querySelector('.file[data-path=\"src/leap.py\"] .k').textContent";
    assert_eq!(evaluate(&browser, keyword).await, json!("def"));
    let folders = "return [...document.querySelectorAll('.tree li summary')].map(s => s.textContent)";
    assert_eq!(evaluate(&browser, folders).await, json!(["src", "web/pages"]));
    browser.click(".images img").await;
    let width = "const i = document.querySelector('.images img'); return i.complete && i.naturalWidth";
    let mut seen = Value::Null;
    while seen != json!(16) {
        seen = evaluate(&browser, width).await;
    }

    // A link to a line that did not come with the page.
    let anchor = evaluate(&browser, "return document.querySelector('.file[data-path=\"numbers.txt\"]').id").await;
    let anchor = anchor.as_str().unwrap();
    assert_eq!(evaluate(&browser, &format!("return document.getElementById('{anchor}-R2222')")).await, Value::Null);
    browser.page.goto(&atelier.url(&format!("/tasks/{id}/diff#{anchor}-R2222-R2224"))).await.unwrap();
    browser.sees(&format!(".marked #{anchor}-R2223")).await;
    let place = format!(
        "const at = document.getElementById('{anchor}-R2222').getBoundingClientRect(); return at.top > 0 && at.bottom < innerHeight"
    );
    while evaluate(&browser, &place).await != json!(true) {}
    assert_eq!(evaluate(&browser, "return document.querySelectorAll('.marked').length").await, json!(3));

    // The filter, two columns, and that they stay.
    browser.sees("#filter").await.send_keys("LEAP").await.unwrap();
    let visible = "return [...document.querySelectorAll('.file:not([hidden])')].map(f => f.dataset.path)";
    assert_eq!(evaluate(&browser, visible).await, json!(["src/leap.py"]));
    browser.click(".choice-of-view a:not([aria-current])").await;
    browser.sees(".split ins b").await;
    browser.page.goto(&atelier.url(&format!("/tasks/{id}/diff"))).await.unwrap();
    browser.sees(".split").await;
    browser.sees("body").await.send_keys("v").await.unwrap();
    browser.sees(".unified").await;
}

#[tokio::test]
async fn a_patch_is_copied_and_applied_with_a_clipboard_for_scripts_and_without() {
    let (model, atelier) = with_model().await;
    let command = "printf 'one\ntwo <b>\nends' > new.txt; sed -i s/4/400/ leap.py";
    let zip = || Zip::new().file("leap.py", "def leap(year):\n    return year % 4 == 0\n");
    let id = Box::pin(changed(&atelier, &model, zip(), command)).await;
    let patch = String::from_utf8(atelier.task(&id).patch().await).unwrap();
    let line = format!(
        "curl -fsS -H \"Authorization: Bearer $ATELIER_TOKEN\" {} | git apply",
        atelier.url(&format!("/logs/{id}/diff.patch"))
    );
    let browser = Browser::open().await;
    browser.page.goto(&atelier.login_link("/account")).await.unwrap();
    for _ in 0..2 {
        browser.page.goto(&atelier.url(&format!("/tasks/{id}/diff"))).await.unwrap();
        let open =
            "document.querySelector('.take').open = true; document.body.append(document.createElement('textarea'))";
        evaluate(&browser, open).await;
        for (button, text) in [
            ("[data-copy-from$='diff.patch']", &*patch),
            ("[data-copy='apply-command']", &line),
            ("[data-path='new.txt'] [data-copy-from$='text']", "one\ntwo <b>\nends"),
            ("[data-path='leap.py'] [data-copy]", "leap.py"),
        ] {
            // What is unfolded lies over the files.
            let fold = format!(
                "const take = document.querySelector('.take'); take.open = take.contains(document.querySelector({button:?}))"
            );
            evaluate(&browser, &fold).await;
            browser.click(button).await;
            browser.reads("Copied").await;
            evaluate(&browser, "const field = document.querySelector('textarea'); field.value = ''; field.focus()")
                .await;
            browser.types("\u{e009}v").await;
            assert_eq!(evaluate(&browser, "return document.querySelector('textarea').value").await, text, "{button}");
            browser.does_not_read("Copied").await;
        }
        // As it is where the server is reached without https.
        let without = "Object.defineProperty(Navigator.prototype, 'clipboard', { value: undefined })";
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": without })).await;
    }
    browser.complains_of_nothing().await;
    let folder = tempfile::tempdir().unwrap();
    zip().unpack(folder.path());
    sh(folder.path(), &format!("git init -q && ATELIER_TOKEN={} && {line}", atelier.token()));
    assert_eq!(sh(folder.path(), "cat leap.py | grep return"), "    return year % 400 == 0\n");
}

#[tokio::test]
async fn r46_r49_hostile_names_and_lines_of_a_patch_are_only_shown() {
    let (model, atelier) = with_model().await;
    let command = "printf '<img src=x onerror=\"window.breached = 1\">\\033[31m\\342\\200\\256 <script>window.breached = 1</script>\\n' > a.html; \
                   cp a.html '<img src=x onerror=window.breached=1>'; cp a.html \"$(printf 'n\\nl\\033\\342\\200\\256\\377')\"; \
                   cp a.html x.png; printf 'GIF89a\\000<script>window.breached = 1</script>' > y.png; ln -s /etc/passwd link";
    let id = Box::pin(changed(&atelier, &model, Zip::new().file("a", "a"), command)).await;
    let browser = Browser::open().await;
    browser.page.goto(&atelier.login_link(&format!("/tasks/{id}/diff"))).await.unwrap();
    browser.reads("symbolic link").await;
    browser.reads("⟦U+202E⟧").await;
    let foreign = "return [window.breached, document.querySelectorAll('main img[src=x], main script').length]";
    for address in [format!("/tasks/{id}/diff?view=split"), format!("/tasks/{id}/diff/files/1")] {
        browser.page.goto(&atelier.url(&address)).await.unwrap();
        browser.reads("onerror").await;
        assert_eq!(evaluate(&browser, foreign).await, json!([null, 0]), "{address}");
    }
    // What claims to be an image by its name and by its first bytes runs nothing either.
    for n in 1..=7 {
        let answer = atelier.get(&format!("/tasks/{id}/diff/files/{n}/after")).await;
        if answer.status() == 200 {
            assert_eq!(answer.headers()["content-type"], "image/gif");
            assert_eq!(answer.headers()["content-security-policy"], "default-src 'none'; sandbox");
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        } else {
            assert_eq!(answer.status(), 404);
        }
    }
}

#[tokio::test]
async fn the_files_of_a_result_can_be_taken_home() {
    let (model, atelier) = with_model().await;
    let zip = Zip::new().file("keep.txt", "kept\n").file("gone.txt", "x\n").executable("run.sh", "#!/bin/sh\n");
    let zip = zip.file("kind", "becomes a link").file("old.txt", &"a line\n".repeat(40));
    let command = format!(
        "rm gone.txt kind; ln -s keep.txt kind; mv old.txt 'new name.txt'; echo more >> run.sh; mkdir a; echo {BLUE} | base64 -d > a/logo.png; \
         printf 'ends without' > a/end.txt; echo ü > 'a/ü <b>.txt'"
    );
    let id = Box::pin(changed(&atelier, &model, zip, &command)).await;
    let kept = || {
        let entries = std::fs::read_dir(atelier.data_dir().join("tasks").join(&id)).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let kept_before = kept();
    let answer = atelier.get(&format!("/tasks/{id}/result.zip")).await;
    assert_eq!(answer.headers()["content-type"], "application/zip");
    assert_eq!(answer.headers()["content-disposition"], format!("attachment; filename=\"{id}.zip\"").as_str());
    let folder = tempfile::tempdir().unwrap();
    let bytes = answer.bytes().await.unwrap();
    zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap().extract(folder.path()).unwrap();
    let top = folder.path().join(&id);
    let text = |name: &str| std::fs::read_to_string(top.join(name)).unwrap();
    assert_eq!(
        (text("keep.txt"), text("run.sh"), text("a/end.txt")),
        ("kept\n".into(), "#!/bin/sh\nmore\n".into(), "ends without".into())
    );
    assert_eq!(text("new name.txt"), "a line\n".repeat(40));
    assert_eq!(text("a/ü <b>.txt"), "ü\n");
    assert_eq!(std::fs::read_link(top.join("kind")).unwrap(), std::path::Path::new("keep.txt"));
    assert_eq!(sh(&top, "base64 -w0 a/logo.png"), BLUE);
    assert_eq!(
        sh(&top, "test -x run.sh && ! test -e gone.txt && ! test -e old.txt && find . -mindepth 1 | wc -l"),
        "8\n"
    );
    // What was unpacked for it goes again.
    while kept() != kept_before {
        tokio::task::yield_now().await;
    }
}
