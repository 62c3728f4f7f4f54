//! The real providers' code against the model server.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::super::model_server::ModelServer;
use super::super::{Answer, Hold, Listener, LlmError, Model as _, Price, Request, Tool};
use super::{Hosted, HostedKind, HostedSettings, Timeouts};
use crate::domain::conversation::Message;
use crate::redact;

mod faults;
mod formats;
mod streams;

const KEY: &str = "sk-canary-1234567890";

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    total: Duration::from_secs(20),
};

/// All kinds, with the address of the server as a user would write it.
const KINDS: [(HostedKind, &str); 6] = [
    (HostedKind::OpenAi, "/v1"),
    (HostedKind::Anthropic, ""),
    (HostedKind::DeepSeek, "/deepseek"),
    (HostedKind::Gemini, "/v1beta"),
    (HostedKind::Ollama, ""),
    (HostedKind::OpenAiResponses, "/v1"),
];

fn settings(server: &ModelServer, kind: HostedKind, path: &str) -> HostedSettings {
    settings_at(kind, format!("{}{path}", server.url()))
}

fn settings_at(kind: HostedKind, base_url: String) -> HostedSettings {
    let price =
        Price { input_usd_per_million: 1.0, cached_input_usd_per_million: Some(0.1), output_usd_per_million: 10.0 };
    redact::register(&KEY.into());
    HostedSettings {
        name: "acme".to_owned(),
        kind,
        base_url: Some(base_url),
        api_key: Some(KEY.into()),
        api_key_env: Some("ACME_API_KEY".to_owned()),
        timeouts: TIMEOUTS,
        stream: true,
        prices: HashMap::from([("model-max".to_owned(), price)]),
    }
}

async fn ask(settings: HostedSettings, messages: &[Message]) -> Result<Answer, LlmError> {
    ask_model(settings, "model-max", messages).await
}

async fn ask_model(settings: HostedSettings, model_id: &str, messages: &[Message]) -> Result<Answer, LlmError> {
    let tools = [Tool {
        name: "read_file".to_owned(),
        description: "Reads a file.".to_owned(),
        parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
    }];
    let request = Request {
        model_id,
        messages,
        tools: &tools,
        max_output_tokens: 500,
        listener: Listener::default(),
        hold: Hold::default(),
    };
    Hosted::new(settings).unwrap().answer(&request).await
}

fn question() -> Vec<Message> {
    vec![Message::System { text: "Be brief.".to_owned() }, Message::User { text: "What do they say?".to_owned() }]
}

/// The conversation goes on: the answer, and a result for each of its calls.
fn told(mut messages: Vec<Message>, answer: &Answer, results: &[&str]) -> Vec<Message> {
    messages.push(Message::Assistant(answer.message.clone()));
    for (call, result) in answer.message.tool_calls.iter().zip(results) {
        let (call_id, name, content) = (call.id.clone(), call.name.clone(), (*result).to_owned());
        messages.push(Message::Tool { call_id, name, content });
    }
    messages
}

/// For tests of what stands before a hosted model.
pub(in crate::llm) fn test_model(kind: HostedKind, url: &str) -> Hosted {
    let (_, path) = KINDS.into_iter().find(|(known, _)| *known == kind).unwrap();
    Hosted::new(settings_at(kind, format!("{url}{path}"))).unwrap()
}
