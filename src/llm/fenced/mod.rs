//! Tools for a model that has none: described in the prompt, called in fenced blocks, answered in messages.
//!
//! Whoever asks does not notice: calls and results look as ever. Which models need it is set for a provider, or found out: a
//! provider that says so in its error is asked again at once, and the model remembered while the server runs.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use futures_util::future::BoxFuture;

use super::{Answer, LlmError, Model, Request};

mod reading;
mod writing;

/// How the models of a provider call tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ToolCalls {
    Native,
    Fenced,
    /// As the provider likes it, and fenced for a model of which it says that it cannot.
    #[default]
    Auto,
}

/// The model beneath, with tools in any case.
#[derive(Debug)]
pub(super) struct Fenced<M> {
    provider: String,
    tool_calls: ToolCalls,
    /// Ids of the models that were found to need it.
    found: Mutex<HashSet<String>>,
    inner: M,
}

impl<M: Model> Fenced<M> {
    pub(super) fn new(provider: String, tool_calls: ToolCalls, inner: M) -> Self {
        Self { provider, tool_calls, found: Mutex::default(), inner }
    }

    async fn ask(&self, request: &Request<'_>) -> Result<Answer, LlmError> {
        if self.is_fenced(request) {
            return self.ask_fenced(request).await;
        }
        let answer = self.inner.answer(request).await;
        match &answer {
            Err(error) if self.tool_calls == ToolCalls::Auto && needs_fences(request, error) => {
                let is_new = self.found().insert(request.model_id.to_owned());
                if is_new {
                    request.listener.tell(format!(
                        "{}/{} has no tool calls of its own; it is told to write them as text.",
                        self.provider, request.model_id
                    ));
                }
                self.ask_fenced(request).await
            }
            _ => answer,
        }
    }

    fn is_fenced(&self, request: &Request<'_>) -> bool {
        // A conversation may hold calls although nothing is offered any more.
        let has_tools = !request.tools.is_empty();
        match self.tool_calls {
            ToolCalls::Native => false,
            ToolCalls::Fenced => has_tools,
            ToolCalls::Auto => has_tools && self.found().contains(request.model_id),
        }
    }

    async fn ask_fenced(&self, request: &Request<'_>) -> Result<Answer, LlmError> {
        let messages = writing::messages(request.messages, request.tools);
        let answer = self.inner.answer(&Request { messages: &messages, tools: &[], ..*request }).await?;
        let message = reading::message(&answer.message.text, request);
        Ok(Answer { message, ..answer })
    }

    fn found(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Model> Model for Fenced<M> {
    fn answer<'a>(&'a self, request: &'a Request<'a>) -> BoxFuture<'a, Result<Answer, LlmError>> {
        Box::pin(self.ask(request))
    }
}

/// As the servers of one's own and the brokers of many models say it, with statuses from 400 to 500.
fn needs_fences(request: &Request<'_>, error: &LlmError) -> bool {
    const SAID: [&str; 9] = [
        "does not support tool",
        "not support tools",
        "support tool use",
        "does not support function",
        "tool choice requires",
        "tools param requires",
        "tools are not supported",
        "tool use is not supported",
        "function calling is not",
    ];
    if request.tools.is_empty() || !matches!(error, LlmError::Refused { .. } | LlmError::Unavailable { .. }) {
        return false;
    }
    let said = error.to_string().to_ascii_lowercase();
    SAID.iter().any(|sentence| said.contains(sentence))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{
        HostedKind,
        hosted::test_model,
        model_server::{ModelServer, Reply},
    };
    use super::*;
    use crate::{
        domain::conversation::Message,
        llm::{Hold, Listener, Tool},
    };

    const CALL: &str =
        "I look.\n\n```tool_call\n{\"name\": \"read_file\", \"arguments\": {\"path\": \"a.txt\"}}\n```\n";

    fn tools() -> [Tool; 1] {
        let parameters = json!({"type": "object", "properties": {"path": {"type": "string"}}});
        [Tool { name: "read_file".to_owned(), description: "Reads a file.".to_owned(), parameters }]
    }

    fn asking<'a>(messages: &'a [Message], tools: &'a [Tool], listener: Listener<'a>) -> Request<'a> {
        Request { model_id: "gemma", messages, tools, max_output_tokens: 500, listener, hold: Hold::default() }
    }

    /// Asks twice: the call, and with its result once more. What was heard, and the requests.
    async fn conversation(kind: HostedKind, tool_calls: ToolCalls, replies: Vec<Reply>) -> (Vec<String>, Vec<Value>) {
        let server = ModelServer::start().await;
        for reply in replies {
            server.will(reply);
        }
        let model = Fenced::new("acme".to_owned(), tool_calls, test_model(kind, &server.url()));
        let heard = Mutex::new(Vec::new());
        let hear = |sentence| heard.lock().unwrap().push(sentence);
        let (tools, listener) = (tools(), Listener::new(&hear));
        let mut messages = vec![
            Message::System { text: "Be brief.".to_owned() },
            Message::User { text: "What does a.txt say?".to_owned() },
        ];
        let first = model.answer(&asking(&messages, &tools, listener)).await.unwrap().message;
        assert_eq!((first.text.as_str(), first.tool_calls.len()), ("I look.", 1), "{kind:?}");
        let call = first.tool_calls[0].clone();
        assert_eq!((call.name.as_str(), &call.arguments), ("read_file", &json!({"path": "a.txt"})));
        messages.push(Message::Assistant(first));
        messages.push(Message::Tool { call_id: call.id, name: call.name, content: "hello".to_owned() });
        let second = model.answer(&asking(&messages, &tools, listener)).await.unwrap().message;
        assert_eq!((second.text.as_str(), second.tool_calls.len()), ("It says hello.", 0), "{kind:?}");
        (heard.into_inner().unwrap(), server.received().into_iter().map(|request| request.body).collect())
    }

    #[tokio::test]
    async fn a_model_without_tools_gets_them_as_text() {
        for kind in [HostedKind::OpenAi, HostedKind::Ollama, HostedKind::Anthropic] {
            let replies = vec![Reply::text(CALL).into(), Reply::text("It says hello.").into()];
            let (heard, sent) = conversation(kind, ToolCalls::Fenced, replies).await;
            assert!(heard.is_empty() && sent.len() == 2);
            assert!(sent.iter().all(|body| body.get("tools").is_none()), "{kind:?}");
            let (first, second) = (sent[0].to_string(), sent[1].to_string());
            for part in ["Be brief.", "Reads a file.", "tool_call", "What does a.txt say?"] {
                assert!(first.contains(part), "{kind:?}: {part} is missing in {first}");
            }
            assert!(second.contains("I look.") && second.contains("hello"), "{kind:?}: {second}");
        }
    }

    #[tokio::test]
    async fn what_a_provider_says_of_a_model_is_understood_and_remembered() {
        for (kind, status, said) in [
            (HostedKind::Ollama, 400, "registry.ollama.ai/library/gemma:2b does not support tools"),
            (HostedKind::OpenAi, 404, "No endpoints found that support tool use."),
            (HostedKind::OpenAi, 400, "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser"),
            (HostedKind::OpenAi, 500, "tools param requires --jinja flag"),
        ] {
            let replies =
                vec![Reply::status(status, said), Reply::text(CALL).into(), Reply::text("It says hello.").into()];
            let (heard, sent) = conversation(kind, ToolCalls::Auto, replies).await;
            assert_eq!(heard, ["acme/gemma has no tool calls of its own; it is told to write them as text."], "{said}");
            let offered: Vec<bool> = sent.iter().map(|body| body.get("tools").is_some()).collect();
            assert_eq!(offered, [true, false, false], "{said}");
        }
    }
}
