//! The model that plays a script: the demo, the tests, and recorded tasks need no key.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::script::{Script, ScriptError, Step};
use super::{Answer, LlmError, Model, Request};
use crate::domain::conversation::{AssistantMessage, ToolCall};
use crate::domain::usage::Usage;

const MAX_FILE_BYTES: u64 = 10 << 20;

/// All scripts by model id: `<directory>/<id>.json`, read anew for every answer, then the built-in ones.
/// Stateless: the step to play is the number of answers in the conversation, so a restart loses nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scripts {
    directory: Option<PathBuf>,
    built_in: HashMap<String, Script>,
}

impl Scripts {
    /// `built_in` holds pairs of model id and script text.
    pub(crate) fn new(directory: Option<PathBuf>, built_in: &[(&str, &str)]) -> Result<Self, ScriptError> {
        let parse = |(id, text): &(&str, &str)| Ok(((*id).to_owned(), Script::parse(text)?));
        Ok(Self { directory, built_in: built_in.iter().map(parse).collect::<Result<_, ScriptError>>()? })
    }

    async fn script(&self, id: &str) -> Result<Script, String> {
        if !is_plain_name(id) {
            return Err(format!("{id:?} is no name of a script: use letters, digits, `.`, `-` and `_`"));
        }
        if let Some(directory) = &self.directory {
            let path = directory.join(format!("{id}.json"));
            if let Some(text) = read_capped(&path).await.map_err(|error| format!("{}: {error}", path.display()))? {
                return Script::parse(&text).map_err(|error| format!("{}: {error}", path.display()));
            }
        }
        self.built_in.get(id).cloned().ok_or_else(|| {
            let mut known: Vec<&str> = self.built_in.keys().map(String::as_str).collect();
            known.sort_unstable();
            let place = self.directory.as_deref().map(|path| format!(" and no file {id}.json in {}", path.display()));
            format!("no script {id:?}: built in are [{}]{}", known.join(", "), place.unwrap_or_default())
        })
    }

    async fn play(&self, request: &Request<'_>) -> Result<Answer, String> {
        let script = self.script(request.model_id).await?;
        let (number, step) = script.next_step(request.messages)?;
        tokio::time::sleep(Duration::from_millis(step.delay_ms.into())).await;
        let message = say(number, step);
        let raw = format!("{:#}", json!(message));
        Ok(Answer { message, usage: Usage { cost_usd: Some(0.0), ..Usage::default() }, raw })
    }
}

impl Model for Scripts {
    fn answer<'a>(&'a self, request: &'a Request<'a>) -> BoxFuture<'a, Result<Answer, LlmError>> {
        Box::pin(async move {
            request.hold.released().await;
            self.play(request).await.map_err(|message| LlmError::Script { message })
        })
    }
}

fn say(number: usize, step: &Step) -> AssistantMessage {
    let call = |(index, call): (usize, &super::script::ScriptedCall)| ToolCall {
        id: format!("call_{number}_{index}"),
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    };
    let tool_calls = step.tool_calls.iter().enumerate().map(call).collect();
    AssistantMessage { text: step.text.clone(), tool_calls, ..AssistantMessage::default() }
}

/// The id becomes a file name, so it must not be able to leave the directory.
fn is_plain_name(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !id.is_empty() && id.len() <= 100 && !id.starts_with('.') && id.bytes().all(allowed)
}

async fn read_capped(path: &Path) -> std::io::Result<Option<String>> {
    let file = match tokio::fs::File::open(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    if file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).await? as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other("the script is larger than 10 MB; make it shorter"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::conversation::Message;
    use crate::llm::{Hold, Listener};

    const PLAY: &str = r#"{"steps":[
        {"text":"I look.","tool_calls":[{"name":"run_command","arguments":{"command":"ls"}},{"name":"list_files"}]},
        {"expect":"README","text":"It is documented."}]}"#;

    fn told(text: &str) -> Message {
        Message::User { text: text.to_owned() }
    }

    async fn ask(scripts: &Scripts, model_id: &str, messages: &[Message]) -> Result<Answer, String> {
        let request = Request {
            model_id,
            messages,
            tools: &[],
            max_output_tokens: 100,
            listener: Listener::default(),
            hold: Hold::default(),
        };
        scripts.answer(&request).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_script_plays_on_from_any_point_of_the_conversation() {
        let scripts = Scripts::new(None, &[("demo", PLAY)]).unwrap();
        let mut conversation = vec![told("Is it documented?")];
        let first = ask(&scripts, "demo", &conversation).await.unwrap();
        let ids: Vec<&str> = first.message.tool_calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids, ["call_0_0", "call_0_1"]);
        assert_eq!(first.usage.cost_usd, Some(0.0));
        conversation.push(Message::Assistant(first.message));
        for (id, content) in [("call_0_0", "README.md"), ("call_0_1", "src")] {
            let (call_id, content) = (id.to_owned(), content.to_owned());
            conversation.push(Message::Tool { call_id, name: "t".to_owned(), content });
        }
        let last = ask(&scripts, "demo", &conversation).await.unwrap();
        assert_eq!((last.message.text.as_str(), last.message.tool_calls.len()), ("It is documented.", 0));
        conversation.push(Message::Assistant(last.message));
        let end = ask(&scripts, "demo", &conversation).await.unwrap_err();
        assert!(end.starts_with("the script ended"), "{end}");
    }

    #[tokio::test]
    async fn a_play_that_went_another_way_says_what_came_instead() {
        let scripts = Scripts::new(None, &[("demo", PLAY)]).unwrap();
        let conversation = [told("?"), Message::Assistant(AssistantMessage::default()), told("LICENSE only")];
        let error = ask(&scripts, "demo", &conversation).await.unwrap_err();
        assert!(error.contains("README") && error.contains("LICENSE only"), "{error}");
    }

    #[tokio::test]
    async fn scripts_come_from_the_directory_and_from_nowhere_else() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("scripts");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("mine.json"), r#"{"steps":[{"text":"mine"}]}"#).unwrap();
        std::fs::write(directory.join("broken.json"), r#"{"steps":[{"txt":""}]}"#).unwrap();
        std::fs::write(place.path().join("other.json"), PLAY).unwrap();
        let scripts = Scripts::new(Some(directory), &[("demo", PLAY)]).unwrap();
        assert_eq!(ask(&scripts, "mine", &[told("?")]).await.unwrap().message.text, "mine");
        assert!(ask(&scripts, "broken", &[]).await.unwrap_err().contains("unknown field `txt`"));
        for escape in ["../other", "/etc/passwd", ".hidden", "a/b", ""] {
            assert!(ask(&scripts, escape, &[]).await.unwrap_err().contains("no name of a script"), "{escape}");
        }
        assert!(ask(&scripts, "none", &[]).await.unwrap_err().contains("built in are [demo]"));
    }
}
