//! Conversations with every kind of provider.

use serde_json::{Value, json};

use super::super::super::model_server::{ModelServer, Reply};
use super::*;

#[tokio::test]
async fn parallel_tool_calls_and_their_results_make_the_round_trip() {
    for (kind, path) in KINDS {
        let server = ModelServer::start().await;
        let calls = Reply::text("Let me look.")
            .tool_call("read_file", json!({"path": "a.txt"}))
            .tool_call("read_file", json!({"path": "b.txt"}));
        server.will(calls.usage(1_000_000, 600_000, 200_000));
        server.will(Reply::text("Hello and goodbye."));

        let first = ask(settings(&server, kind, path), &question()).await.unwrap();
        assert_eq!(first.message.text, "Let me look.", "{kind:?}");
        let paths: Vec<&Value> = first.message.tool_calls.iter().map(|call| &call.arguments["path"]).collect();
        assert_eq!(paths, ["a.txt", "b.txt"], "{kind:?}");
        let usage = first.usage;
        assert_eq!(
            (usage.input_tokens, usage.cached_tokens, usage.output_tokens),
            (1_000_000, 600_000, 200_000),
            "{kind:?}"
        );
        assert!((usage.cost_usd.unwrap() - (0.4 + 0.06 + 2.0)).abs() < 1e-9, "{kind:?}: {usage:?}");

        let conversation = told(question(), &first, &["hello from a", "goodbye from b"]);
        let second = ask(settings(&server, kind, path), &conversation).await.unwrap();
        assert_eq!(
            (second.message.text.as_str(), second.message.tool_calls.len()),
            ("Hello and goodbye.", 0),
            "{kind:?}"
        );
        assert!(second.raw.contains("Hello and goodbye."), "{kind:?}");

        let received = server.received();
        let sent = received[1].body.to_string();
        for part in ["Be brief.", "What do they say?", "Let me look.", "hello from a", "goodbye from b"] {
            assert!(sent.contains(part), "{kind:?}: {part:?} is missing in {sent}");
        }
        let model_arrived = received[0].body["model"] == "model-max" || received[0].path.contains("/model-max:");
        assert!(model_arrived, "{kind:?}: {:?}", received[0]);
        assert!(sent.contains(":500"), "{kind:?}: the token limit is missing in {sent}");
        assert!(!sent.contains("effort") && !sent.contains("\"think"), "{kind:?}: {sent}");
    }
}

#[tokio::test]
async fn thinking_goes_back_to_whoever_wants_it_back() {
    for (kind, path) in [KINDS[1], KINDS[2], KINDS[3], KINDS[5]] {
        let server = ModelServer::start().await;
        server.will(Reply::text("").tool_call("read_file", json!({"path": "a.txt"})).thinking("Files speak."));
        server.will(Reply::text("Hello."));
        let first = ask(settings(&server, kind, path), &question()).await.unwrap();
        // It has to survive the database.
        let stored = serde_json::to_string(&first.message).unwrap();
        let first = Answer { message: serde_json::from_str(&stored).unwrap(), ..first };
        let second = ask(settings(&server, kind, path), &told(question(), &first, &["hello"])).await;
        assert_eq!(second.unwrap().message.text, "Hello.", "{kind:?}");
    }
}

#[tokio::test]
async fn anthropic_reads_the_repeated_beginning_from_its_cache() {
    let server = ModelServer::start().await;
    server.will(Reply::text("Yes."));
    ask(settings(&server, HostedKind::Anthropic, ""), &question()).await.unwrap();
    let body = &server.received()[0].body;
    assert_eq!(body["system"][0]["cache_control"]["type"], "ephemeral");
    assert_eq!(body["messages"][0]["content"][0]["cache_control"]["type"], "ephemeral");
}

#[tokio::test]
async fn a_server_without_keys_is_sent_none() {
    for (kind, path) in [
        (HostedKind::OpenAi, "/anonymous/v1/"),
        (HostedKind::OpenAiResponses, "/anonymous/v1/"),
        (HostedKind::Ollama, ""),
    ] {
        let server = ModelServer::start().await;
        server.will(Reply::text("Hello."));
        let settings = HostedSettings { api_key: None, ..settings(&server, kind, path) };
        assert_eq!(ask(settings, &question()).await.unwrap().message.text, "Hello.");
        assert_eq!(server.received()[0].headers.get("authorization"), None, "{kind:?}");
    }
}

#[tokio::test]
async fn a_model_that_says_nothing_can_be_spoken_to_again() {
    for (kind, path) in KINDS {
        let server = ModelServer::start().await;
        server.will(Reply::text(""));
        server.will(Reply::text("Yes."));
        let first = ask(settings(&server, kind, path), &question()).await.unwrap();
        assert_eq!((first.message.text.as_str(), first.message.tool_calls.len()), ("", 0), "{kind:?}");
        let mut conversation = told(question(), &first, &[]);
        conversation.push(Message::User { text: "Are you there?".to_owned() });
        assert_eq!(ask(settings(&server, kind, path), &conversation).await.unwrap().message.text, "Yes.", "{kind:?}");
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_reach_the_caller_and_the_model_sees_them_again() {
    for kind in [HostedKind::OpenAi, HostedKind::OpenAiResponses] {
        let server = ModelServer::start().await;
        let calls = Reply::text("Let me look.")
            .tool_call("read_file", json!("{\"path\": \"a.t"))
            .tool_call("list_files", json!(""))
            .tool_call("read_file", json!("[1]"));
        server.will(calls.usage(100, 60, 20));
        server.will(Reply::text("Sorry."));
        let first = ask(settings(&server, kind, "/v1"), &question()).await.unwrap();
        let arguments: Vec<&Value> = first.message.tool_calls.iter().map(|call| &call.arguments).collect();
        assert_eq!(arguments, [&json!("{\"path\": \"a.t"), &json!({}), &json!([1])], "{kind:?}");
        let usage = (first.usage.input_tokens, first.usage.cached_tokens, first.usage.output_tokens);
        assert_eq!((first.message.text.as_str(), usage), ("Let me look.", (100, 60, 20)), "{kind:?}");
        let conversation = told(question(), &first, &["no JSON", "a.txt", "no path"]);
        let second = ask(settings(&server, kind, "/v1"), &conversation).await.unwrap();
        assert_eq!(second.message.text, "Sorry.", "{kind:?}");
        let again = json!(r#"{"invalid_arguments":"{\"path\": \"a.t"}"#).to_string();
        assert!(server.received()[1].body.to_string().contains(&again), "{kind:?}");
    }
}

#[tokio::test]
async fn calls_without_an_id_of_their_own_get_one() {
    let server = ModelServer::start().await;
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "read_file", "arguments": "{}"}});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call("x"), call("x"), call("")]});
    let body = json!({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).to_string();
    server.will(Reply::body("application/json", &body));
    server.will(Reply::text("Fine."));
    let open_ai = || settings(&server, HostedKind::OpenAi, "/v1");
    let first = ask(open_ai(), &question()).await.unwrap();
    assert!(first.usage.input_tokens > 0, "a provider that counts nothing is guessed at");
    let second = ask(open_ai(), &told(question(), &first, &["1", "2", "3"])).await;
    assert_eq!(second.unwrap().message.text, "Fine.");
}
