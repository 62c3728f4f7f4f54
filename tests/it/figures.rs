//! What the server tells its owner about itself: figures and log.

use crate::{
    harness::{Atelier, Settings, Zip},
    model_server::{ModelServer, Reply},
};

/// The value of a series.
fn value(figures: &str, series: &str) -> f64 {
    let line = figures.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.expect(series).parse().unwrap()
}

#[tokio::test]
async fn the_figures_count_what_the_tasks_did() {
    let model = ModelServer::start().await;
    model.will(Reply::status(503, "busy"));
    model.will(Reply::text("").tool_call("run_command", serde_json::json!({"command": "true"})).usage(100, 20, 10));
    model.will(Reply::text("Done.").usage(200, 0, 5));
    let settings = Settings::new().model("openai", &model.url()).set("server.log_format", "json");
    let settings = settings.environment("ATELIER_LOG", "info");
    let atelier = Atelier::start_with(settings).await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[]).await;
    task.completed().await;
    let broken = atelier.submit_zip(Zip::new().executable("setup.sh", "#!/bin/sh\nexit 1\n"), "Go.", &[]).await;
    broken.failed("setup_failed").await;

    // The figures follow the events by a moment.
    let failed = "atelier_tasks_ended_total{status=\"failed\",reason=\"setup_failed\"} 1";
    let figures = loop {
        let figures = atelier.get("/metrics").await.text().await.unwrap();
        if figures.contains(failed) {
            break figures;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    for (series, expected) in [
        ("atelier_tasks{status=\"completed\"}", 1.0),
        ("atelier_tasks{status=\"failed\"}", 1.0),
        ("atelier_tasks_ended_total{status=\"completed\",reason=\"\"}", 1.0),
        ("atelier_queue_wait_seconds_count", 2.0),
        ("atelier_stage_seconds_count{stage=\"fetch\"}", 2.0),
        ("atelier_stage_seconds_count{stage=\"clean_up\"}", 2.0),
        ("atelier_steps_total", 2.0),
        ("atelier_tokens_total{kind=\"input\"}", 300.0),
        ("atelier_tokens_total{kind=\"cached_input\"}", 20.0),
        ("atelier_tokens_total{kind=\"output\"}", 15.0),
        ("atelier_model_errors_total{provider=\"mock\",kind=\"unavailable\"}", 1.0),
        ("atelier_leaks", 0.0),
        ("atelier_docker_up", 1.0),
    ] {
        assert!((value(&figures, series) - expected).abs() < f64::EPSILON, "{series}: {figures}");
    }
    for series in ["atelier_disk_free_bytes", "process_resident_memory_bytes", "process_open_fds"] {
        assert!(value(&figures, series) > 0.0, "{series}");
    }

    let log = atelier.server_log();
    let entries = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let of_task: Vec<_> = entries.filter(|entry| entry["span"]["id"] == task.id).collect();
    assert!(!of_task.is_empty(), "no line of the log names the task: {log}");
}
