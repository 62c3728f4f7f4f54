//! A task as its submitter sees it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Atelier;

pub(crate) struct Task<'a> {
    atelier: &'a Atelier,
    pub(crate) id: String,
}

/// Longer than any task of the tests takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

impl<'a> Task<'a> {
    pub(crate) fn new(atelier: &'a Atelier, id: &str) -> Self {
        Self { atelier, id: id.to_owned() }
    }

    pub(crate) async fn now(&self) -> Value {
        self.atelier.get_json(&format!("/api/tasks/{}", self.id)).await
    }

    /// Waits for the end, whatever it is.
    pub(crate) async fn ended(&self) -> Value {
        self.wait_until("ended", |task| matches!(task["status"].as_str(), Some("completed" | "failed" | "cancelled")))
            .await
    }

    /// Waits for the end, which must be good.
    pub(crate) async fn completed(&self) -> Value {
        let task = self.ended().await;
        assert_eq!(task["status"], "completed", "{task:#}\n{:#?}", self.events().await);
        task
    }

    /// Waits for the end, which must be a failure of this kind.
    pub(crate) async fn failed(&self, kind: &str) -> Value {
        let task = self.ended().await;
        assert_eq!(task["error"]["kind"], kind, "{task:#}\n{:#?}", self.events().await);
        task
    }

    pub(crate) async fn reaches(&self, stage: &str) -> Value {
        self.wait_until(stage, |task| task["stage"] == stage).await
    }

    pub(crate) async fn wait_until(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let task = self.now().await;
            if condition(&task) {
                return task;
            }
            let has_ended = matches!(task["status"].as_str(), Some("completed" | "failed" | "cancelled"));
            assert!(!has_ended && started.elapsed() < PATIENCE, "waited in vain for {what}: {task:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a file or folder is not there any more.
    pub(crate) async fn wait_until_gone(&self, path: &std::path::Path) {
        let started = Instant::now();
        while path.exists() {
            assert!(started.elapsed() < PATIENCE, "{} stays", path.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn cancel(&self) -> reqwest::Response {
        self.atelier.post_json(&format!("/api/tasks/{}/cancel", self.id), &Value::Null).await
    }

    /// The events so far (all of them once the task has ended).
    pub(crate) async fn events(&self) -> Vec<Value> {
        let response = self.atelier.get(&format!("/api/tasks/{}/events", self.id)).await;
        let text = response.text().await.unwrap();
        text.lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    pub(crate) async fn events_of(&self, kind: &str) -> Vec<Value> {
        self.events().await.into_iter().filter(|event| event["kind"] == kind).collect()
    }

    /// What came of the tool calls, in order.
    pub(crate) async fn tool_results(&self) -> Vec<Value> {
        self.events_of("tool_returned").await.into_iter().map(|event| event["result"].clone()).collect()
    }

    pub(crate) async fn log(&self, name: &str) -> String {
        let response = self.atelier.get(&format!("/logs/{}/{name}", self.id)).await;
        assert!(response.status().is_success(), "{name}: {}", response.status());
        response.text().await.unwrap()
    }

    pub(crate) async fn patch(&self) -> Vec<u8> {
        self.atelier.get(&format!("/logs/{}/diff.patch", self.id)).await.bytes().await.unwrap().into()
    }
}
