//! Killed while the result is collected: it is collected again, and nobody ever sees half a file.

use super::{run, wait_for};
use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply},
};

#[tokio::test]
async fn f09_a_result_is_collected_again_and_never_half() {
    const BYTES: usize = 3_000_000;
    let model = ModelServer::start().await;
    let files = format!("for n in 1 2 3 4 5 6; do yes line | head -c {BYTES} > /app/output/file$n; done; echo x > new");
    model.will(run(&files));
    model.will(Reply::text("Done."));
    let mut atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Run.", &[]).await.id;
    let (logs, code) =
        (atelier.data_dir().join(format!("logs/{id}")), atelier.data_dir().join(format!("tasks/{id}/code")));
    let output = logs.join("output");
    let sizes = || -> Vec<u64> {
        let Ok(files) = std::fs::read_dir(&output) else { return Vec::new() };
        files.map(|file| file.unwrap().metadata().unwrap().len()).collect()
    };
    wait_for("the first of the files", || !sizes().is_empty()).await;

    atelier.kill();
    let seen = sizes();
    assert!(seen.iter().all(|size| *size == BYTES as u64), "half a file: {seen:?}");
    assert!(seen.len() < 6 && code.exists(), "the kill came too late to prove anything: {seen:?}");
    atelier.start_again().await;

    let task = atelier.task(&id);
    task.completed().await;
    assert_eq!(sizes(), vec![BYTES as u64; 6]);
    assert!(String::from_utf8(task.patch().await).unwrap().contains("+x"));
    assert_eq!(task.log("explanation.md").await, "Done.");
    assert!(!logs.join(".draft").exists());
    assert_eq!(model.received().len(), 2);
}
