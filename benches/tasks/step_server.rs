//! A model that answers at once with the next command, and notes when it was asked.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};

/// Speaks just enough of `/v1/chat/completions`.
pub(crate) struct StepServer {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    steps: Option<u32>,
    asked: Mutex<Vec<Instant>>,
    answered: Mutex<Vec<Instant>>,
}

impl StepServer {
    /// Lets `true` run `steps` times, then ends.
    pub(crate) async fn start(steps: u32) -> Self {
        Self::listen(Some(steps)).await
    }

    /// Never answers.
    pub(crate) async fn that_waits() -> Self {
        Self::listen(None).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/", self.port)
    }

    /// From each answer to the next question; the next question is the first of another task.
    pub(crate) fn take_gaps(&self) -> Vec<Duration> {
        let asked = std::mem::take(&mut *self.shared.asked.lock().unwrap());
        let answered = std::mem::take(&mut *self.shared.answered.lock().unwrap());
        answered.iter().zip(asked.iter().skip(1)).map(|(answer, question)| *question - *answer).collect()
    }

    /// Waits until it was asked so often.
    pub(crate) async fn asked(&self, times: usize) {
        while self.shared.asked.lock().unwrap().len() < times {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn listen(steps: Option<u32>) -> Self {
        let shared = Arc::new(Shared { steps, asked: Mutex::default(), answered: Mutex::default() });
        let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, shared }
    }
}

async fn answer(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let number = {
        let mut asked = shared.asked.lock().unwrap();
        asked.push(Instant::now());
        asked.len()
    };
    let Some(steps) = shared.steps else { return std::future::pending().await };
    let message = if number > steps as usize {
        json!({"role": "assistant", "content": "Done."})
    } else {
        // Each differs from the one before: a model that repeats itself is stopped.
        let arguments = json!({"command": format!("true {number}")}).to_string();
        let call = json!({"name": "run_command", "arguments": arguments});
        let call = json!({"id": format!("call_{number}"), "type": "function", "function": call});
        json!({"role": "assistant", "content": null, "tool_calls": [call]})
    };
    shared.answered.lock().unwrap().push(Instant::now());
    Json(json!({
        "id": "x", "object": "chat.completion", "created": 0, "model": "test-model",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    }))
}
