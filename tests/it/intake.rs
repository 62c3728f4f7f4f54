//! What is refused at the door, and that nothing half-made stays behind.

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::{
    git_server::GitServer,
    harness::{Atelier, Settings, Zip, commit_all},
    model_server::{ModelServer, Reply},
};

/// Neither a task nor a file of it.
async fn nothing_came_of_it(atelier: &Atelier) {
    assert_eq!(atelier.get_json("/api/tasks").await["tasks"], json!([]));
    for folder in ["tasks", "uploads", "logs"] {
        let left: Vec<_> = std::fs::read_dir(atelier.data_dir().join(folder)).unwrap().collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
}

async fn refused_zip(atelier: &Atelier, zip: Zip, kind: &str) {
    let response = atelier.post_zip(zip.bytes(), "Go.", &[]).await;
    assert_eq!(response.status(), 422, "{kind}");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["kind"], kind, "{problem}");
    nothing_came_of_it(atelier).await;
}

#[tokio::test]
async fn r1_names_that_lead_out_are_refused() {
    let atelier = Atelier::start().await;
    for name in ["../evil", "a/../../evil", "a\\..\\..\\evil", "/tmp/ABS_EVIL", "C:\\evil"] {
        refused_zip(&atelier, Zip::new().file("ok", "ok").file(name, "x"), "zip_unsafe_path").await;
    }
    assert!(!std::path::Path::new("/tmp/ABS_EVIL").exists());
}

#[tokio::test]
async fn r2_links_that_lead_out_are_refused_and_those_within_are_kept() {
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "readlink in; cat in"})));
    model.will(Reply::text("Done."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    for target in ["/etc/passwd", "../../etc/passwd"] {
        refused_zip(&atelier, Zip::new().file("ok", "ok").link("out", target), "zip_unsafe_link").await;
    }
    let chain = Zip::new().file("d/ok", "ok").link("d/up", "..").link("out", "d/up/../x");
    refused_zip(&atelier, chain, "zip_unsafe_link").await;
    let task = atelier.submit_zip(Zip::new().file("d/file", "text").link("in", "d/file"), "Look.", &[]).await;
    task.completed().await;
    assert_eq!(task.tool_results().await[0]["stdout"], "d/file\ntext");
}

#[tokio::test]
async fn r4_what_unpacks_to_too_much_is_refused_and_streamed_zips_are_taken() {
    let model = ModelServer::start().await;
    model.will(Reply::text("Done."));
    let settings = Settings::new().model("openai", &model.url()).set("source.max_unpacked_bytes", 1_000_000);
    let atelier = Atelier::start_with(settings).await;
    refused_zip(&atelier, Zip::new().entry("zeros", &vec![0; 2_000_000], 0o644), "zip_too_large").await;
    // `zip` writes sizes behind the data when it cannot seek back: a data descriptor.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "streamed").unwrap();
    let streamed = python_streamed_zip(folder.path());
    let response = atelier.post_zip(streamed, "Go.", &[]).await;
    assert_eq!(response.status(), 201);
    let id = response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    crate::harness::Task::new(&atelier, &id).completed().await;
}

#[tokio::test]
async fn r12_a_body_over_the_limit_is_refused_without_being_kept() {
    let atelier = Atelier::start_with(Settings::new().set("source.max_zip_bytes", 100_000)).await;
    let noise: Vec<u8> = (0..30_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let before = atelier.resident_kib();
    let response = atelier.post_zip(noise, "Go.", &[]).await;
    assert_eq!(response.status(), 413);
    nothing_came_of_it(&atelier).await;
    assert!(atelier.resident_kib() < before + 64 * 1024, "the server kept it in memory");
}

#[tokio::test]
async fn r14_and_r15_only_web_urls_are_fetched_and_nothing_is_an_option() {
    let atelier = Atelier::start().await;
    for url in [
        "file:///etc",
        "/tmp/x",
        "ext::sh -c touch% /tmp/c",
        "git://h/x",
        "ssh://h/x",
        "user@h:x",
        "-oProxyCommand=touch /tmp/c",
        "--upload-pack=touch /tmp/c",
        "http://example.org/x",
        "https:\\\\h\\x",
        "https://h/x\ny",
        "https://h/x\u{0}y",
        "https://h/x%00y",
    ] {
        let body = json!({"source": {"git_url": url}, "task": "Go."});
        assert_eq!(atelier.post_json("/api/tasks", &body).await.status(), 422, "{url}");
    }
    for git_ref in ["--output=/tmp/c", "-d", "a..b"] {
        let body = json!({"source": {"git_url": "https://example.org/a/b", "git_ref": git_ref}, "task": "Go."});
        assert_eq!(atelier.post_json("/api/tasks", &body).await.status(), 422, "{git_ref}");
    }
    nothing_came_of_it(&atelier).await;
}

#[tokio::test]
async fn r16_private_addresses_are_not_fetched_however_they_are_written() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let atelier = Atelier::start().await;
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1",
        "172.17.0.1",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
    ] {
        let body = json!({"source": {"git_url": format!("https://{host}:{port}/a/b")}, "task": "Go."});
        let response = atelier.post_json("/api/tasks", &body).await;
        if response.status() == 201 {
            let id = response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
            crate::harness::Task::new(&atelier, &id).failed("address_not_allowed").await;
        } else {
            assert_eq!(response.status(), 422, "{host}");
        }
    }
    let hit = tokio::time::timeout(std::time::Duration::from_millis(200), listener.accept()).await;
    assert!(hit.is_err(), "somebody connected");
}

#[tokio::test]
async fn a_ref_is_checked_out_and_one_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("r");
    std::fs::create_dir(&repository).unwrap();
    std::fs::write(repository.join("version"), "one\n").unwrap();
    commit_all(&repository);
    crate::harness::sh(&repository, "git tag v1 && git branch next");
    let git = GitServer::start(folder.path()).await;
    let model = ModelServer::start().await;
    model.will(Reply::text("").tool_call("run_command", json!({"command": "cat version"})));
    model.will(Reply::text("Done."));
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url()).allow_host("127.0.0.1")).await;

    let source = json!({"git_url": git.url("r"), "git_ref": "v1"});
    let task = atelier.submit(&json!({"source": source, "task": "Look."})).await;
    task.completed().await;
    assert_eq!(task.tool_results().await[0]["stdout"], "one\n");

    let source = json!({"git_url": git.url("r"), "git_ref": "no-such-branch"});
    let task = atelier.submit(&json!({"source": source, "task": "Look."})).await;
    let ended = task.failed("clone_failed").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("no-such-branch"), "{ended}");
}

#[tokio::test]
async fn a_git_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/r", silent.local_addr().unwrap().port());
    let accepting = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = silent.accept().await {
            let _ = stream.flush().await;
            held.push(stream);
        }
    });
    let settings = Settings::new().allow_host("127.0.0.1").set("source.clone_idle_timeout_s", 1);
    let atelier = Atelier::start_with(settings).await;
    atelier.submit_git(&url, "Go.").await.failed("clone_timeout").await;
    accepting.abort();
}

#[tokio::test]
async fn json_that_is_wrong_is_refused_by_the_name_of_the_field() {
    let atelier = Atelier::start().await;
    let source = json!({"git_url": "https://example.org/a/b"});
    for (body, word) in [
        (json!({"task": "Go."}), "source"),
        (json!({"source": source, "task": "  "}), "say what is to be done"),
        (json!({"source": source, "task": "Go.", "colour": "red"}), "colour"),
        (json!({"source": source, "task": "Go.", "mode": "pr"}), "publishing"),
        (json!({"source": source, "task": "Go.", "model": "nobody/x"}), "nobody"),
        (json!({"source": source, "task": "Go.", "limits": {"max_step": 1}}), "max_step"),
    ] {
        let response = atelier.post_json("/api/tasks", &body).await;
        assert_eq!(response.status(), 422, "{body}");
        let problem = response.text().await.unwrap();
        assert!(problem.contains(word), "{body}: {problem}");
    }
    nothing_came_of_it(&atelier).await;
}

/// A zip written to a pipe.
fn python_streamed_zip(folder: &std::path::Path) -> Vec<u8> {
    let program = "import sys, zipfile\n\
        class Pipe:\n    \
            def write(self, data): return sys.stdout.buffer.write(data)\n    \
            def flush(self): sys.stdout.flush()\n\
        with zipfile.ZipFile(Pipe(), 'w', zipfile.ZIP_DEFLATED) as z: z.write('a.txt')\n";
    let output = std::process::Command::new("python3").args(["-c", program]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
