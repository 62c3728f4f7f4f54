//! Our conversation in the words of genai.

use genai::chat::{
    CacheControl, ChatMessage, ChatOptions, ChatRequest, ContentPart, MessageContent, ReasoningEffort, ToolResponse,
};
use serde_json::{Value, json};

use super::super::Request;
use super::{HostedKind, incoming};
use crate::domain::conversation::{AssistantMessage, Message};

/// The name genai is shown. Where it can be replaced in the body it is a neutral one: from a real one genai infers a thinking
/// effort and cuts it off, so that `qwen-max` would arrive as `qwen`. Elsewhere a namespace keeps `a::b` whole.
pub(super) fn model_name(kind: HostedKind, model_id: &str) -> String {
    match kind {
        HostedKind::OpenAi | HostedKind::OpenAiResponses | HostedKind::DeepSeek | HostedKind::Anthropic => {
            "model".to_owned()
        }
        HostedKind::Gemini => model_id.to_owned(),
        HostedKind::Ollama => format!("ollama::{model_id}"),
    }
}

pub(super) fn options(kind: HostedKind, base_url: &str, request: &Request<'_>) -> ChatOptions {
    let options = ChatOptions::default().with_capture_raw_body(true);
    let (id, limit) = (request.model_id, request.max_output_tokens);
    match kind {
        // OpenAI's newer models refuse `max_tokens`; most others know no other name.
        HostedKind::OpenAi if is_openai_itself(base_url) => {
            options.with_extra_body(json!({"model": id, "max_completion_tokens": limit}))
        }
        HostedKind::OpenAi | HostedKind::DeepSeek => options.with_extra_body(json!({"model": id, "max_tokens": limit})),
        // Nothing is stored at the provider (genai says `store: false`), so thinking goes back with the next request,
        // encrypted. Models that do not think refuse to be asked for it, and so may other servers.
        HostedKind::OpenAiResponses if is_openai_itself(base_url) && thinks(id) => {
            let include = ["reasoning.encrypted_content"];
            options.with_extra_body(json!({"model": id, "max_output_tokens": limit, "include": include}))
        }
        HostedKind::OpenAiResponses => options.with_extra_body(json!({"model": id, "max_output_tokens": limit})),
        HostedKind::Anthropic => options.with_extra_body(json!({"model": id})).with_max_tokens(limit),
        // No effort at all is what genai makes of `Zero` here, and with one given it leaves the name alone.
        HostedKind::Gemini => options.with_max_tokens(limit).with_reasoning_effort(ReasoningEffort::Zero),
        HostedKind::Ollama => options.with_max_tokens(limit),
    }
}

/// The families before thinking are known and will not grow.
fn thinks(model_id: &str) -> bool {
    let family = model_id.strip_prefix("ft:").unwrap_or(model_id);
    !["gpt-3", "gpt-4", "chatgpt-4"].iter().any(|before| family.starts_with(before))
}

fn is_openai_itself(base_url: &str) -> bool {
    let url = url::Url::parse(base_url).ok();
    let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default();
    [".openai.com", ".openai.azure.com"].iter().any(|end| host.ends_with(end))
}

pub(super) fn chat(kind: HostedKind, request: &Request<'_>) -> ChatRequest {
    let mut messages = Vec::<ChatMessage>::new();
    let mut after_tool = false;
    for message in request.messages {
        let is_tool = matches!(message, Message::Tool { .. });
        match (translated(kind, message), messages.last_mut()) {
            (None, _) => continue,
            // All results of one answer belong into one message for Anthropic and Gemini. For Ollama genai would keep
            // only the last of them.
            (Some(next), Some(last)) if is_tool && after_tool && kind != HostedKind::Ollama => {
                last.content.extend(next.content);
            }
            (Some(next), _) => messages.push(next),
        }
        after_tool = is_tool;
    }
    if kind == HostedKind::Anthropic {
        cache_what_comes_again(&mut messages);
    }
    let chat = ChatRequest::from_messages(messages);
    // OpenAI refuses an empty list.
    if request.tools.is_empty() {
        chat
    } else {
        chat.with_tools(request.tools.iter().map(|offered| tool(kind, offered)))
    }
}

/// The next request begins with all of this one; Anthropic reads it from its cache only where it was marked.
fn cache_what_comes_again(messages: &mut [ChatMessage]) {
    let last = messages.len().saturating_sub(1);
    for (index, message) in messages.iter_mut().enumerate() {
        let is_system = message.role == genai::chat::ChatRole::System;
        if (is_system && index == 0) || index == last {
            message.options = Some(CacheControl::Ephemeral.into());
        }
    }
}

fn translated(kind: HostedKind, message: &Message) -> Option<ChatMessage> {
    Some(match message {
        Message::System { text } | Message::User { text } if text.is_empty() => return None,
        Message::System { text } => ChatMessage::system(text.as_str()),
        Message::User { text } => ChatMessage::user(text.as_str()),
        Message::Assistant(said) => ChatMessage::assistant(spoken(kind, said)?),
        Message::Tool { call_id, name, content } => {
            let response = ToolResponse::new(call_id.as_str(), content.as_str()).with_fn_name(name.as_str());
            ChatMessage::tool(MessageContent::from_parts([ContentPart::ToolResponse(response)]))
        }
    })
}

/// `None` for an answer without a word and a call: providers refuse to see such a message again.
fn spoken(kind: HostedKind, said: &AssistantMessage) -> Option<MessageContent> {
    let mut parts = said.replay.as_ref().and_then(|replay| incoming::replayed(kind, replay)).unwrap_or_else(|| {
        let text = (!said.text.trim().is_empty()).then(|| ContentPart::from_text(said.text.as_str()));
        let calls = said.tool_calls.iter().map(|call| {
            ContentPart::ToolCall(genai::chat::ToolCall {
                call_id: call.id.clone(),
                fn_name: call.name.clone(),
                fn_arguments: call.arguments.clone(),
                thought_signatures: None,
            })
        });
        text.into_iter().chain(calls).collect()
    });
    for part in &mut parts {
        if let ContentPart::ToolCall(call) = part {
            call.fn_arguments = as_object(call.fn_arguments.take());
        }
    }
    (!parts.is_empty()).then(|| MessageContent::from_parts(parts))
}

/// Anthropic, Gemini and Ollama refuse arguments that are no object, even those that they themselves let through.
fn as_object(arguments: Value) -> Value {
    match arguments {
        Value::Object(_) => arguments,
        Value::Null => json!({}),
        other => json!({"invalid_arguments": other}),
    }
}

fn tool(kind: HostedKind, tool: &super::super::Tool) -> genai::chat::Tool {
    let offered = genai::chat::Tool::new(tool.name.as_str())
        .with_description(tool.description.as_str())
        .with_schema(tool.parameters.clone());
    // Unless told so, the Responses API makes every parameter a required one.
    if kind == HostedKind::OpenAiResponses { offered.with_strict(false) } else { offered }
}
