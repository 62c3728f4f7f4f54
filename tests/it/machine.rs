//! The machine the server runs on: what it leaves open there, and what it thinks of the engine.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::harness::{Atelier, Settings, Zip, leap_year};

#[tokio::test]
async fn r66_data_and_memory_are_open_to_nobody_else() {
    let atelier = Atelier::start().await;
    let mode = |name: &str| atelier.data_dir().join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("tasks"), mode("logs")), (0o700, 0o700, 0o700));
    for file in ["atelier.db", "atelier.db-wal", "atelier.db-shm", "admin-token"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", atelier.process_id())).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
}

#[tokio::test]
async fn what_stands_in_the_home_of_whoever_runs_the_server_does_not_matter() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".gitconfig"), "[core\n").unwrap();
    let settings = Settings::new().environment("HOME", home.path().to_str().unwrap());
    let atelier = Atelier::start_with(settings).await;
    atelier.submit_zip(Zip::new().folder(&leap_year()), "Mend the tests.", &[]).await.completed().await;
}

/// Says to everything that it is an engine of this version.
async fn engine(version: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let body = json!({
        "Version": version, "ApiVersion": "1.41", "MinAPIVersion": "1.24", "KernelVersion": "6.1.0", "Os": "linux",
        "Arch": "amd64", "Components": [{"Name": "Engine", "Version": version}, {"Name": "runc", "Version": "1.3.6"}],
    })
    .to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = body.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
                    let _ = stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn r35_an_old_engine_is_warned_of_and_starts_no_task_where_that_is_wished() {
    let url = engine("28.5.2").await;
    let settings = || Settings::new().set("sandbox.docker_host", url.clone());
    let atelier = Atelier::start_with(settings().set("sandbox.engine_check", "strict")).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Wait.", &[]).await;
    task.wait_until("the reason", |task| task["queue"].to_string().contains("28.5.2")).await;
    assert_eq!(task.now().await["status"], "queued");
    let page = atelier.get(&format!("/tasks/{}", task.id)).await.text().await.unwrap();
    assert!(page.contains("28.5.2 has known holes"), "{page}");
    task.cancel().await;

    let atelier = Atelier::start_with(settings()).await;
    let warned = async {
        while !atelier.server_log().contains("28.5.2 has known holes") {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let warned = tokio::time::timeout(std::time::Duration::from_secs(20), warned).await;
    assert!(warned.is_ok(), "{}", atelier.server_log());
}
