//! A disk that fills up, small and in memory.

use std::{fs::File, path::Path};

use serde_json::json;

use crate::{
    harness::{Atelier, Settings, Zip, sh},
    model_server::{ModelServer, Reply},
};

/// The executable that lies in the data directory, and room for some tasks.
fn small_disk() -> u32 {
    let executable = std::fs::metadata(env!("CARGO_BIN_EXE_atelier")).unwrap().len() / (1 << 20);
    u32::try_from(executable).unwrap() + 200
}

fn fill(folder: &Path, filler: &str, leave_mb: u64) {
    let free: u64 = sh(folder, "df --output=avail -B1M . | tail -n 1").trim().parse().unwrap();
    let size = (free - leave_mb) << 20;
    rustix::fs::fallocate(File::create(folder.join(filler)).unwrap(), rustix::fs::FallocateFlags::empty(), 0, size)
        .unwrap();
}

fn integrity(data_dir: &Path) -> String {
    let script = "import sqlite3; print(sqlite3.connect('atelier.db').execute('PRAGMA integrity_check').fetchone()[0])";
    sh(data_dir, &format!("python3 -c \"{script}\"")).trim().to_owned()
}

#[tokio::test]
async fn f18_below_the_reserve_tasks_wait_below_half_of_it_none_are_taken_and_both_pass() {
    let model = ModelServer::start().await;
    for _ in 0..2 {
        model.will(Reply::text("Done."));
    }
    let settings = Settings::new().model("openai", &model.url()).small_disk(small_disk());
    let atelier = Atelier::start_with(settings).await;
    // The reserve is a tenth of this disk.
    let reserve = u64::from(small_disk() / 10);

    fill(&atelier.data_dir(), "first", reserve * 3 / 4);
    let waiting = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    waiting.wait_until("the reason", |task| task["queue"]["reason"] == "disk_reserve").await;
    assert_eq!(atelier.get_json("/api/tasks").await["tasks"].as_array().unwrap().len(), 1);

    fill(&atelier.data_dir(), "second", reserve / 4);
    let refused = atelier.post_zip(Zip::new().file("a", "a").bytes(), "Go.", &[]).await;
    assert_eq!(refused.status(), 507);
    assert_eq!(atelier.get_json("/api/tasks").await["tasks"].as_array().unwrap().len(), 1, "no row");

    for filler in ["first", "second"] {
        std::fs::remove_file(atelier.data_dir().join(filler)).unwrap();
    }
    waiting.completed().await;
    atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.completed().await;
}

#[tokio::test]
async fn f18_a_task_that_fills_the_disk_ends_with_that_reason_and_the_next_one_works() {
    let model = ModelServer::start().await;
    let fill = "dd if=/dev/zero of=big bs=1M count=4000; sleep 20";
    model.will(Reply::text("").tool_call("run_command", json!({ "command": fill })));
    model.will(Reply::text("Done."));
    let settings = Settings::new().model("openai", &model.url()).small_disk(small_disk());
    let atelier = Atelier::start_with(settings).await;

    atelier.submit_zip(Zip::new().file("a", "a"), "Fill the disk.", &[]).await.failed("disk_full").await;

    assert_eq!(integrity(&atelier.data_dir()), "ok");
    atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await.completed().await;
}
