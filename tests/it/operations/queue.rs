//! Many tasks at once.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    harness::{Atelier, Settings, Zip, containers_of},
    model_server::{ModelServer, Reply},
};

/// A thousand by hand, in the bench; here enough to see that nothing grows.
const MANY: usize = 40;
const WORKERS: usize = 4;

#[tokio::test]
async fn f22_many_tasks_each_end_once_in_the_order_they_came() {
    let model = ModelServer::start().await;
    for _ in 0..=MANY {
        model.will(Reply::text("Done."));
    }
    let settings =
        Settings::new().model("openai", &model.url()).set("queue.max_running", i64::try_from(WORKERS).unwrap());
    let atelier = Atelier::start_with(settings).await;
    atelier.submit_zip(Zip::new().file("a", "a"), "Warm up.", &[]).await.completed().await;
    let open_files = atelier.open_files();

    let mut ids = Vec::new();
    for number in 0..MANY {
        ids.push(atelier.submit_zip(Zip::new().file("a", "a"), &format!("Task {number}."), &[]).await.id);
    }
    let last = atelier.task(ids.last().unwrap());
    while last.now().await["status"] != "completed" {
        assert!(containers_of(atelier.instance()).len() <= WORKERS);
        assert!(atelier.resident_kib() < 300 * 1024, "{} KiB", atelier.resident_kib());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut started = Vec::new();
    for id in &ids {
        let task = atelier.task(id).completed().await;
        started.push(task["started_at"].as_str().unwrap().to_owned());
        let ends = atelier.task(id).events_of("status").await;
        assert_eq!(ends.iter().filter(|event| event["status"] == "completed").count(), 1);
    }
    assert!(started.is_sorted(), "first come, first served: {started:?}");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), MANY);
    assert_eq!(model.received().len(), MANY + 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(atelier.open_files() <= open_files + 8, "{} open files, {open_files} before", atelier.open_files());
}

#[tokio::test]
async fn f25_a_task_is_cancelled_while_its_source_does_not_come() {
    // A git server that takes the call and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/team/tool.git", silent.local_addr().unwrap());
    let atelier = Atelier::start_with(Settings::new().allow_host("127.0.0.1")).await;
    let task = atelier.submit_git(&url, "Go.").await;
    task.reaches("fetch").await;
    let _call = silent.accept().await.unwrap();

    assert!(task.cancel().await.status().is_success());
    let ended = tokio::time::timeout(Duration::from_secs(5), task.ended()).await.expect("cancelled within 5 s");

    assert_eq!(ended["status"], "cancelled");
}
