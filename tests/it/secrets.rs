//! The keys of the server: none gets into a container, and none shows, whoever repeats it.

use std::{path::Path, process::Command};

use data_encoding::BASE64;
use serde_json::json;

use crate::{
    harness::{Atelier, Settings, Zip, containers_of},
    model_server::{ModelServer, Reply},
};

/// The key that `Settings::model` sets.
const KEY: &str = "sk-canary-7f3a9";
/// Puts the key together inside the container, where it is not.
const MAKE_KEY: &str = "KEY=sk-canary-7f; KEY=${KEY}3a9; ";

/// The key in every form that these tests bring into play.
fn forms() -> Vec<String> {
    let of_user = |user: &str| BASE64.encode(format!("{user}:{KEY}").as_bytes());
    // What is before the key in the base64 may stay.
    let forms = [KEY.to_owned(), of_user("user")[7..26].to_owned(), of_user("us")[4..23].to_owned()];
    forms.into_iter().chain(["-7f3a9".to_owned()]).collect()
}

fn assert_clean(what: &str, bytes: &[u8]) {
    for form in forms() {
        let found = bytes.windows(form.len()).position(|part| part == form.as_bytes());
        let around = |at: usize| String::from_utf8_lossy(&bytes[at.saturating_sub(200)..at + form.len()]);
        assert!(found.is_none(), "{what} shows {form}: {}", around(found.unwrap_or_default()));
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn r61_a_key_that_is_repeated_shows_nowhere() {
    let model = ModelServer::start().await;
    let basic = |user: &str| BASE64.encode(format!("{user}:{KEY}").as_bytes());
    let busy = format!("busy; you sent {KEY} and {}", basic("user"));
    model.will(Reply::status(503, &busy).with_header("retry-after-ms", "1").with_header("x-you-sent", KEY));
    model.will(
        Reply::text(&format!("I know {KEY}, {}, {} and sk-can\n\u{1b}[1mary-7f3a9.", basic("user"), basic("us")))
            .tool_call("run_command", json!({"command": format!("echo {KEY}"), KEY: [KEY]})),
    );
    let make_it = format!(
        "{MAKE_KEY} echo $KEY; printf user:$KEY | base64; printf '%s\\n-%s\\n' ${{KEY%-*}} ${{KEY##*-}}; echo $KEY > /app/output/a.txt; \
         printf 'x\\0%s' $KEY > /app/output/b.bin; echo $KEY > of-agent"
    );
    model.will(Reply::text("").tool_call("run_command", json!({"command": make_it})));
    model.will(Reply::text(&format!("Your key is {KEY}.")));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let setup = format!("#!/bin/sh\n{MAKE_KEY} echo $KEY; printf %s ${{KEY%-*}}; sleep 0.2; printf %s -${{KEY##*-}}\n");
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", &setup), "Show me.", &[]).await;

    let ended = task.completed().await;

    assert_eq!(ended["summary"], "Your key is ***.");
    let results = task.tool_results().await;
    assert!(results[0]["message"].as_str().unwrap().contains("unknown field `***`"), "{results:#?}");
    assert!(results[1]["stdout"].as_str().unwrap().starts_with("***\n"), "{results:#?}");
    assert_eq!(task.log("output/a.txt").await, "***\n");
    assert_eq!(task.log("setup.log").await, "***\n***");
    let warnings: Vec<String> = task.events_of("warning").await.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|text| text.contains("b.bin")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("diff.patch holds a secret")), "{warnings:?}");
    // The one exception, which the warning is about: masked, the patch would not apply.
    let patch = atelier.data_dir().join(format!("logs/{}/diff.patch", task.id));
    assert!(std::fs::read_to_string(&patch).unwrap().contains(KEY));

    let refused = refusals(&atelier, &model).await;

    let program = atelier.data_dir().join("bin");
    let written =
        files_below(&atelier.data_dir()).into_iter().filter(|path| !path.starts_with(&program) && *path != patch);
    for path in written {
        assert_clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
    for id in refused.iter().chain([&task.id]) {
        for address in [format!("/tasks/{id}"), format!("/api/tasks/{id}"), format!("/api/tasks/{id}/events")] {
            assert_clean(&address, &atelier.get(&address).await.bytes().await.unwrap());
        }
    }
    for address in [format!("/tasks/{}/diff", task.id), "/".to_owned(), "/new".to_owned(), "/api/tasks".to_owned()] {
        assert_clean(&address, &atelier.get(&address).await.bytes().await.unwrap());
    }
    assert_clean("the server's log", atelier.server_log().as_bytes());
    assert!(model.received().iter().all(|request| request.headers["authorization"].ends_with(KEY)));
}

/// Tasks that fail with the key in the reason: an error body, a redirect, an HTML page. Their ids.
async fn refusals(atelier: &Atelier, model: &ModelServer) -> Vec<String> {
    let mut ids = Vec::new();
    for (reply, kind) in [
        (Reply::status(400, &format!("Incorrect API key provided: {KEY}")), "llm_error"),
        (Reply::redirect(&format!("http://127.0.0.1:1/?key={KEY}")), "llm_error"),
        (Reply::body("text/plain", &format!("what is {KEY}?")), "llm_bad_output"),
    ] {
        model.will(reply);
        if kind == "llm_bad_output" {
            model.will(Reply::body("text/plain", &format!("again, what is {KEY}?")));
        }
        let task = atelier.submit_zip(Zip::new().file("a", "a"), &format!("My key is {KEY}"), &[]).await;
        let ended = task.failed(kind).await;
        assert!(ended["error"]["message"].as_str().unwrap().contains("***"), "{ended:#}");
        assert_eq!(ended["task"], "My key is ***");
        ids.push(task.id);
    }
    ids
}

#[tokio::test]
async fn r60_no_key_and_no_token_gets_into_the_container() {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let token = std::fs::read_to_string(atelier.data_dir().join("admin-token")).unwrap().trim().to_owned();
    // A search that does not find itself: the pattern is not the text. Counted, for what it prints would be masked.
    let pattern = |secret: &str| format!("[{}]{}", &secret[..1], &secret[1..]);
    let look = format!(
        "P='-e {} -e {}'; echo env $(env | grep -c $P); \
         echo processes $(cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c $P); \
         echo files $(grep -rl $P / --exclude-dir=proc --exclude-dir=sys 2>/dev/null | wc -l)",
        pattern(KEY),
        pattern(&token)
    );
    // The model says the key: the reply on the socket, and with it the agent's transcript, must not hold it.
    model.will(Reply::text(KEY).tool_call("run_command", json!({"command": format!("echo {KEY}")})));
    model.will(Reply::text("").tool_call("run_command", json!({"command": look, "timeout": 100})));
    let wait = "while [ ! -e /app/output/go ]; do sleep 0.1; done";
    model.will(Reply::text("").tool_call("run_command", json!({"command": wait, "timeout": 100})));
    model.will(Reply::text("Done."));
    let task = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\nenv\n"), "Look.", &[]).await;

    task.wait_until("the last command", |task| task["steps"] == 3).await;
    let [container] = &containers_of(atelier.instance())[..] else { panic!("not one container") };
    for arguments in [vec!["inspect", container], vec!["history", "--no-trunc", "atelier-agent:latest"]] {
        let output = Command::new("docker").args(&arguments).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty());
        for secret in [KEY, &token] {
            assert!(!String::from_utf8_lossy(&output.stdout).contains(secret), "docker {arguments:?}");
        }
    }
    let workspace = atelier.data_dir().join(format!("tasks/{}", task.id));
    let grep = format!("grep -rlF -e {KEY} -e {token} {}", workspace.display());
    let found = Command::new("sh").args(["-c", &grep]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    std::fs::write(workspace.join("output/go"), "").unwrap();
    task.completed().await;

    let results = task.tool_results().await;
    assert_eq!(results[0]["stdout"], "setup.sh\n", "what ran was `echo ***`");
    assert_eq!(results[1]["stdout"], "env 0\nprocesses 0\nfiles 0\n", "{results:#?}");
}
